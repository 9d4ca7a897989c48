"""Small figures of a report as geometry: a line of scores, the interval of a difference, a chart of times.

Every position is a percentage of the figure's width, so that the page decides how wide it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contract.histories import Visit

_PAD = 0.12


@dataclass(frozen=True)
class Mark:
    """A value at its place."""

    label: str
    value: float
    at: float


@dataclass(frozen=True)
class Interval:
    """The interval of challenger − champion, beside zero and the margin that it must exceed."""

    low: Mark
    high: Mark
    difference: Mark
    zero: Mark
    margin: Mark | None
    confidence: float


@dataclass(frozen=True)
class Span:
    """One stretch of time, as percentages of the run's."""

    start: float
    width: float
    failed: bool


@dataclass(frozen=True)
class Bar:
    """One state's times, and all of them in seconds."""

    name: str
    spans: tuple[Span, ...]
    seconds: float


class _Scale:
    def __init__(self, values: Sequence[float]) -> None:
        low, high = min(values), max(values)
        pad = (high - low) * _PAD or abs(high) * _PAD or 1.0
        self._low, self._range = low - pad, high - low + 2 * pad

    def mark(self, label: str, value: float) -> Mark:
        return Mark(label, value, round(100 * (value - self._low) / self._range, 2))


def scores(evaluation: Mapping[str, Any], minimum: float | None) -> tuple[Mark, ...]:
    """Challenger, champion and floor on one line; empty where nothing was judged."""
    found = [(who, _number(evaluation.get(who) or {}, "score")) for who in ("champion", "challenger")]
    known = [(who, score) for who, score in found if score is not None]
    if not known:
        return ()
    known += [("floor", minimum)] if minimum is not None else []
    scale = _Scale([score for _, score in known])
    return tuple(scale.mark(who, score) for who, score in known)


def interval(evaluation: Mapping[str, Any], margin: float | None) -> Interval | None:
    """The interval of the difference; None where there was no champion to compare with."""
    bounds, difference = evaluation.get("interval"), _number(evaluation, "difference")
    if not isinstance(bounds, (list, tuple)) or len(bounds) != 2 or difference is None:
        return None
    low, high = float(bounds[0]), float(bounds[1])
    scale = _Scale([low, high, difference, 0.0, margin or 0.0])
    return Interval(
        low=scale.mark("low", low),
        high=scale.mark("high", high),
        difference=scale.mark("difference", difference),
        zero=scale.mark("0", 0.0),
        margin=scale.mark("margin", margin) if margin else None,
        confidence=float(evaluation.get("confidence", 0.95)),
    )


def bars(visits: Sequence[Visit], end: datetime | None) -> tuple[Bar, ...]:
    """The states that take time, along the run's; a state that is still open ends where the run does (`end`)."""
    timed = [visit for visit in visits if visit.takes_time]
    if not timed:
        return ()
    first = min(visit.entered for visit in visits)
    last = max([visit.exited or visit.entered for visit in timed] + ([end] if end else []))
    names = dict.fromkeys(visit.name for visit in timed)
    return tuple(_bar(name, [visit for visit in timed if visit.name == name], first, last) for name in names)


def _bar(name: str, visits: Sequence[Visit], first: datetime, last: datetime) -> Bar:
    whole = (last - first).total_seconds() or 1.0
    seconds = [((visit.exited or last) - visit.entered).total_seconds() for visit in visits]
    spans = [
        Span(
            start=round(100 * (visit.entered - first).total_seconds() / whole, 2),
            width=max(round(100 * length / whole, 2), 0.3),
            failed=visit.failed,
        )
        for visit, length in zip(visits, seconds, strict=True)
    ]
    return Bar(name, tuple(spans), sum(seconds))


def _number(document: Mapping[str, Any], name: str) -> float | None:
    value = document.get(name)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
