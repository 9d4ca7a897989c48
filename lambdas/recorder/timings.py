"""How long a run was in each of its states, from its execution's history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def seconds_by_state(events: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Seconds a state, summed over its visits, in the order of the first; a state that is still running isn't in it.

    Args:
        events: GetExecutionHistory's, oldest first.
    """
    entered: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    for event in events:
        if "stateEnteredEventDetails" in event:
            entered[event["stateEnteredEventDetails"]["name"]] = event["timestamp"]
        elif "stateExitedEventDetails" in event:
            name = event["stateExitedEventDetails"]["name"]
            if name in entered:
                visit = (event["timestamp"] - entered.pop(name)).total_seconds()
                seconds[name] = round(seconds.get(name, 0.0) + visit, 3)
    return seconds
