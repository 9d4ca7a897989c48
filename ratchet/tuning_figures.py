"""The tuning of a run in its report: its trials over their numbers with the best so far, and the best of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract import tuning as words
from ratchet.axes import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, Tick, number
from ratchet.terminal import shown

BEST_TRIALS = 5
# Positive objectives that differ by more than this are drawn on a logarithmic axis.
LOGARITHMIC = 1e4

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Dot:
    """A trial; `kind` is the page's word for how it is drawn."""

    x: float
    y: float
    kind: str
    title: str


@dataclass(frozen=True)
class Row:
    number: int
    objective: str
    chosen: bool
    values: tuple[str, ...]


@dataclass(frozen=True)
class Figure:
    """`best` is the line of the best objective so far; `told` is how many trials came to what, in words."""

    told: str
    dots: tuple[Dot, ...]
    best: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    logarithmic: bool
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Judged:
    """A trial with an objective."""

    number: int
    objective: float
    stopped: bool
    values: Mapping[str, str]


def figure(tuning: Document, trials: Sequence[Document]) -> Figure | None:
    """The figure of a run's tuning, as contract.tuning describes it; None where no trial has an objective."""
    judged = sorted((each for trial in trials for each in _judged(trial)), key=lambda each: each.number)
    if not judged:
        return None
    greater = tuning.get("better") == words.GREATER
    in_order = sorted(judged, key=lambda each: each.objective, reverse=greater)
    values = [each.objective for each in judged]
    across = Axis([float(each.number) for each in judged], LEFT, WIDTH - RIGHT)
    wide = min(values) > 0 and max(values) > LOGARITHMIC * min(values)
    up = Axis(values, HEIGHT - BOTTOM, TOP, logarithmic=wide)
    names = tuple(dict.fromkeys(name for each in judged for name in each.values))
    return Figure(
        told=_told(trials),
        dots=tuple(_dot(each, across.at(each.number), up.at(each.objective), in_order[0]) for each in judged),
        best="M" + " L".join(f"{x} {y}" for x, y in _best(judged, across, up, greater=greater)),
        x_ticks=across.ticks(),
        y_ticks=up.ticks(),
        logarithmic=wide,
        columns=tuple(map(shown, names)),
        rows=tuple(_row(each, in_order[0], names) for each in in_order[:BEST_TRIALS]),
    )


def _judged(trial: Document) -> Iterator[Judged]:
    value, of = trial.get("objective"), trial.get("number")
    if isinstance(value, (int, float)) and isinstance(of, (int, float, str)):
        values = trial.get("values")
        tried = {str(key): str(each) for key, each in values.items()} if isinstance(values, Mapping) else {}
        yield Judged(int(of), float(value), trial.get("status") == words.STOPPED, tried)


def _told(trials: Sequence[Document]) -> str:
    """`50 trials: 46 Completed, 3 Stopped, 1 Failed`."""
    found: dict[str, int] = {}
    for trial in trials:
        found[str(trial.get("status"))] = found.get(str(trial.get("status")), 0) + 1
    return f"{len(trials)} trials: {', '.join(f'{many} {status}' for status, many in found.items())}"


def _dot(each: Judged, x: float, y: float, best: Judged) -> Dot:
    kind = "chosen" if each is best else "stopped" if each.stopped else "kept"
    return Dot(x, y, kind, f"trial {each.number}: {number(each.objective)}")


def _best(judged: Sequence[Judged], across: Axis, up: Axis, *, greater: bool) -> Iterator[tuple[float, float]]:
    """The corners of the line, in the order of the trials."""
    best = judged[0].objective
    yield across.at(judged[0].number), up.at(best)
    for each in judged:
        if each.objective > best if greater else each.objective < best:
            yield across.at(each.number), up.at(best)
            best = each.objective
            yield across.at(each.number), up.at(best)
    yield across.at(judged[-1].number), up.at(best)


def _row(each: Judged, best: Judged, names: Sequence[str]) -> Row:
    values = tuple(_value(each.values.get(name, "–")) for name in names)
    return Row(each.number, number(each.objective), each is best, values)


def _value(value: str) -> str:
    """A value as it was tried, a long fraction cut."""
    try:
        return f"{float(value):.5g}" if len(value) > 8 else shown(value)
    except ValueError:
        return shown(value)
