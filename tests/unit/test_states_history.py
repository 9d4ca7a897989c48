"""The history of an execution (API reference, GetExecutionHistory) and its log (Developer Guide, "Using CloudWatch Logs
to log execution history in Step Functions")."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localaws.states.errors import StatesError
from localaws.states.execution_log import is_logged, log_line
from localaws.states.history import Event, History, Trace, details_key, json_text


def history(heard: list[Event] | None = None, events: list[Event] | None = None) -> tuple[History, list[Event]]:
    events = [] if events is None else events
    listener = (lambda _event: None) if heard is None else heard.append
    return History(events, lambda: "2026-01-01T00:00:00Z", listener), events


def test_events_are_numbered_and_told() -> None:
    heard: list[Event] = []
    told, events = history(heard)
    assert told.add("TaskStarted", 0, {"resource": "r"}) == 1
    assert told.add("ParallelStateStarted", 1, None) == 2
    assert events == heard
    assert events[0] == {
        "timestamp": "2026-01-01T00:00:00Z",
        "type": "TaskStarted",
        "id": 1,
        "previousEventId": 0,
        "taskStartedEventDetails": {"resource": "r"},
    }
    assert events[1] == {**events[1], "id": 2, "previousEventId": 1}
    assert set(events[1]) == {"timestamp", "type", "id", "previousEventId"}


def test_a_closed_history_takes_no_more() -> None:
    told, events = history()
    told.add("PassStateEntered", 0, None)
    assert told.close("ExecutionSucceeded", {"output": "1"})
    assert (events[-1]["type"], events[-1]["previousEventId"]) == ("ExecutionSucceeded", 1)
    assert not told.close("ExecutionAborted", {})
    assert told.add("PassStateExited", 1, None) == 1
    assert len(events) == 2


@pytest.mark.fidelity(
    "Step Functions",
    "An execution has at most 25,000 events, and fails then.",
    "Step Functions DG, Service quotas",
)
def test_a_history_has_25000_events_and_the_last_is_the_executions_end() -> None:
    """Service quotas: "Maximum execution event history size", 25,000 events; the execution fails then."""
    told, events = history(events=[{}] * 24_998)
    told.add("PassStateEntered", 1, None)
    with pytest.raises(StatesError, match="maximum of 25000 history events") as error:
        told.add("PassStateExited", 1, None)
    assert error.value.error == "States.Runtime"
    assert told.close("ExecutionFailed", {})
    assert len(events) == 25_000


def test_a_branch_goes_on_from_where_it_began() -> None:
    told, events = history()
    trace = Trace(told)
    trace.add("ParallelStateEntered")
    branches = [trace.branch(), trace.branch()]
    for branch in branches:
        branch.add("PassStateEntered")
        branch.add("PassStateExited")
    trace.add("ParallelStateSucceeded")
    assert [event["previousEventId"] for event in events] == [0, 1, 2, 1, 4, 1]


@pytest.mark.fidelity(
    "Step Functions",
    "The details' member is named after the event's type.",
    "Step Functions API, HistoryEvent",
)
@pytest.mark.parametrize(
    ("event_type", "member"),
    [
        ("TaskStateEntered", "stateEnteredEventDetails"),
        ("ChoiceStateExited", "stateExitedEventDetails"),
        ("TaskFailed", "taskFailedEventDetails"),
        ("MapIterationStarted", "mapIterationStartedEventDetails"),
        ("ExecutionAborted", "executionAbortedEventDetails"),
    ],
)
def test_the_member_of_the_details(event_type: str, member: str) -> None:
    """API reference, HistoryEvent."""
    assert details_key(event_type) == member


def test_json_is_compact_and_keeps_its_letters() -> None:
    assert json_text({"a": [1, "é"]}) == '{"a":[1,"é"]}'


# --- logs ---


@pytest.mark.fidelity(
    "CloudWatch Logs",
    "Which events an execution's log has at each level.",
    "Step Functions DG, Using CloudWatch Logs: log levels",
)
@pytest.mark.parametrize(
    ("event_type", "levels"),
    [
        ("TaskScheduled", {"ALL"}),
        ("ExecutionStarted", {"ALL"}),
        ("ExecutionSucceeded", {"ALL"}),
        ("TaskFailed", {"ALL", "ERROR"}),
        ("TaskTimedOut", {"ALL", "ERROR"}),
        ("EvaluationFailed", {"ALL", "ERROR"}),
        ("ParallelStateFailed", {"ALL", "ERROR"}),
        ("FailStateEntered", {"ALL", "ERROR"}),
        ("MapIterationAborted", {"ALL", "ERROR"}),
        ("MapStateAborted", {"ALL", "ERROR"}),
        ("ParallelStateAborted", {"ALL", "ERROR"}),
        ("TaskStateAborted", {"ALL"}),
        ("ExecutionFailed", {"ALL", "ERROR", "FATAL"}),
        ("ExecutionTimedOut", {"ALL", "ERROR", "FATAL"}),
        ("ExecutionAborted", {"ALL", "ERROR", "FATAL"}),
    ],
)
def test_levels(event_type: str, levels: set[str]) -> None:
    """The guide's table of log levels by event type."""
    assert {level for level in ("ALL", "ERROR", "FATAL", "OFF") if is_logged(event_type, level)} == levels


LEFT: dict[str, Any] = {
    "type": "PassStateExited",
    "id": 3,
    "previousEventId": 2,
    "timestamp": "2026-01-01T00:00:00.500Z",
    "stateExitedEventDetails": {
        "name": "A",
        "output": "{}",
        "outputDetails": {"truncated": False},
        "assignedVariables": {"v": "1"},
        "assignedVariablesDetails": {"truncated": False},
    },
}


def test_a_line_of_the_log_has_the_event() -> None:
    moment, text = log_line(LEFT, "arn", include_execution_data=True)
    assert moment == 1_767_225_600_500
    assert json.loads(text) == {
        "id": "3",
        "type": "PassStateExited",
        "details": LEFT["stateExitedEventDetails"],
        "redrive_count": "0",
        "previous_event_id": "2",
        "event_timestamp": "1767225600500",
        "execution_arn": "arn",
    }


@pytest.mark.fidelity(
    "CloudWatch Logs",
    "Data are in the log with includeExecutionData only.",
    "Step Functions DG, Using CloudWatch Logs",
)
@pytest.mark.parametrize(
    ("event_type", "member"),
    [
        ("TaskStateEntered", "input"),
        ("TaskSucceeded", "output"),
        ("TaskScheduled", "parameters"),
        ("PassStateExited", "assignedVariables"),
    ],
)
def test_a_line_has_no_data_unless_asked_for(event_type: str, member: str) -> None:
    """The guide: includeExecutionData, "whether execution data is included in your log"."""
    details = {"name": "é", member: "secret", f"{member}Details": {"truncated": False}}
    event = {"type": event_type, "id": 1, "timestamp": LEFT["timestamp"], details_key(event_type): details}
    text = log_line(event, "arn", include_execution_data=False)[1]
    assert json.loads(text)["details"] == {"name": "é"}
    assert "é" in text


def test_an_event_without_details_or_a_previous_one() -> None:
    first = {"type": "ExecutionStarted", "id": 1, "timestamp": LEFT["timestamp"]}
    line = json.loads(log_line(first, "arn", include_execution_data=True)[1])
    assert (line["details"], line["previous_event_id"]) == ({}, "0")
