"""Definitions that are refused, each with the code, the place and the reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localaws.ministack_adapter.stepfunctions import jsonata
from localaws.states.definition import Checks, problems
from localaws.states.definition_problem import Problem

DONE = {"Type": "Succeed"}
TASK = {"Type": "Task", "Resource": "good", "End": True}


def found(states: dict[str, Any], **top: Any) -> list[Problem]:
    definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states), "A"), "States": states, **top}
    return problems(json.dumps(definition), checks())


def checks() -> Checks:
    return Checks(parse=jsonata.parse, resource=lambda arn: None if arn == "good" else "there is no such task")


def nested(states: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": next(iter(states)), "States": states}


def test_a_whole_machine_is_accepted() -> None:
    inner = nested({"In": {"Type": "Pass", "End": True}})
    retry = {
        "ErrorEquals": ["States.ALL"],
        "IntervalSeconds": 1,
        "MaxDelaySeconds": 5,
        "BackoffRate": 1.5,
        "MaxAttempts": 2,
        "JitterStrategy": "FULL",
    }
    catch = {"ErrorEquals": ["States.ALL"], "Output": "{% $states.errorOutput %}", "Assign": {"e": 1}, "Next": "Lost"}
    states = {
        "A": {**TASK, "Arguments": {"x": "{% $states.input.x %}"}, "Output": "{% $states.result %}", "Next": "Choose"},
        "Choose": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input = 1 %}", "Next": "Wait"}],
            "Default": "Both",
        },
        "Wait": {"Type": "Wait", "Seconds": "{% 1 + 1 %}", "Next": "Both"},
        "Both": {"Type": "Parallel", "Branches": [inner], "Next": "Each"},
        "Each": {
            "Type": "Map",
            "Items": "{% $states.input %}",
            "ItemProcessor": nested({"It": {"Type": "Pass", "End": True}}),
            "Retry": [retry],
            "Catch": [catch],
            "Next": "Done",
        },
        "Done": {"Type": "Succeed", "Output": 1},
        "Lost": {"Type": "Fail", "Error": "E", "Cause": "{% 'c' %}"},
    }
    del states["A"]["End"]
    assert found(states, TimeoutSeconds=60) == []


@pytest.mark.parametrize(
    ("states", "code", "path", "says"),
    [
        ({"A": {"Type": "Sleep"}}, "SCHEMA_VALIDATION_FAILED", "/States/A/Type", "'Sleep' is not a state type"),
        ({"A": {"Type": "Pass"}}, "SCHEMA_VALIDATION_FAILED", "/States/A", "Next, or End"),
        ({"A": {"Type": "Pass", "Next": "A", "End": True}}, "SCHEMA_VALIDATION_FAILED", "/States/A", "both"),
        ({"A": {"Type": "Pass", "Next": "B"}}, "MISSING_TRANSITION_TARGET", "/States/A/Next", "target: B"),
        ({"A": DONE, "B": DONE}, "MISSING_TRANSITION_TARGET", "/States/B", '"B" is not reachable'),
        ({"A": {"Type": "Task", "End": True}}, "SCHEMA_VALIDATION_FAILED", "/States/A", "'Resource'"),
        ({"A": {**TASK, "Resource": "bad"}}, "SCHEMA_VALIDATION_FAILED", "/States/A/Resource", "no such task (bad)"),
        ({"A": {**TASK, "Parameters": {}}}, "SCHEMA_VALIDATION_FAILED", "/States/A/Parameters", "in a JSONata state"),
        ({"A": {**TASK, "ResultPath": "$"}}, "SCHEMA_VALIDATION_FAILED", "/States/A/ResultPath", "in a JSONata state"),
        ({"A": {**DONE, "Next": "A"}}, "SCHEMA_VALIDATION_FAILED", "/States/A/Next", "by a Succeed state"),
        (
            {"A": {**TASK, "Argument": 1}},
            "SCHEMA_VALIDATION_FAILED",
            "/States/A/Argument",
            "'Argument' is not supported",
        ),
        ({"A": {**TASK, "TimeoutSeconds": 0}}, "SCHEMA_VALIDATION_FAILED", "/States/A/TimeoutSeconds", "from 1"),
        (
            {"A": {**TASK, "TimeoutSeconds": 5, "HeartbeatSeconds": 5}},
            "SCHEMA_VALIDATION_FAILED",
            "/States/A/HeartbeatSeconds",
            "smaller than TimeoutSeconds",
        ),
        ({"A": {**TASK, "Output": "{% 1 + %}"}}, "INVALID_JSONATA_EXPRESSION", "/States/A/Output", "in '1 +'"),
        (
            {"A": {**TASK, "Output": {"a": ["{% 1"]}}},
            "INVALID_JSONATA_EXPRESSION",
            "/States/A/Output/a[0]",
            "ends with",
        ),
        ({"A": {**TASK, "Output": "{% $eval('1') %}"}}, "INVALID_JSONATA_EXPRESSION", "/States/A/Output", "$parse"),
        (
            {"A": {**TASK, "Arguments": "{% $states.result %}"}},
            "INVALID_JSONATA_EXPRESSION",
            "/States/A/Arguments",
            "$states.result is not available",
        ),
        (
            {"A": {**TASK, "Output": "{% $states.errorOutput %}"}},
            "INVALID_JSONATA_EXPRESSION",
            "/States/A/Output",
            "$states.errorOutput is not available",
        ),
        ({"A": {**TASK, "Assign": {"a-b": 1}}}, "SCHEMA_VALIDATION_FAILED", "/States/A/Assign/a-b", "variable's name"),
        ({"A": {**TASK, "Assign": {"states": 1}}}, "SCHEMA_VALIDATION_FAILED", "/States/A/Assign/states", "'states'"),
        ({"A": {**TASK, "Retry": [{}]}}, "SCHEMA_VALIDATION_FAILED", "/States/A/Retry[0]/ErrorEquals", "non-empty"),
        (
            {"A": {**TASK, "Retry": [{"ErrorEquals": ["States.ALL", "X"]}]}},
            "SCHEMA_VALIDATION_FAILED",
            "/States/A/Retry[0]/ErrorEquals",
            "stand alone",
        ),
        (
            {"A": {**TASK, "Retry": [{"ErrorEquals": ["X"], "BackoffRate": 0.5}]}},
            "SCHEMA_VALIDATION_FAILED",
            "/States/A/Retry[0]/BackoffRate",
            "at least 1.0",
        ),
        (
            {"A": {**TASK, "Catch": [{"ErrorEquals": ["X"]}]}},
            "SCHEMA_VALIDATION_FAILED",
            "/States/A/Catch[0]",
            "needs Next",
        ),
        (
            {"A": {**TASK, "Catch": [{"ErrorEquals": ["X"], "Next": "Gone"}]}},
            "MISSING_TRANSITION_TARGET",
            "/States/A/Catch[0]/Next",
            "Gone",
        ),
        ({"A": {"Type": "Choice", "Choices": []}}, "SCHEMA_VALIDATION_FAILED", "/States/A/Choices", "non-empty"),
        (
            {"A": {"Type": "Choice", "Choices": [{"Condition": "yes", "Next": "A"}]}},
            "SCHEMA_VALIDATION_FAILED",
            "/States/A/Choices[0]/Condition",
            "boolean",
        ),
        ({"A": {"Type": "Wait", "End": True}}, "SCHEMA_VALIDATION_FAILED", "/States/A", "exactly one"),
        (
            {"A": {"Type": "Map", "ResultWriter": {}, "ItemProcessor": nested({"B": DONE}), "End": True}},
            "SCHEMA_VALIDATION_FAILED",
            "/States/A/ResultWriter",
            "not supported here: the distributed Map",
        ),
        (
            {"A": {"Type": "Parallel", "Branches": [nested({"A": DONE})], "End": True}},
            "DUPLICATE_STATE_NAME",
            "/States/A/Branches[0]/States/A",
            "Duplicate",
        ),
        ({"A" * 81: DONE}, "SCHEMA_VALIDATION_FAILED", f"/States/{'A' * 81}", "1 to 80 characters"),
    ],
)
def test_a_broken_definition_is_refused_where_it_is_broken(
    states: dict[str, Any], code: str, path: str, says: str
) -> None:
    matching = [problem for problem in found(states) if problem.code == code and problem.path == path]
    assert matching, found(states)
    assert says in matching[0].message


def test_the_start_must_exist_and_the_text_be_json() -> None:
    assert [str(problem) for problem in found({"A": DONE}, StartAt="B")] == [
        "MISSING_TRANSITION_TARGET: Missing 'StartAt' target: B at /StartAt"
    ]
    assert problems("{", checks())[0].code == "INVALID_JSON_DESCRIPTION"
    assert problems("[]", checks())[0].code == "INVALID_JSON_DESCRIPTION"


def test_a_jsonpath_state_may_not_stand_in_a_jsonata_machine_nor_assign() -> None:
    assert "can't be 'JSONPath'" in found({"A": {**DONE, "QueryLanguage": "JSONPath"}})[0].message
    assign = {"Type": "Pass", "Assign": {"a": 1}, "End": True}
    assert "use JSONata" in found({"A": assign}, QueryLanguage="JSONPath")[0].message
