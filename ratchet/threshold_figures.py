"""What the threshold makes of the answers, as a figure: coverage and precision over thresholds, and the chosen one.

The evaluation tells it (toolkit.selective): figures at the threshold in the record, the curve in evaluation.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract import thresholds
from contract.thresholds import COVERAGE, PRECISION
from ratchet.axes import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, Tick

Document = Mapping[str, Any]

_INTERVAL = f"{PRECISION}_interval"


@dataclass(frozen=True)
class Threshold:
    """`band` is the interval of the precision, `chosen` where the threshold is, if all classes have one."""

    chosen: float | None
    coverage: str
    precision: str
    band: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    sentences: tuple[str, ...]


def figure(found: Document, curves: Document) -> Threshold | None:
    """The figure of an evaluation's `threshold` and its curves; None where there was no threshold.

    Args:
        found: {"threshold": its text, "challenger": its figures, "champion": the same or None}.
        curves: {"challenger": [a point, …]}.
    """
    if not found.get("challenger"):
        return None
    points = [point for point in curves.get("challenger") or () if point.get(COVERAGE) is not None]
    precise = [point for point in points if point.get(PRECISION) is not None]
    shares = [point[name] for point in precise for name in (COVERAGE, PRECISION)] or [0.0, 1.0]
    lows = [point[_INTERVAL][0] for point in precise if point.get(_INTERVAL)]
    across, up = Axis([0.0, 1.0], LEFT, WIDTH - RIGHT), Axis([0.0, *shares, *lows, 1.0], HEIGHT - BOTTOM, TOP)
    number = _number(found[thresholds.KEPT])
    return Threshold(
        chosen=None if number is None else across.at(number),
        coverage=_path([(point[thresholds.KEPT], point[COVERAGE]) for point in points], across, up),
        precision=_path([(point[thresholds.KEPT], point[PRECISION]) for point in precise], across, up),
        band=_band([point for point in precise if point.get(_INTERVAL)], across, up),
        x_ticks=across.ticks(),
        y_ticks=up.ticks(),
        sentences=tuple(_sentence(whose, found[whose], found) for whose in ("challenger", "champion") if found[whose]),
    )


def _path(places: Sequence[tuple[float, float]], across: Axis, up: Axis) -> str:
    return "M" + " L".join(f"{across.at(x)} {up.at(y)}" for x, y in places) if places else ""


def _band(points: Sequence[Document], across: Axis, up: Axis) -> str:
    """There along the upper bounds, back along the lower ones."""
    upper = [(point[thresholds.KEPT], point[_INTERVAL][1]) for point in points]
    lower = [(point[thresholds.KEPT], point[_INTERVAL][0]) for point in reversed(points)]
    return f"{_path([*upper, *lower], across, up)}Z" if points else ""


def _sentence(whose: str, at: Document, found: Document) -> str:
    """What a model does at the threshold, with the intervals."""
    text = found[thresholds.KEPT]
    where = f"At {text}" if _number(text) is not None else f"At {text}, by class,"
    answered = (
        f"{where} the {whose} answers {_percent(at[COVERAGE])} of {at['examples']} examples "
        f"{_between(at[f'{COVERAGE}_interval'])}"
    )
    unsure = f"{at['examples'] - at['answered']} are {thresholds.UNSURE}"
    if at[PRECISION] is None:
        return f"{answered}: {unsure}."
    return f"{answered}, of which {_percent(at[PRECISION])} are right {_between(at[_INTERVAL])}; {unsure}."


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _between(interval: Sequence[float] | None) -> str:
    return f"[{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]" if interval else ""


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
