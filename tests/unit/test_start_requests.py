"""StartExecution's request (API reference, StartExecution)."""

from __future__ import annotations

from typing import Any

import pytest

from localaws.ministack_adapter.stepfunctions.start_requests import (
    RefusedStartError,
    check,
    execution_arn,
    is_answered_by,
)

MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:m"
RUNNING = {"status": "RUNNING", "input": '{"a": 1}'}


def refusal(**request: Any) -> str | None:
    try:
        check({"stateMachineArn": MACHINE, **request})
    except RefusedStartError as refused:
        return refused.code
    return None


def test_an_input_is_json_of_at_most_256_kib() -> None:
    assert refusal() is refusal(input="[]") is refusal(input='"' + "x" * 262_142 + '"') is None
    assert refusal(input='"' + "x" * 262_143 + '"') == "ValidationException"
    assert refusal(input="{") == "InvalidExecutionInput"
    assert refusal(input={}) == "SerializationException"


@pytest.mark.fidelity(
    "Step Functions",
    "An execution's name has 1 to 80 characters, without blanks, brackets and the like.",
    "Step Functions API, StartExecution: name",
)
@pytest.mark.parametrize("name", ["", "a" * 81, "a b", "a/b", "a:b", 1])
def test_a_name_has_80_characters_and_none_that_is_special(name: Any) -> None:
    assert refusal(name=name) == "InvalidName"
    assert refusal(name="a" * 80) is refusal(name="Run_1-ä") is None


def test_the_same_name_and_input_while_it_runs_is_the_same_execution() -> None:
    assert is_answered_by({"input": '{"a":1}'}, RUNNING)
    assert not is_answered_by({"input": '{"a":2}'}, RUNNING)
    assert not is_answered_by({"input": '{"a":1}'}, {**RUNNING, "status": "SUCCEEDED"})
    assert not is_answered_by({"input": '{"a":1}'}, None)
    assert is_answered_by({}, {"status": "RUNNING", "input": "{}"})


def test_an_execution_is_named_by_its_machine_and_name() -> None:
    named = execution_arn({"stateMachineArn": MACHINE, "name": "n"})
    assert named == "arn:aws:states:us-east-1:000000000000:execution:m:n"
