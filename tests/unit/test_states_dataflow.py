"""Data between states, in JSONata (Developer Guide, "Transforming data with JSONata in Step Functions" and "Passing
data between states with variables")."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from states_kit import LANGUAGES, branch, execute, task_state

from localaws.states.dataflow import Frame, Jsonata, Scope, json_type, seconds_until
from localaws.states.errors import StatesError

DONE = {"Type": "Succeed"}


def passed(output: Any, state_input: Any = None) -> Any:
    run = execute({"A": {"Type": "Pass", "Output": output, "End": True}}, state_input)
    return run.output if run.error is None else run.error


def cause(states: dict[str, Any], state_input: Any = None) -> str:
    run = execute(states, state_input)
    assert run.error is not None
    assert run.error.error == "States.QueryEvaluationError"
    return run.error.cause.partition("). ")[2]


def test_expressions_stand_anywhere_in_a_template_and_other_texts_are_taken_as_they_are() -> None:
    template = {
        "a": ["{% $states.input.n + 1 %}", "{%", "plain", 2, None],
        "b": {"c": "{%$states.input.n%}"},
        "d": "{% 1",
    }
    assert passed(template, {"n": 1}) == {"a": [2, "{%", "plain", 2, None], "b": {"c": 1}, "d": "{% 1"}


@pytest.mark.fidelity(
    "Step Functions",
    "null is kept, and an expression that gives nothing is States.QueryEvaluationError.",
    "Step Functions DG, Transforming data with JSONata in Step Functions",
)
def test_an_output_of_null_is_null_and_of_nothing_fails() -> None:
    assert passed({"v": "{% $states.input.v %}"}, {"v": None}) == {"v": None}
    where = "The JSONata expression '$states.input.v' specified for the field 'Output/v'"
    assert cause({"A": {"Type": "Pass", "Output": {"v": "{% $states.input.v %}"}, "End": True}}, {}) == (
        f"{where} returned nothing (undefined)."
    )


def test_an_expression_that_breaks_says_which_and_how() -> None:
    told = cause({"A": {"Type": "Pass", "Output": ["{% 1 + 'a' %}"], "End": True}})
    assert told.startswith("The JSONata expression '1 + 'a'' specified for the field 'Output[0]' threw an error")
    assert "T2002" in told


def test_what_is_no_json_is_no_result() -> None:
    """Numbers that JSON doesn't have: the engine gives them, Step Functions can't write them."""

    def evaluate(_text: str, _bindings: Mapping[str, Any]) -> Any:
        return float("nan")

    frame = Frame(None, {}, Scope())
    with pytest.raises(StatesError, match="threw an error during evaluation"):
        Jsonata(evaluate).passed({"Output": "{% x %}"}, frame)


# --- variables ---


def test_assign_keeps_values_for_later_states_and_output_sees_them_as_they_were() -> None:
    states = {
        "A": {"Type": "Pass", "Assign": {"x": 1, "y": {"z": "{% $states.input %}"}}, "Next": "B"},
        "B": {"Type": "Pass", "Assign": {"x": "{% $x + 1 %}", "was": "{% $x %}"}, "Output": "{% $x %}", "Next": "C"},
        "C": {"Type": "Pass", "Output": "{% [$states.input, $x, $was, $y.z] %}", "End": True},
    }
    run = execute(states, 9)
    assert run.output == [1, 2, 1, 9]
    left = run.details("PassStateExited")
    assert left[0]["assignedVariables"] == {"x": "1", "y": '{"z":9}'}
    assert left[0]["assignedVariablesDetails"] == {"truncated": False}
    assert "assignedVariables" not in left[2]


def test_a_choice_and_a_catcher_assign_too() -> None:
    choice = {
        "Type": "Choice",
        "Choices": [
            {"Condition": "{% $states.input > 5 %}", "Assign": {"size": "big"}, "Output": 1, "Next": "End"},
            {"Condition": "{% $states.input > 3 %}", "Next": "End"},
        ],
        "Default": "End",
        "Assign": {"size": "small"},
        "Output": 0,
    }
    end = {"Type": "Pass", "Output": "{% [$states.input, $exists($size) ? $size : 'none'] %}", "End": True}
    assert [execute({"C": choice, "End": end}, n).output for n in (6, 4, 2)] == [[1, "big"], [4, "none"], [0, "small"]]


@pytest.mark.fidelity(
    "Step Functions",
    "The first choice rule that is true decides; else States.NoChoiceMatched.",
    "Step Functions DG, Choice workflow state",
)
def test_the_rule_that_is_true_first_decides_and_without_any_it_fails() -> None:
    """Developer Guide, "Choice workflow state": the first choice rule that is true; States.NoChoiceMatched."""
    rules = [{"Condition": True, "Next": "B"}, {"Condition": True, "Next": "C"}]
    end = {"B": {"Type": "Succeed", "Output": "B"}, "C": {"Type": "Succeed", "Output": "C"}}
    assert execute({"A": {"Type": "Choice", "Choices": rules}, **end}).output == "B"
    no = execute({"A": {"Type": "Choice", "Choices": [{"Condition": False, "Next": "B"}]}, **end})
    assert no.error is not None
    assert no.error.error == "States.NoChoiceMatched"


def test_a_condition_that_is_no_boolean_is_not_taken_for_one() -> None:
    rules = [{"Condition": False, "Next": "B"}, {"Condition": "{% 1 %}", "Next": "B"}]
    assert cause({"A": {"Type": "Choice", "Choices": rules, "Default": "B"}, "B": DONE}) == (
        "The JSONata expression '{% 1 %}' specified for the field 'Choices/1/Condition' must return a boolean, "
        "but returned number."
    )


def test_an_inner_scope_sees_the_outer_variables_and_keeps_its_own() -> None:
    inner = branch(In={"Type": "Pass", "Assign": {"own": 2}, "Output": "{% $outer %}", "End": True})
    states = {
        "Set": {"Type": "Pass", "Assign": {"outer": 1}, "Next": "P"},
        "P": {"Type": "Parallel", "Branches": [inner, inner], "Next": "After"},
        "After": {"Type": "Pass", "Output": "{% [$states.input, $exists($own)] %}", "End": True},
    }
    assert execute(states).output == [1, 1, False]


@pytest.mark.fidelity(
    "Step Functions",
    "An inner scope may not assign a variable of the outer.",
    "Step Functions DG, Passing data between states with variables",
)
def test_an_inner_scope_may_not_assign_what_the_outer_has() -> None:
    inner = branch(In={"Type": "Pass", "Assign": {"v": 2}, "End": True})
    states = {
        "Set": {"Type": "Pass", "Assign": {"v": 1}, "Next": "P"},
        "P": {"Type": "Parallel", "Branches": [inner], "End": True},
    }
    run = execute(states)
    assert run.error is not None
    assert run.error.error == "States.Runtime"
    assert "The variable 'v' belongs to an outer scope" in run.error.cause


# --- fields of a type ---


@pytest.mark.fidelity(
    "Step Functions",
    "Seconds of a Wait is a whole number.",
    "Step Functions DG, Wait workflow state",
)
@pytest.mark.parametrize("seconds", [-1, 1.5, "{% 1 / 2 %}"])
def test_a_wait_takes_whole_seconds(seconds: Any) -> None:
    """Developer Guide, "Wait workflow state": "a positive integer"; 0 is taken too."""
    told = cause({"W": {"Type": "Wait", "Seconds": seconds, "End": True}})
    assert told.startswith("The Seconds field must be a non-negative integer, but was: ")
    assert execute({"W": {"Type": "Wait", "Seconds": 0, "End": True}}).sleeps == [0]


def test_a_value_of_another_type_is_refused_by_name_and_value() -> None:
    told = cause({"W": {"Type": "Wait", "Seconds": "{% 'a' %}", "End": True}})
    assert told.endswith("Expected 'number', but was 'string' for value: \"a\"")
    for field, state in (
        ("Seconds", {"Type": "Wait", "End": True}),
        ("Timestamp", {"Type": "Wait", "End": True}),
        ("Error", {"Type": "Fail"}),
        ("Cause", {"Type": "Fail"}),
        ("Items", {"Type": "Map", "ItemProcessor": branch(It=DONE), "End": True}),
        ("TimeoutSeconds", task_state()),
        ("HeartbeatSeconds", task_state()),
    ):
        told = cause({"S": {**state, field: "{% {} %}"}})
        assert f"for the field '{field}' returned an unexpected result type" in told


def test_what_breaks_says_in_which_field() -> None:
    for field, state in (
        ("Arguments", task_state()),
        ("Assign", {"Type": "Pass", "End": True}),
        ("ItemSelector", {"Type": "Map", "Items": [1], "ItemProcessor": branch(It=DONE), "End": True}),
    ):
        assert f"for the field '{field}/x' returned nothing" in cause({"S": {**state, field: {"x": "{% $no %}"}}})


@pytest.mark.parametrize(
    ("value", "name"),
    [(None, "null"), (True, "boolean"), (1, "number"), (0.5, "number"), ("", "string"), ([], "array"), ({}, "object")],
)
def test_json_types(value: Any, name: str) -> None:
    assert json_type(value) == name


NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.fidelity(
    "Step Functions",
    "Timestamp is of RFC 3339's profile of ISO 8601; one that has passed isn't waited for.",
    "Step Functions DG, Wait workflow state",
)
@pytest.mark.parametrize(
    ("timestamp", "seconds"),
    [
        ("2026-01-01T00:00:10Z", 10),
        ("2026-01-01T01:00:00.5+01:00", 0.5),
        ("2025-12-31T23:00:00Z", 0),
    ],
)
def test_a_wait_until_a_moment(timestamp: str, seconds: float) -> None:
    """Same page: Timestamp in the RFC 3339 profile of ISO 8601; a moment that has passed isn't waited for."""
    assert seconds_until(timestamp, NOW) == seconds
    assert execute({"W": {"Type": "Wait", "Timestamp": timestamp, "End": True}}).sleeps == [seconds]


@pytest.mark.parametrize("timestamp", ["tomorrow", "2026-01-01T00:00:10", ""])
def test_a_moment_without_an_offset_is_none(timestamp: str) -> None:
    told = cause({"W": {"Type": "Wait", "Timestamp": timestamp, "End": True}})
    assert told.endswith(f"as an ISO-8601 extended offset date-time format string: {timestamp}")


# --- JSONPath (States Language, "Input and Output Processing") ---


def test_jsonpath_states_wait_and_catch_as_the_specification_says() -> None:
    flow = LANGUAGES["JSONPath"]
    frame = Frame({"n": 3, "at": "2026-01-01T00:00:07Z"}, {}, Scope())
    assert flow.wait_until({"SecondsPath": "$.n"}, frame, NOW) == 3
    assert flow.wait_until({"TimestampPath": "$.at"}, frame, NOW) == 7
    assert flow.number({}, "TimeoutSeconds", frame) is None
    assert flow.caught({"ResultPath": "$.e"}, frame, StatesError("E", "c"))["e"] == {"Error": "E", "Cause": "c"}
