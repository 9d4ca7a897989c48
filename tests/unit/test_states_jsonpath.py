"""JSONPath in state machines: what a definition may say, what paths select at run time, and how they fail.

States Language, "Paths", "Reference Paths", "Payload Template", "Intrinsic Functions"; Developer Guide, "Processing
input and output in Step Functions".
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from states_kit import branch, execute, failing, task_state

from localaws.states import paths
from localaws.states.definition import Checks, problems

DONE = {"Type": "Succeed"}
DOCUMENT = {"a": {"b": [1, 2, 3], "x y": None}, "l": [{"b": 4}, {"c": 5}], "n": "a"}
JSONPATH = {"QueryLanguage": "JSONPath"}


def told(**state: Any) -> list[tuple[str, str]]:
    """The place and message of each problem of a JSONPath state."""
    machine = {"StartAt": "S", "States": {"S": {"Type": "Pass", "End": True, **state}, "End": DONE}}
    checks = Checks(parse=lambda _text: None, resource=lambda _arn: None)
    found = problems(json.dumps(machine), checks)
    return [(each.path, each.message) for each in found if "is not reachable" not in each.message]


def run(state_input: Any, **state: Any) -> Any:
    return execute({"S": {"Type": "Pass", "End": True, **state}}, state_input, **JSONPATH).output


def failure(state_input: Any, **state: Any) -> tuple[str, str]:
    error = execute({"S": {"Type": "Pass", "End": True, **state}}, state_input, **JSONPATH).error
    assert error is not None
    return error.error, error.cause


# --- definitions ---


@pytest.mark.fidelity(
    "Step Functions",
    "A definition whose InputPath or OutputPath is no JSONPath is refused: Value must be a valid JSONPath.",
    "aws-cloudformation/cfn-lint #4078: CloudFormation's error",
)
@pytest.mark.parametrize("field", ["InputPath", "OutputPath"])
@pytest.mark.parametrize("value", ["a", "", "$.", "$.a b", "$[", "$$$", "States.UUID()", 1])
def test_paths_that_are_none(field: str, value: Any) -> None:
    assert told(**{field: value}) == [(f"/States/S/{field}", "Value must be a valid JSONPath.")]


@pytest.mark.parametrize("value", ["$", "$$", "$.a", "$.a-b[0]['x y']", "$$.Map.Item.Value", "$..b", "$.l[*].b", None])
def test_paths_that_are_taken(value: str | None) -> None:
    assert told(InputPath=value, OutputPath=value) == []


@pytest.mark.parametrize("path", ["$.l[?(@.b==4)]", "$['a','b']", "$.l.length()", "$.l[0,1]"])
def test_paths_that_are_not_evaluated_here_are_refused_by_name(path: str) -> None:
    for fields in ({"InputPath": path}, {"Parameters": {"a.$": path}}):
        assert "not supported here: filters, unions and functions" in told(**fields)[0][1]


@pytest.mark.fidelity(
    "Step Functions",
    "ResultPath, ItemsPath, SecondsPath and their like address one node, or: Value is not a Reference Path.",
    "States Language, Reference Paths; Stedi-Public-Archive/ts2asl #912: CloudFormation's error",
)
@pytest.mark.parametrize("path", ["$.a[*]", "$..a", "$.a[0:2]", "$.l[?(@.b)]"])
def test_reference_paths(path: str) -> None:
    for fields in (
        {"ResultPath": path},
        {"Type": "Wait", "SecondsPath": path},
        {"Type": "Map", "ItemProcessor": branch(I=DONE), "ItemsPath": path},
    ):
        [(where, message)] = told(**fields)
        assert where.endswith("Path")
        assert message.startswith("Value is not a Reference Path")
    assert "context object can't be written" in told(ResultPath="$$.a")[0][1]
    catch = [{"ErrorEquals": ["E"], "Next": "End", "ResultPath": path}]
    assert told(Type="Task", Resource="r", Catch=catch)[0][0] == "/States/S/Catch[0]/ResultPath"
    assert told(ResultPath="$.a['b'][0]") == told(ResultPath=None) == []


@pytest.mark.fidelity(
    "Step Functions",
    "A choice's Variable is a reference path; an intrinsic function there is refused.",
    "Step Functions, InvalidDefinition: Reference path didn't start with '$'",
)
@pytest.mark.parametrize("rule", [{"Variable": "States.ArrayLength($.a)", "NumericEquals": 0},
                                  {"Variable": "$.a", "NumericEqualsPath": "b"}])  # fmt: skip
def test_variables_of_choices(rule: dict[str, Any]) -> None:
    choice = {"StartAt": "C", "States": {"C": {"Type": "Choice", "Choices": [{**rule, "Next": "D"}]}, "D": DONE}}
    [problem] = problems(json.dumps(choice), Checks(parse=str, resource=lambda _arn: None))
    assert problem.message == "Value is not a Reference Path: Reference path didn't start with '$'"


@pytest.mark.fidelity(
    "Step Functions",
    "A payload template's field that ends in .$ is a JSONPath or a call of an intrinsic function, at any depth.",
    "aws-cloudformation/cfn-lint #4085; aws/amazon-states-language-service #26: CreateStateMachine's error",
)
@pytest.mark.parametrize("value", ["b", "States.Nope()", "States.Format('{}'", "States.Format(b)", "States.UUID", ""])
def test_payload_templates(value: str) -> None:
    message = "The value for the field 'a.$' must be a valid JSONPath or a valid intrinsic function call"
    assert told(Parameters={"a.$": value}) == [("/States/S/Parameters", message)]
    assert told(ResultSelector={"l": [{"a.$": value}]}) == [("/States/S/ResultSelector/l[0]", message)]


@pytest.mark.parametrize(("value", "kind"), [([], "an ARRAY"), ({}, "an OBJECT"), (1, "a NUMBER"), (None, "NULL")])
def test_payload_templates_take_text(value: Any, kind: str) -> None:
    message = f"The value for the field 'a.$' must be a STRING that contains a JSONPath but was {kind}"
    assert told(Parameters={"a.$": value}) == [("/States/S/Parameters", message)]


@pytest.mark.parametrize(
    "call",
    [
        "States.UUID()",
        "States.Format('a, {} \\'(', $.a['x'], 1.5, true, null)",
        "States.ArrayLength(States.Array($.a[0:2], 'b'))",
        "States.MathAdd($$.Execution.RedriveCount, -1)",
    ],
)
def test_calls_of_intrinsic_functions(call: str) -> None:
    assert paths.is_intrinsic(call)
    assert told(Parameters={"a.$": call}) == []


# --- at run time ---


@pytest.mark.fidelity(
    "Step Functions",
    "Paths with names, indices, wildcards, slices and deep scans select; those that may find several give an array.",
    "States Language, Paths; Developer Guide, Processing input and output: path syntax",
)
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", DOCUMENT),
        ("$.a.b", [1, 2, 3]),
        ("$.a.b[0]", 1),
        ("$['a']['b'][-1]", 3),
        ("$.a['x y']", None),
        ("$.a.b[1:]", [2, 3]),
        ("$.a.b[:-1]", [1, 2]),
        ("$.l[*].b", [4]),
        ("$.a.*", [[1, 2, 3], None]),
        ("$..b", [[1, 2, 3], 4]),
        ("$..nothing", []),
        ("$$.Execution.Name", "e"),
        ("$v.w", 7),
    ],
)
def test_what_paths_select(path: str, value: Any) -> None:
    roots = {"$": DOCUMENT, "$$": {"Execution": {"Name": "e"}}, "$v": {"w": 7}}
    assert paths.is_supported(path)
    assert paths.selected(path, roots) == value


@pytest.mark.fidelity(
    "Step Functions",
    "A path of a payload template that selects nothing fails with States.Runtime, field and input in its cause.",
    "floci-io/floci #2521, measured with Step Functions Local",
)
@pytest.mark.parametrize("path", ["$.nope.deep", "$.l[2]", "$.n.a", "$$.Nope", "$nope"])
def test_a_template_that_selects_nothing(path: str) -> None:
    error, cause = failure({"l": [1], "n": 1}, Parameters={"missing.$": path})
    assert error == "States.Runtime"
    assert cause.endswith(
        f"The JSONPath '{path}' specified for the field 'missing.$' could not be found in the input "
        '\'{"l":[1],"n":1}\''
    )


@pytest.mark.fidelity(
    "Step Functions",
    "InputPath, OutputPath and ItemsPath that select nothing fail with States.Runtime: Invalid path.",
    "Developer Guide, Handling errors: States.Runtime; aws/aws-cdk #6676",
)
def test_paths_that_select_nothing() -> None:
    each = {"Type": "Map", "ItemProcessor": branch(I=DONE)}
    for state in ({"InputPath": "$.x"}, {"OutputPath": "$.x"}, {**each, "ItemsPath": "$.x"}):
        error, cause = failure({}, **state)
        assert (error, "Invalid path '$.x'" in cause) == ("States.Runtime", True)
    assert failure({"x": 1}, **each, ItemsPath="$.x")[1].endswith('Reference path "$.x" must point to array.')


def test_templates_are_filled_at_any_depth() -> None:
    template = {"a": [{"b.$": "$.n"}, [{"c.$": "$.n"}], "$.n"], "d.$": "States.Format('{}-{}', $.n, $.l[0])"}
    assert run({"n": 1, "l": ["x"]}, Parameters=template) == {"a": [{"b": 1}, [{"c": 1}], "$.n"], "d": "1-x"}


def test_an_argument_of_an_intrinsic_function_that_is_not_there() -> None:
    error, cause = failure({}, Parameters={"a.$": "States.Format('{}', $.x)"})
    assert error == "States.Runtime"
    assert "The function 'States.Format('{}', $.x)' had the following error" in cause
    assert cause.endswith("The JsonPath argument for the field '$.x' could not be found in the input '{}'")


@pytest.mark.fidelity(
    "Step Functions",
    "ResultPath makes the objects on its way and keeps the rest of the input; null keeps the input alone.",
    "Developer Guide, Specifying state output using ResultPath",
)
def test_result_paths() -> None:
    assert run({"k": 1}, Result=2, ResultPath="$.a.b") == {"k": 1, "a": {"b": 2}}
    assert run({"a": {"x": 0}}, Result=2, ResultPath="$['a']['b c']") == {"a": {"x": 0, "b c": 2}}
    assert run({"l": [1, 2]}, Result=3, ResultPath="$.l[1]") == {"l": [1, 3]}
    assert run({"k": 1}, Result=2, ResultPath=None) == {"k": 1}


@pytest.mark.fidelity(
    "Step Functions",
    "A ResultPath that the input has no place for fails with States.ResultPathMatchFailure.",
    "States Language, Appendix A; aws/aws-cdk #29473: Unable to apply ReferencePath",
)
@pytest.mark.parametrize(("given", "path"), [("text", "$.a"), ({"a": 1}, "$.a.b"), ({"l": []}, "$.l[0]")])
def test_a_result_path_without_a_place(given: Any, path: str) -> None:
    error, cause = failure(given, Result=1, ResultPath=path)
    assert error == "States.ResultPathMatchFailure"
    assert cause.endswith(f"Unable to apply ReferencePath {path} to input {json.dumps(given, separators=(',', ':'))}")


@pytest.mark.fidelity(
    "Step Functions",
    "IsPresent asks whether a path selects, null too; any other comparison with a path to nothing fails the execution.",
    "Developer Guide, Choice state: IsPresent; States.Runtime",
)
def test_choices_of_what_is_not_there() -> None:
    def chosen(rule: dict[str, Any], given: Any) -> Any:
        choice = {"Type": "Choice", "Choices": [{**rule, "Next": "Yes"}], "Default": "No"}
        ends = {name: {"Type": "Pass", "Result": name, "End": True} for name in ("Yes", "No")}
        return execute({"C": choice, **ends}, given, **JSONPATH)

    present = {"Variable": "$.a", "IsPresent": True}
    assert [chosen(present, given).output for given in ({"a": None}, {"a": 1}, {})] == ["Yes", "Yes", "No"]
    null = {"Variable": "$.a", "IsNull": True}
    assert [chosen({"And": [present, null]}, given).output for given in ({"a": None}, {})] == ["Yes", "No"]
    assert chosen({"Not": {"Variable": "$.a", "NumericEqualsPath": "$.b"}}, {"a": 1, "b": 2}).output == "Yes"
    for rule in (null, {"Variable": "$.b", "StringEqualsPath": "$.a"}):
        error = chosen(rule, {"b": "x"}).error
        assert error is not None
        assert error.error == "States.Runtime"
        assert error.cause.endswith(
            "Invalid path '$.a': The choice state's condition path references an invalid value."
        )


@pytest.mark.fidelity(
    "Step Functions",
    "States.ALL doesn't catch the States.Runtime of a path to nothing.",
    "Developer Guide, Handling errors: States.ALL and States.Runtime",
)
def test_a_path_to_nothing_is_not_caught() -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    states = {"T": task_state(Parameters={"a.$": "$.x"}, Catch=catch), "Caught": DONE}
    ended = execute(states, {}, task=failing(), **JSONPATH)
    assert ended.error is not None
    assert ended.error.error == "States.Runtime"


def test_errors_and_causes_by_path() -> None:
    fail = {"F": {"Type": "Fail", "ErrorPath": "$.e", "CausePath": "States.Format('{}!', $.c)"}}
    error = execute(fail, {"e": "Odd", "c": "so"}, **JSONPATH).error
    assert error is not None
    assert (error.error, error.cause.endswith("so!")) == ("Odd", True)
    wrong = execute({"F": {"Type": "Fail", "ErrorPath": "$.e"}}, {"e": 1}, **JSONPATH).error
    assert wrong is not None
    assert "must select a string, but was: 1" in wrong.cause
