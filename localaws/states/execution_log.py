"""Execution logs: which events of a history are logged at which level, and in which shape
(Developer Guide, "Logging state machine execution history to CloudWatch Logs")."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from localaws.states.history import Event, details_key

LEVELS = ("ALL", "ERROR", "FATAL", "OFF")
_FATAL = frozenset({"ExecutionAborted", "ExecutionFailed", "ExecutionTimedOut"})
# The guide's table of levels by event type, the rows that ERROR has beyond FATAL.
_ERROR_ENDINGS = ("Failed", "TimedOut")
_ERROR = frozenset({"FailStateEntered", "MapIterationAborted", "MapStateAborted", "ParallelStateAborted"})
_EXECUTION_DATA = ("input", "output", "parameters", "assignedVariables")


def is_logged(event_type: str, level: str) -> bool:
    if level == "ALL":
        return True
    if level == "ERROR":
        return event_type in _ERROR | _FATAL or event_type.endswith(_ERROR_ENDINGS)
    return level == "FATAL" and event_type in _FATAL


def log_line(event: Event, execution_arn: str, include_execution_data: bool) -> tuple[int, str]:
    """(epoch milliseconds, JSON) of one event. Ids are strings in the log, unlike in the history."""
    moment = int(datetime.fromisoformat(event["timestamp"]).timestamp() * 1000)
    details: dict[str, Any] = dict(event.get(details_key(event["type"]), {}))
    if not include_execution_data:
        details = {key: value for key, value in details.items() if key.removesuffix("Details") not in _EXECUTION_DATA}
    line = {
        "id": str(event["id"]),
        "type": event["type"],
        "details": details,
        "redrive_count": "0",
        "previous_event_id": str(event.get("previousEventId", 0)),
        "event_timestamp": str(moment),
        "execution_arn": execution_arn,
    }
    return moment, json.dumps(line, ensure_ascii=False)
