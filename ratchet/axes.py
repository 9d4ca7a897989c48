"""Axes of the report's charts: geometry in the pixels of each chart's own picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 460, 220
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 12, 30


@dataclass(frozen=True)
class Tick:
    at: float
    label: str


class Axis:
    """Values along a stretch of pixels, with room at both ends."""

    def __init__(self, values: Sequence[float], start: float, end: float, *, logarithmic: bool = False) -> None:
        self._scale: Callable[[float], float] = math.log10 if logarithmic else float
        self.values = (min(values), max(values)) if max(values) > min(values) else (min(values),)
        low, high = self._scale(self.values[0]), self._scale(self.values[-1])
        room = (high - low) * 0.08 or abs(high) * 0.08 or 1.0
        self._low, self._high, self._start, self._end = low - room, high + room, start, end

    def at(self, value: float) -> float:
        share = (self._scale(value) - self._low) / (self._high - self._low)
        return round(self._start + share * (self._end - self._start), 1)

    def ticks(self) -> tuple[Tick, ...]:
        return tuple(Tick(self.at(value), _short(value)) for value in self.values)


def number(value: object) -> str:
    """A figure with as many digits as help: 1,234,567, 0.9312, 12.3."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return "–"
    if float(value).is_integer() and abs(value) >= 10:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def _short(value: float) -> str:
    """A figure that has room beside an axis."""
    if abs(value) >= 1e12:
        return f"{value:.3g}"
    return f"{value / 1e6:.4g} M" if abs(value) >= 1e7 else number(value)
