"""The tuning of a run as a picture in its report: its trials in their order, and the best objective so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract.run_table import STOPPED_BY
from contract.tuning import GREATER, TUNING
from ratchet.axes import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, Tick, number

# Positive objectives that differ by more than this are drawn on a logarithmic axis.
LOGARITHMIC = 1e4
STOPPED = "Stopped"

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Dot:
    """A trial; `kind` is the page's word for how it is drawn."""

    x: float
    y: float
    kind: str
    title: str


@dataclass(frozen=True)
class Figure:
    """`best` is the line of the best objective so far; `job` is the tuning job."""

    job: str
    metric: str
    dots: tuple[Dot, ...]
    best: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    logarithmic: bool


@dataclass(frozen=True)
class _Judged:
    """A trial that has an objective; of one that a rule stopped the model can't be chosen, so it isn't the best."""

    number: int
    job: str
    objective: float
    stopped: bool
    by_rule: bool


def figure(record: Document) -> Figure | None:
    """The picture of a run that tuned (contract.tuning); None where fewer than two trials have an objective."""
    tuning = record.get(TUNING)
    rows = (tuning.get("trials") or ()) if isinstance(tuning, Mapping) else ()
    judged = sorted((each for row in rows if row for each in _judged(row)), key=lambda each: each.number)
    if not isinstance(tuning, Mapping) or len(judged) < 2:
        return None
    greater = tuning.get("better") == GREATER
    values = [each.objective for each in judged]
    chosen = (tuning.get("best") or {}).get("job")
    across = Axis([float(each.number) for each in judged], LEFT, WIDTH - RIGHT)
    wide = min(values) > 0 and max(values) > LOGARITHMIC * min(values)
    up = Axis(values, HEIGHT - BOTTOM, TOP, logarithmic=wide)
    return Figure(
        job=str(tuning.get("job", "")),
        metric=str(tuning.get("metric", "")),
        dots=tuple(_dot(each, across, up, chosen) for each in judged),
        best=" L".join(f"{x} {y}" for x, y in _course(judged, across, up, greater=greater)),
        x_ticks=across.ticks(),
        y_ticks=up.ticks(),
        logarithmic=wide,
    )


def _judged(row: Document) -> Iterator[_Judged]:
    value = row.get("objective")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        stopped, by_rule = row.get("status") == STOPPED, bool(row.get(STOPPED_BY))
        yield _Judged(int(row.get("number", 0)), str(row.get("job", "")), float(value), stopped, by_rule)


def _dot(each: _Judged, across: Axis, up: Axis, chosen: object) -> Dot:
    kind = "chosen" if each.job == chosen else "stopped" if each.stopped else "kept"
    return Dot(across.at(each.number), up.at(each.objective), kind, f"trial {each.number}: {number(each.objective)}")


def _course(judged: Sequence[_Judged], across: Axis, up: Axis, *, greater: bool) -> Iterator[tuple[float, float]]:
    """The corners of the line of the best so far."""
    best: float | None = None
    for each in judged:
        if each.by_rule or not (best is None or (each.objective > best if greater else each.objective < best)):
            continue
        if best is not None:
            yield across.at(each.number), up.at(best)
        best = each.objective
        yield across.at(each.number), up.at(best)
    if best is not None:
        yield across.at(judged[-1].number), up.at(best)
