"""The events of an execution, in the shape of GetExecutionHistory (API reference, HistoryEvent)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from localaws.states.errors import RUNTIME, StatesError

Event = dict[str, Any]
MAX_EVENTS = 25_000  # Service quotas: "Maximum execution history size"


class History:
    """Appends events, each with its id, to a list that others only read; tells `listener` of each."""

    def __init__(
        self, events: list[Event], now: Callable[[], str], listener: Callable[[Event], None] = lambda _event: None
    ) -> None:
        self._events = events
        self._now = now
        self._listener = listener
        self._lock = threading.Lock()
        self._closed = False

    def add(self, event_type: str, previous_id: int, details: Mapping[str, Any] | None) -> int:
        with self._lock:
            if self._closed:
                return previous_id
            if len(self._events) >= MAX_EVENTS - 1:
                raise StatesError(RUNTIME, f"The execution reached the maximum of {MAX_EVENTS} history events.")
            return self._append(event_type, previous_id, details)

    def close(self, event_type: str, details: Mapping[str, Any]) -> bool:
        """Append the execution's last event, once; False where it has ended already."""
        with self._lock:
            if self._closed:
                return False
            self._closed = True
            self._append(event_type, len(self._events), details)
            return True

    def _append(self, event_type: str, previous_id: int, details: Mapping[str, Any] | None) -> int:
        event: Event = {
            "timestamp": self._now(),
            "type": event_type,
            "id": len(self._events) + 1,
            "previousEventId": previous_id,
        }
        if details is not None:
            event[details_key(event_type)] = dict(details)
        self._events.append(event)
        self._listener(event)
        return int(event["id"])


class Trace:
    """One line of events in a history: each event's previous one is the line's, not another branch's."""

    def __init__(self, history: History, previous_id: int = 0) -> None:
        self._history = history
        self.previous_id = previous_id

    def add(self, event_type: str, details: Mapping[str, Any] | None = None) -> int:
        self.previous_id = self._history.add(event_type, self.previous_id, details)
        return self.previous_id

    def branch(self) -> Trace:
        return Trace(self._history, self.previous_id)


# All states share one details member for entering and one for leaving; other events have their own.
def details_key(event_type: str) -> str:
    """The member of HistoryEvent that holds this type's details: `taskFailedEventDetails` for `TaskFailed`."""
    if event_type.endswith("StateEntered"):
        return "stateEnteredEventDetails"
    if event_type.endswith("StateExited"):
        return "stateExitedEventDetails"
    return f"{event_type[0].lower()}{event_type[1:]}EventDetails"


def entered(name: str, state_input: Any) -> Event:
    return {"name": name, "input": json_text(state_input), "inputDetails": {"truncated": False}}


def exited(name: str, output: Any, assigned: Mapping[str, Any]) -> Event:
    event: Event = {"name": name, "output": json_text(output), "outputDetails": {"truncated": False}}
    if assigned:
        event["assignedVariables"] = {variable: json_text(value) for variable, value in assigned.items()}
        event["assignedVariablesDetails"] = {"truncated": False}
    return event


def failure(error: StatesError) -> Event:
    """The details of an event that tells of an error."""
    return {"error": error.error, "cause": error.cause}


def json_text(value: Any) -> str:
    """JSON as Step Functions writes it: compact, and not escaped beyond what JSON needs."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
