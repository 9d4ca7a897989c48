"""An execution's passages through its states, read from its history.

Source: Step Functions API reference, GetExecutionHistory (HistoryEvent). Times are datetimes with a zone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from contract import causes, states

_FAILURES = ("Failed", "TimedOut", "Aborted")
# The beginnings of events about all branches of a state.
_OF_BRANCHES = ("ParallelState", "MapState")
_WITH_BRANCHES = ("Parallel", "Map")
_MEASURED_KINDS = ("Task", "Wait", *_WITH_BRANCHES)


@dataclass(frozen=True)
class Visit:
    """One passage through a state. `attempts` counts a task's tries; `error` is the last failure's, caught or not.

    `handled`: the error was one that the machine expects; it went on with its work. `told`: the failure that a choice
    has kept, {"state", "error", "cause"}, of a state whose task Step Functions calls a success.
    """

    name: str
    kind: str
    entered: datetime
    exited: datetime | None = None
    attempts: int = 0
    error: str | None = None
    cause: str | None = None
    output: str | None = None
    resource: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    handled: bool = False
    told: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float | None:
        return (self.exited - self.entered).total_seconds() if self.exited else None

    @property
    def failed(self) -> bool:
        """Whether the state was left by an error that ended the work (a retry that went well leaves none)."""
        return self.error is not None and not self.handled

    @property
    def takes_time(self) -> bool:
        return self.kind in _MEASURED_KINDS

    @property
    def has_branches(self) -> bool:
        """Whether others are visited within it."""
        return self.kind in _WITH_BRANCHES


@dataclass(frozen=True)
class Execution:
    """An execution's visits in the order of entering, and how it ended (None while it runs)."""

    visits: tuple[Visit, ...]
    status: str | None = None
    error: str | None = None
    cause: str | None = None
    ended: datetime | None = None

    @property
    def current(self) -> Visit | None:
        """The state it is in."""
        return (
            next((visit for visit in reversed(self.visits) if visit.exited is None), None) if not self.status else None
        )

    def blaming(self, state: str, error: str, cause: str) -> Execution:
        """The same, with an error in the last visit of a state that told of it by its answer: Step Functions calls a
        task that found the endpoint wrong, or a job that was stopped, a success."""
        last = next((index for index in reversed(range(len(self.visits))) if self.visits[index].name == state), None)
        if last is None or self.visits[last].failed:
            return self
        blamed = replace(self.visits[last], error=error, cause=cause, handled=False)
        return replace(self, visits=(*self.visits[:last], blamed, *self.visits[last + 1 :]))


def of_events(events: Sequence[Mapping[str, Any]]) -> Execution:
    """The visits that the events of GetExecutionHistory (oldest first) tell of."""
    visits: list[Visit] = []
    places: dict[int, int] = {}
    for event in events:
        place = _apply(event, visits, places.get(event.get("previousEventId", 0)))
        if place is not None and "id" in event:
            places[event["id"]] = place
    return _ended(events, _with_told(_with_handled(visits)))


def seconds_by_state(execution: Execution) -> dict[str, float]:
    """Seconds a state, summed over its visits, in the order of the first; a state that is still running isn't in it."""
    seconds: dict[str, float] = {}
    for visit in execution.visits:
        if visit.seconds is not None:
            seconds[visit.name] = round(seconds.get(visit.name, 0.0) + visit.seconds, 3)
    return seconds


def _apply(event: Mapping[str, Any], visits: list[Visit], place: int | None) -> int | None:
    """Applies an event to the visit that it is of, whose place is given back.

    place: of the visit that the event before is of; of two branches each has its own.
    """
    kind = event["type"]
    if kind.endswith("StateEntered"):
        visits.append(Visit(_details(event)["name"], _before(kind, "StateEntered"), event["timestamp"]))
        return len(visits) - 1
    if kind.endswith("StateExited"):
        return _leave(visits, _details(event), event["timestamp"])
    if place is None or visits[place].exited is not None or kind.startswith(_OF_BRANCHES):
        place = _open(visits, _before_any(kind, _OF_BRANCHES))
    if place is None:
        return None
    if kind in ("TaskScheduled", "LambdaFunctionScheduled"):
        visits[place] = _scheduled(visits[place], _details(event))
    elif kind in ("TaskSucceeded", "LambdaFunctionSucceeded"):
        visits[place] = replace(visits[place], error=None, cause=None)
    elif kind.endswith(_FAILURES) and not kind.startswith("Execution"):
        visits[place] = _failed(visits[place], _details(event))
    return place


def _before_any(kind: str, ends: Sequence[str]) -> str | None:
    """The kind of state that an event of branches as a whole is of; None for any other event."""
    found = next((end for end in ends if kind.startswith(end)), None)
    return _before(found, "State") if found else None


def _before(text: str, end: str) -> str:
    return text[: -len(end)]


def _details(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """An event's details, whatever its type calls them."""
    return next((value for name, value in event.items() if name.endswith("EventDetails")), {})


def _leave(visits: list[Visit], details: Mapping[str, Any], at: datetime) -> int | None:
    for index in reversed(range(len(visits))):
        if visits[index].name == details["name"] and visits[index].exited is None:
            visits[index] = replace(visits[index], exited=at, output=details.get("output"), told=_told(details))
            return index
    return None


def _told(details: Mapping[str, Any]) -> Mapping[str, Any]:
    """The machine's variable `failure`, where a state has set it on leaving."""
    return _json((details.get("assignedVariables") or {}).get("failure"))


def _open(visits: list[Visit], kind: str | None) -> int | None:
    """The place of the last visit that goes on, of a kind where one is given."""
    places = reversed(range(len(visits)))
    return next((at for at in places if visits[at].exited is None and kind in (None, visits[at].kind)), None)


def _scheduled(visit: Visit, details: Mapping[str, Any]) -> Visit:
    resource = details.get("resource")
    parameters = _json(details.get("parameters") or details.get("input"))
    return replace(visit, attempts=visit.attempts + 1, resource=resource, parameters=parameters)


def _failed(visit: Visit, details: Mapping[str, Any]) -> Visit:
    return replace(visit, error=details.get("error", "Failed"), cause=details.get("cause", ""))


def _with_handled(visits: list[Visit]) -> list[Visit]:
    """Marks the errors after which the machine did something else than to record or undo."""
    return [
        replace(visit, handled=True) if visit.error is not None and _goes_on(visits[index + 1 :]) else visit
        for index, visit in enumerate(visits)
    ]


def _goes_on(after: list[Visit]) -> bool:
    following = next((visit for visit in after if visit.takes_time or visit.name in states.REPAIRS), None)
    return following is not None and following.name not in states.REPAIRS


def _with_told(visits: list[Visit]) -> list[Visit]:
    """Puts a failure that a choice has kept into the state that it is of, unless a run goes on with its story after it,
    as with what training had saved when a rule stopped it."""
    blamed = list(visits)
    for index, visit in enumerate(visits):
        if visit.kind == "Choice" and visit.told.get("state") and not _story_goes_on(visits[index + 1 :]):
            _blame(blamed, index, causes.readable({"state": "", "error": "", "cause": "", **visit.told}))
    return blamed


def _story_goes_on(after: list[Visit]) -> bool:
    following = next((visit for visit in after if visit.name in (*states.MILESTONES, *states.REPAIRS)), None)
    return following is not None and following.name not in states.REPAIRS


def _blame(visits: list[Visit], before: int, failure: Mapping[str, Any]) -> None:
    """Gives the last visit of the failure's state its error; a task that failed by itself has its own.

    Where the run hasn't come to that state, what kept it from there is the last one that went wrong; of two models that
    were asked at once the challenger, whose fault ends a run before a champion's is looked at (asker).
    """
    for index in reversed(range(before)):
        if visits[index].name == failure["state"]:
            if visits[index].error is None:
                visits[index] = replace(visits[index], error=failure["error"], cause=failure["cause"])
            return
    found = [index for index in range(before) if visits[index].error is not None]
    if found:
        asked = [index for index in range(before) if visits[index].name == states.ASK_CHALLENGER]
        wrong = asked[-1] if asked and asked[-1] in found else found[-1]
        visits[wrong] = replace(visits[wrong], error=failure["error"], cause=failure["cause"], handled=False)


def _json(text: object) -> Mapping[str, Any]:
    try:
        value = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _ended(events: Iterable[Mapping[str, Any]], visits: list[Visit]) -> Execution:
    last = next(
        (event for event in events if event["type"].startswith("Execution") and event["type"] != "ExecutionStarted"),
        None,
    )
    if last is None:
        return Execution(tuple(visits))
    details = _details(last)
    return Execution(
        visits=tuple(visits),
        status=last["type"][len("Execution") :],
        error=details.get("error"),
        cause=details.get("cause"),
        ended=last["timestamp"],
    )
