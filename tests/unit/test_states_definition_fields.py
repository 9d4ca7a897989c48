"""Every field and operator of the States Language that is taken here, and those that are refused by name
(https://states-language.net/spec.html, and the Developer Guide's page of each state)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from states_kit import branch

from localaws.ministack_adapter.stepfunctions import jsonata
from localaws.states.definition import Checks, problems

DONE = {"Type": "Succeed"}
INNER = branch(In={"Type": "Pass", "End": True})
ITERATED = branch(It={"Type": "Pass", "End": True})
PROCESSOR = {"ProcessorConfig": {"Mode": "INLINE"}, "Comment": "c", "QueryLanguage": "JSONata"}
# "Errors": the fields of retriers and catchers.
RETRIER = {
    "ErrorEquals": ["E"],
    "IntervalSeconds": 1,
    "MaxAttempts": 0,
    "BackoffRate": 1.0,
    "MaxDelaySeconds": 2,
    "JitterStrategy": "NONE",
    "Comment": "c",
}
CATCHER = {"ErrorEquals": ["E"], "Next": "End", "Comment": "c"}
RESULT = {"Retry": [RETRIER], "Catch": [CATCHER]}
COMMON = {"Comment": "c", "Next": "End"}
JSONATA = {
    "Pass": {**COMMON, "Output": 1, "Assign": {"v": 1}},
    "Task": {
        **COMMON,
        **RESULT,
        "Resource": "r",
        "Arguments": {},
        "Output": 1,
        "Assign": {"v": 1},
        "TimeoutSeconds": 2,
        "HeartbeatSeconds": 1,
    },
    "Choice": {
        "Comment": "c",
        "Choices": [{"Condition": True, "Next": "End", "Output": 1, "Assign": {"v": 1}, "Comment": "c"}],
        "Default": "End",
        "Output": 1,
        "Assign": {"v": 1},
    },
    "Wait": {**COMMON, "Seconds": 0, "Output": 1, "Assign": {"v": 1}},
    "Parallel": {**COMMON, **RESULT, "Branches": [INNER], "Arguments": {}, "Output": 1, "Assign": {"v": 1}},
    "Map": {
        **COMMON,
        **RESULT,
        "Items": [],
        "ItemSelector": {},
        "ItemProcessor": {
            **ITERATED,
            "ProcessorConfig": {"Mode": "INLINE"},
            "Comment": "c",
            "QueryLanguage": "JSONata",
        },
        "MaxConcurrency": 0,
        "Output": 1,
        "Assign": {"v": 1},
    },
}
PATHS = {"InputPath": "$", "OutputPath": "$"}
PARAMETERS = {**PATHS, "Parameters": {}, "ResultSelector": {}, "ResultPath": "$"}
JSONPATH = {
    "Pass": {**COMMON, **PARAMETERS, "Result": 1},
    "Task": {
        **COMMON,
        **RESULT,
        **PARAMETERS,
        "Resource": "r",
        "TimeoutSecondsPath": "$.t",
        "HeartbeatSecondsPath": "$.h",
    },
    "Choice": {
        **PATHS,
        "Comment": "c",
        "Choices": [{"Variable": "$.a", "IsNull": True, "Next": "End"}],
        "Default": "End",
    },
    "Wait": {**COMMON, **PATHS, "TimestampPath": "$.t"},
    "Parallel": {**COMMON, **RESULT, **PARAMETERS, "Branches": [INNER]},
    "Map": {
        **COMMON,
        **RESULT,
        **PARAMETERS,
        "Iterator": ITERATED,
        "ItemsPath": "$",
        "ItemSelector": {},
        "MaxConcurrencyPath": "$.m",
    },
}


def found(state: dict[str, Any], language: str = "JSONata", **top: Any) -> list[tuple[str, str]]:
    """The messages and places of a machine of one state and its end."""
    follows = "Next" in state or "Choices" in state
    states = {"S": state, "End": DONE} if follows else {"S": state}
    definition = {"QueryLanguage": language, "StartAt": "S", "States": states, **top}
    checks = Checks(parse=jsonata.parse, resource=lambda _arn: None)
    return [(problem.message, problem.path) for problem in problems(json.dumps(definition), checks)]


@pytest.mark.fidelity(
    "Step Functions",
    "Each type of state has its fields in JSONata, and no others.",
    "States Language; Step Functions DG, Discovering workflow states",
)
@pytest.mark.parametrize("kind", JSONATA)
def test_every_field_of_a_jsonata_state(kind: str) -> None:
    assert found({"Type": kind, **JSONATA[kind]}) == []
    assert found({"Type": kind, "QueryLanguage": "JSONata", **JSONATA[kind]}, "JSONPath") == []


@pytest.mark.fidelity(
    "Step Functions",
    "Each type of state has its fields in JSONPath, and no others.",
    "States Language; Step Functions DG, Discovering workflow states",
)
@pytest.mark.parametrize("kind", JSONPATH)
def test_every_field_of_a_jsonpath_state(kind: str) -> None:
    assert found({"Type": kind, **JSONPATH[kind]}, "JSONPath") == []


def test_states_that_end_the_machine() -> None:
    assert found({"Type": "Succeed", "Output": 1, "Comment": "c"}) == []
    assert found({"Type": "Fail", "Error": "E", "Cause": "c", "Comment": "c"}) == []
    assert found({"Type": "Succeed", **PATHS}, "JSONPath") == []
    assert found({"Type": "Fail", "ErrorPath": "$.e", "CausePath": "$.c"}, "JSONPath") == []
    for kind in ("Succeed", "Fail"):
        assert found({"Type": kind, "Assign": {"v": 1}}) == [
            (f"Field 'Assign' is not supported by a {kind} state", "/States/S/Assign")
        ]


def test_every_field_of_a_machine() -> None:
    top = {"Comment": "c", "Version": "1.0", "TimeoutSeconds": 1}
    assert found(DONE, **top) == []
    assert found(DONE, Timeout=1) == [("Field 'Timeout' is not supported", "/Timeout")]
    assert found({"Type": "Wait", "Timestamp": "2026-01-01T00:00:00Z", "End": True}) == []
    assert found({"Type": "Wait", "SecondsPath": "$.s", "End": True}, "JSONPath") == []


@pytest.mark.fidelity(
    "Step Functions",
    "A field of the other query language is refused as that.",
    "Step Functions DG, Transforming data with JSONata in Step Functions",
)
@pytest.mark.parametrize("kind", JSONATA)
def test_a_field_of_the_other_language_is_refused_as_that(kind: str) -> None:
    """Developer Guide, "Transforming data with JSONata": the fields that only one of the languages has."""
    other = {"Type": kind, **JSONPATH[kind]}
    told = {path: message for message, path in found(other)}
    for field in JSONPATH[kind].keys() - JSONATA[kind].keys():
        assert told[f"/States/S/{field}"] == f"Field '{field}' is not supported in a JSONata state"
    told = {path: message for message, path in found({"Type": kind, **JSONATA[kind]}, "JSONPath")}
    for field in {"Arguments", "Output", "Items"} & JSONATA[kind].keys():
        assert told[f"/States/S/{field}"] == f"Field '{field}' is not supported in a JSONPath state"


@pytest.mark.parametrize(
    ("field", "what"),
    [
        ("Credentials", "tasks in other accounts"),
        ("ItemReader", "the distributed Map"),
        ("ItemBatcher", "the distributed Map"),
        ("ResultWriter", "the distributed Map"),
        ("Label", "the distributed Map"),
        ("ToleratedFailureCount", "the distributed Map"),
        ("ToleratedFailureCountPath", "the distributed Map"),
        ("ToleratedFailurePercentage", "the distributed Map"),
        ("ToleratedFailurePercentagePath", "the distributed Map"),
    ],
)
def test_what_aws_has_and_is_not_here_is_refused_by_name(field: str, what: str) -> None:
    kind = "Task" if field == "Credentials" else "Map"
    refused = [(f"not supported here: {what} ({field})", f"/States/S/{field}")]
    assert found({"Type": kind, **JSONATA[kind], field: {}}) == refused


def test_a_distributed_map_is_refused_by_its_mode() -> None:
    processor = {**ITERATED, "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
    state = {"Type": "Map", "ItemProcessor": processor, "End": True}
    assert found(state) == [("not supported here: the distributed Map", "/States/S/ItemProcessor/ProcessorConfig/Mode")]


# "Choice State": the data-test expressions that are evaluated here.
OPERATORS = (
    *(f"{kind}{how}" for kind in ("Numeric", "String", "Timestamp") for how in ("Equals", "GreaterThan", "LessThan")),
    *(f"{kind}{how}Equals" for kind in ("Numeric", "String", "Timestamp") for how in ("GreaterThan", "LessThan")),
    *(f"Numeric{how}Path" for how in ("Equals", "GreaterThan", "LessThan", "GreaterThanEquals", "LessThanEquals")),
    *(f"Is{what}" for what in ("Boolean", "Null", "Numeric", "Present", "String", "Timestamp")),
    "BooleanEquals",
    "BooleanEqualsPath",
    "StringEqualsPath",
    "StringMatches",
)


def rule(**fields: Any) -> list[tuple[str, str]]:
    choice = {"Type": "Choice", "Choices": [{**fields, "Next": "End"}], "Default": "End"}
    return found(choice, "JSONPath")


@pytest.mark.fidelity(
    "Step Functions",
    "A JSONPath choice's comparison operators are taken, each with its type of value.",
    "States Language, Choice State: data-test expressions",
)
@pytest.mark.parametrize("operator", OPERATORS)
def test_the_operators_of_a_jsonpath_rule(operator: str) -> None:
    comparison = {"Variable": "$.a", operator: "$.b"}
    assert rule(**comparison) == []
    assert rule(And=[comparison, {"Not": comparison}]) == rule(Or=[comparison]) == []


def test_a_jsonpath_rule_is_refused_where_it_is_wrong() -> None:
    where = "/States/S/Choices[0]"
    one = ("A choice rule needs exactly one operator", where)
    assert rule(Variable="$.a") == [one]
    assert rule(Variable="$.a", IsNull=True, IsString=True) == [one]
    assert rule(Variable="$.a", TimestampEqualsPath="$.b") == []
    assert rule(Variable="$.a", StringMatchesPath="$.b") == [
        ("The operator 'StringMatchesPath' is not supported here", f"{where}/StringMatchesPath")
    ]
    assert rule(IsNull=True) == [("A comparison needs Variable", where)]
    nested = {"Variable": "$.a", "IsNull": True, "Next": "End"}
    assert rule(And=[nested]) == [("Next stands only in the outermost rule", f"{where}/And/Next")]
    assert rule(Variable="$.a", IsNull=True, Assign={}) == [
        ("not supported here: Assign in a JSONPath state; use JSONata", f"{where}/Assign")
    ]
    assert rule(Not={"IsNull": True}) == [("A comparison needs Variable", f"{where}/Not")]
    assert rule(Variable="$.a", IsNull=True, Comment="c") == []
