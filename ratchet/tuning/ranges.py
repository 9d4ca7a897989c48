"""Hyperparameters that tuning jobs search, and where their values stand on an axis."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

LINEAR, LOGARITHMIC, REVERSE_LOGARITHMIC = "Linear", "Logarithmic", "ReverseLogarithmic"
AUTO = "Auto"
# `Auto` leaves the scale to SageMaker, which doesn't tell what it chose: a range this wide can be read on a logarithmic
# axis only.
WIDE = 1000.0

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Hyperparameter:
    """A tuned hyperparameter: a range of numbers, or, where there are `categories`, those, as their values are sent."""

    name: str
    low: float = 0.0
    high: float = 0.0
    scaling: str = LINEAR
    whole: bool = False
    categories: tuple[str, ...] = ()

    @property
    def is_categorical(self) -> bool:
        return bool(self.categories)

    def number(self, value: str | None) -> float | None:
        """A value as what is drawn: its number, or its category's; None where it has no place."""
        if value is None:
            return None
        if self.is_categorical:
            return float(self.categories.index(value)) if value in self.categories else None
        number = as_number(value)
        if number is None or (self.scaling == LOGARITHMIC and number <= 0):
            return None
        return None if self.scaling == REVERSE_LOGARITHMIC and not 0 <= number < 1 else number

    def place(self, number: float) -> float:
        """Where a number stands between the range's ends, from 0 to 1, on the scale that it is searched on."""
        if self.is_categorical:
            return (number + 0.5) / len(self.categories)
        low, high = self._scaled(self.low), self._scaled(self.high)
        return 0.5 if high == low else (self._scaled(number) - low) / (high - low)

    def _scaled(self, number: float) -> float:
        if self.scaling == LOGARITHMIC:
            return math.log10(number)
        return reversed_logarithm(number) if self.scaling == REVERSE_LOGARITHMIC else number


def reversed_logarithm(number: float) -> float:
    """How many nines a number below 1 begins with: 0.9 → 1, 0.99 → 2. What a reverse logarithmic axis is even in."""
    return -math.log10(1 - number)


def as_number(value: str) -> float | None:
    """The finite number that a text is, if it is one."""
    try:
        number = float(unquoted(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def unquoted(value: str) -> str:
    """A value without the quotes that the SageMaker SDK puts around texts, which it sends as JSON."""
    if not value.startswith('"'):
        return value
    try:
        text = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return text if isinstance(text, str) else value


def of_document(ranges: Document) -> Iterator[Hyperparameter]:
    """The hyperparameters of a ParameterRanges."""
    for kind in ("ContinuousParameterRanges", "IntegerParameterRanges"):
        for entry in ranges.get(kind) or ():
            yield _numeric(entry, whole=kind.startswith("Integer"))
    for entry in ranges.get("CategoricalParameterRanges") or ():
        yield Hyperparameter(str(entry["Name"]), categories=tuple(map(str, entry["Values"])))


def _numeric(entry: Document, *, whole: bool) -> Hyperparameter:
    low, high = float(entry["MinValue"]), float(entry["MaxValue"])
    scaling = str(entry.get("ScalingType") or AUTO)
    if scaling == AUTO:
        scaling = LOGARITHMIC if low > 0 and high / low >= WIDE else LINEAR
    return Hyperparameter(str(entry["Name"]), low, high, scaling, whole)


def together(ranges: Iterable[Hyperparameter], values: Mapping[str, Sequence[str]]) -> tuple[Hyperparameter, ...]:
    """One hyperparameter a name: of several jobs' ranges, wide enough for all, and for the values that were tried.

    Args:
        ranges: those of the jobs, the ones that decide on the scale first.
        values: hyperparameter → its values in all trials.
    """
    found: dict[str, Hyperparameter] = {}
    for each in ranges:
        found[each.name] = _joined(found[each.name], each) if each.name in found else each
    for name, tried in values.items():
        found.setdefault(name, _inferred(name, tried))
    return tuple(_widened(each, values.get(each.name, ())) for each in found.values())


def _joined(one: Hyperparameter, other: Hyperparameter) -> Hyperparameter:
    if one.is_categorical or other.is_categorical:
        return replace(one, categories=tuple(dict.fromkeys((*one.categories, *other.categories))))
    whole = one.whole and other.whole
    return replace(one, low=min(one.low, other.low), high=max(one.high, other.high), whole=whole)


def _inferred(name: str, tried: Sequence[str]) -> Hyperparameter:
    """A hyperparameter of which only the values are known, as with Autotune."""
    numbers = [as_number(value) for value in tried]
    known = [number for number in numbers if number is not None]
    if not known or None in numbers:
        return Hyperparameter(name, categories=tuple(dict.fromkeys(tried)))
    return Hyperparameter(name, min(known), max(known), whole=all(number.is_integer() for number in known))


def _widened(each: Hyperparameter, tried: Sequence[str]) -> Hyperparameter:
    if each.is_categorical:
        return replace(each, categories=tuple(dict.fromkeys((*each.categories, *tried))))
    numbers = [number for value in tried if (number := each.number(value)) is not None]
    return replace(each, low=min([each.low, *numbers]), high=max([each.high, *numbers]))
