"""A state machine laid out for drawing: boxes, edges, and what one execution did with them. Lengths are pixels.

A run's machine has some forty states, most of them choices and repairs that a run never needs. Shown are the milestones
of the story, and whatever else the execution did or waited for; the ways between them go through the states that aren't
shown. Milestones go down one column; waiting stands beside it. A catch is drawn only where it was taken, since there is
one from nearly every state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from contract import states as known
from contract.causes import reason
from contract.histories import Execution, Visit
from ratchet.durations import duration

_SHOWN_KINDS = ("Task", "Wait", "Parallel", "Map", "Succeed", "Fail")

BOX_WIDTH, BOX_HEIGHT = 190, 40
COLUMN, ROW = 236, 64
LEFT, RIGHT, TOP = 64, 12, 6

Status = Literal["done", "failed", "current", "skipped"]
Place = tuple[int, int]


@dataclass(frozen=True)
class Box:
    """One state: where its upper left corner is, and what happened in it."""

    name: str
    kind: str
    x: int
    y: int
    status: Status
    note: str
    title: str


@dataclass(frozen=True)
class Edge:
    """A way from one state to another, as an SVG path."""

    path: str
    taken: bool
    caught: bool


@dataclass(frozen=True)
class Diagram:
    width: int
    height: int
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    hidden: int


@dataclass(frozen=True)
class _Way:
    """An arrow from one state to another; `caught` where an error leads there."""

    start: str
    end: str
    caught: bool = False


def lay_out(definition: Mapping[str, Any], execution: Execution) -> Diagram:
    """The diagram of a state machine's definition (Amazon States Language) and one of its executions."""
    states: Mapping[str, Mapping[str, Any]] = definition["States"]
    shown = _shown(states, execution.visits)
    ways = _ways_between(shown, [way for name, state in states.items() for way in _ways_of(name, state)])
    places = _places(states, shown, ways)
    edges = _edges(ways, places, [visit for visit in execution.visits if visit.name in shown])
    boxes = [_box(name, states[name], place, execution.visits) for name, place in places.items()]
    columns, rows = (1 + max(place[axis] for place in places.values()) for axis in (0, 1))
    return Diagram(
        width=LEFT + (columns - 1) * COLUMN + BOX_WIDTH + RIGHT,
        height=2 * TOP + (rows - 1) * ROW + BOX_HEIGHT,
        boxes=tuple(boxes),
        edges=tuple(edges),
        hidden=len(states) - len(shown),
    )


def _shown(states: Mapping[str, Mapping[str, Any]], visits: Sequence[Visit]) -> list[str]:
    """The milestones, and every visited state that does, waits or ends; in the order of the definition."""
    visited = {visit.name for visit in visits}
    return [
        name
        for name, state in states.items()
        if name in known.MILESTONES or (name in visited and state.get("Type") in _SHOWN_KINDS)
    ]


def _ways_of(name: str, state: Mapping[str, Any]) -> Iterator[_Way]:
    if "Next" in state:
        yield _Way(name, state["Next"])
    for choice in state.get("Choices", ()):
        yield _Way(name, choice["Next"])
    if "Default" in state:
        yield _Way(name, state["Default"])
    for catcher in state.get("Catch", ()):
        yield _Way(name, catcher["Next"], caught=True)


def _ways_between(shown: Sequence[str], ways: Sequence[_Way]) -> list[_Way]:
    """The ways from shown state to shown state, through those that aren't; a way is caught if any part of it is."""
    after: dict[str, list[_Way]] = {}
    for way in ways:
        after.setdefault(way.start, []).append(way)
    found: dict[tuple[str, str], bool] = {}
    for start in shown:
        for end, caught in _reached(start, frozenset(shown), after):
            found[start, end] = found.get((start, end), True) and caught
    return [_Way(start, end, caught) for (start, end), caught in found.items()]


def _reached(start: str, shown: frozenset[str], after: Mapping[str, list[_Way]]) -> Iterator[tuple[str, bool]]:
    """The shown states next after a state, and whether an error leads there. Calm ways are walked first."""
    waiting = [(way.end, way.caught) for way in after.get(start, ())]
    seen: set[tuple[str, bool]] = set()
    while waiting:
        name, caught = waiting.pop()
        if (name, caught) in seen:
            continue
        seen.add((name, caught))
        if name in shown:
            yield name, caught
        else:
            waiting += [(way.end, caught or way.caught) for way in after.get(name, ())]


def _places(states: Mapping[str, Mapping[str, Any]], shown: Sequence[str], ways: Sequence[_Way]) -> dict[str, Place]:
    """State → (column, row): one below the other, and waiting beside what it waits for."""
    rows = _rows(shown, [way for way in ways if states[way.start].get("Type") != "Wait"])
    column = [name for name in sorted(shown, key=lambda name: rows[name]) if states[name].get("Type") != "Wait"]
    places: dict[str, Place] = {name: (0, row) for row, name in enumerate(column)}
    for name in shown:
        if name not in places:
            beside = [places[way.start][1] for way in ways if way.end == name and way.start in places]
            places[name] = _free(places, min(beside, default=0))
    return places


def _free(places: Mapping[str, Place], row: int) -> Place:
    column = 1
    while (column, row) in places.values():
        column += 1
    return column, row


def _rows(shown: Sequence[str], ways: Sequence[_Way]) -> dict[str, int]:
    """State → the length of the longest way to it. A way back, to a state earlier in the definition, counts nothing."""
    order = {name: index for index, name in enumerate(shown)}
    rows = dict.fromkeys(shown, 0)
    for name in shown:
        for way in ways:
            if way.start == name and order[way.end] > order[name]:
                rows[way.end] = max(rows[way.end], rows[name] + 1)
    return rows


def _edges(ways: Sequence[_Way], places: Mapping[str, Place], visits: Sequence[Visit]) -> list[Edge]:
    taken = {(one.name, other.name): one.failed for one, other in pairwise(visits)}
    edges = [
        Edge(
            path=_path(places[way.start], places[way.end]),
            taken=(way.start, way.end) in taken,
            caught=taken.get((way.start, way.end), way.caught),
        )
        for way in ways
        if way.start != way.end and ((way.start, way.end) in taken or not way.caught)
    ]
    # What was taken is drawn last, over the rest.
    return sorted(edges, key=lambda edge: edge.taken)


def _corner(place: Place) -> Place:
    return LEFT + place[0] * COLUMN, TOP + place[1] * ROW


def _path(start: Place, end: Place) -> str:
    """Straight down, aside, or around the boxes between."""
    (x1, y1), (x2, y2) = _corner(start), _corner(end)
    if start[0] == end[0] and end[1] == start[1] + 1:
        return f"M{x1 + BOX_WIDTH // 2} {y1 + BOX_HEIGHT} V{y2 - 6}"
    if start[0] < end[0]:
        return _aside(x1 + BOX_WIDTH, y1 + 12, x2 - 6, y2 + 12)
    if start[0] > end[0]:
        return _aside(x1, y1 + BOX_HEIGHT - 12, x2 + BOX_WIDTH + 6, y2 + BOX_HEIGHT - 12)
    return _around(x1, y1 + BOX_HEIGHT // 2, y2 + BOX_HEIGHT // 2, abs(end[1] - start[1]))


def _aside(x1: int, y1: int, x2: int, y2: int) -> str:
    middle = (x1 + x2) // 2
    return f"M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}"


def _around(x: int, y1: int, y2: int, rows: int) -> str:
    """Along the left side of a column, further out the more rows it passes."""
    out = x - min(LEFT + 14, 22 + 5 * rows)
    return f"M{x} {y1} C{out} {y1} {out} {y2} {x - 6} {y2}"


def _box(name: str, state: Mapping[str, Any], place: Place, all_visits: Sequence[Visit]) -> Box:
    x, y = _corner(place)
    visits = [visit for visit in all_visits if visit.name == name]
    return Box(name, state.get("Type", ""), x, y, _status(visits), _note(visits), _title(name, state, visits))


def _status(visits: Sequence[Visit]) -> Status:
    if not visits:
        return "skipped"
    if visits[-1].failed or visits[-1].kind == "Fail":
        return "failed"
    return "done" if visits[-1].exited else "current"


def _note(visits: Sequence[Visit]) -> str:
    """`12 s`, `12 s · 3 attempts`, `4 s · 5 times`."""
    if not visits or not visits[-1].takes_time:
        return ""
    parts = [duration(sum(visit.seconds or 0 for visit in visits))]
    attempts = max(visit.attempts for visit in visits)
    parts += [f"{attempts} attempts"] if attempts > 1 else []
    parts += [f"{len(visits)} times"] if len(visits) > 1 else []
    return " · ".join(parts)


def _title(name: str, state: Mapping[str, Any], visits: Sequence[Visit]) -> str:
    """The text that a pointer resting on the box shows."""
    lines = [f"{name} ({state.get('Type', 'state')})", str(state.get("Comment", ""))]
    lines += [f"{visit.error}: {reason(visit.cause)}" for visit in visits if visit.error]
    lines += [] if visits else ["not entered in this run"]
    return "\n".join(line for line in lines if line)
