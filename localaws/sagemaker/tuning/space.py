"""What a tuning job searches: hyperparameters with their ranges and scales, and values as SageMaker's strings.

A point of the space is also a position in the unit cube, a coordinate a hyperparameter on its own scale. Strategies
work there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

Scaling = Literal["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"]

# "Auto: SageMaker hyperparameter tuning chooses the best scale": AWS doesn't say how. Here a range of positive values
# over at least three orders of magnitude is logarithmic, any other linear.
AUTO_IS_LOGARITHMIC_FROM = 1000


@dataclass(frozen=True)
class Continuous:
    """A hyperparameter with any value from `low` to `high`."""

    name: str
    low: float
    high: float
    scaling: Scaling = "Auto"

    def at(self, position: float) -> str:
        """The value at a position in [0, 1]."""
        value = _from_scale(_between(position, self._scaled_low, self._scaled_high), self._scale)
        return repr(min(max(value, self.low), self.high))

    def position(self, value: str) -> float:
        """Where a value lies in [0, 1]; a parent's value outside of this range lies outside.

        Raises ValueError where it isn't on this scale at all.
        """
        return _share(_to_scale(float(value), self._scale), self._scaled_low, self._scaled_high)

    @property
    def _scale(self) -> Scaling:
        return _chosen(self.scaling, self.low, self.high)

    @property
    def _scaled_low(self) -> float:
        return _to_scale(self.low, self._scale)

    @property
    def _scaled_high(self) -> float:
        return _to_scale(self.high, self._scale)


@dataclass(frozen=True)
class Integer:
    """A hyperparameter with any whole value from `low` to `high`.

    Each has a share of [0, 1] of its own, so that none at the ends comes up half as often.
    """

    name: str
    low: int
    high: int
    scaling: Scaling = "Auto"

    def at(self, position: float) -> str:
        """The value at a position in [0, 1]."""
        value = round(_from_scale(_between(position, *self._ends), self._scale))
        return str(min(max(value, self.low), self.high))

    def position(self, value: str) -> float:
        """Where a value lies in [0, 1]; a parent's value outside of this range lies outside.

        Raises ValueError where it isn't on this scale at all.
        """
        return _share(_to_scale(float(value), self._scale), *self._ends)

    @property
    def _scale(self) -> Scaling:
        return _chosen(self.scaling, self.low, self.high)

    @property
    def _ends(self) -> tuple[float, float]:
        return _to_scale(self.low - 0.5, self._scale), _to_scale(self.high + 0.5, self._scale)


@dataclass(frozen=True)
class Categorical:
    """A hyperparameter with one of a few values, without an order."""

    name: str
    values: tuple[str, ...]

    def at(self, position: float) -> str:
        """The value at a position in [0, 1]."""
        return self.values[min(int(position * len(self.values)), len(self.values) - 1)]

    def position(self, value: str) -> float:
        """The middle of the value's share of [0, 1]. Raises ValueError for a value that isn't one of them."""
        return (self.values.index(value) + 0.5) / len(self.values)


Parameter = Continuous | Integer | Categorical


@dataclass(frozen=True)
class SearchSpace:
    """The hyperparameters that are tuned, in the order of the request: integer, continuous, categorical."""

    parameters: tuple[Parameter, ...]

    def at(self, positions: Sequence[float]) -> dict[str, str]:
        """The values at a point of the unit cube."""
        pairs = zip(self.parameters, positions, strict=True)
        return {parameter.name: parameter.at(position) for parameter, position in pairs}

    def positions(self, values: Mapping[str, str]) -> tuple[float, ...]:
        """The point of the unit cube for values. Raises KeyError or ValueError where they are of another space."""
        return tuple(parameter.position(values[parameter.name]) for parameter in self.parameters)

    def holds(self, values: Mapping[str, str]) -> bool:
        """Whether values name a point of this space; a parent's may be on no place of it."""
        try:
            self.positions(values)
        except (KeyError, ValueError):
            return False
        return True

    def size(self) -> int | None:
        """How many combinations there are; None where a continuous hyperparameter makes them endless."""
        counts = [_count(parameter) for parameter in self.parameters]
        return None if None in counts else math.prod(cast(list[int], counts))

    def grid(self) -> Iterator[dict[str, str]]:
        """Every combination of categories, the last hyperparameter changing fastest.

        Raises TypeError for hyperparameters with ranges: "you can only specify categorical hyperparameters" for Grid.
        """
        categories = [parameter for parameter in self.parameters if isinstance(parameter, Categorical)]
        if len(categories) != len(self.parameters):
            raise TypeError("a grid needs categorical hyperparameters only")
        names = [each.name for each in categories]
        for values in itertools.product(*(each.values for each in categories)):
            yield dict(zip(names, values, strict=True))


def from_ranges(document: Mapping[str, Any]) -> SearchSpace:
    """The space of a request's ``ParameterRanges``, which was checked before."""
    return SearchSpace(
        (
            *_integers(document.get("IntegerParameterRanges") or ()),
            *_continuous(document.get("ContinuousParameterRanges") or ()),
            *_categorical(document.get("CategoricalParameterRanges") or ()),
        )
    )


def _integers(ranges: Iterable[Mapping[str, Any]]) -> Iterator[Integer]:
    for each in ranges:
        yield Integer(each["Name"], int(each["MinValue"]), int(each["MaxValue"]), each.get("ScalingType") or "Auto")


def _continuous(ranges: Iterable[Mapping[str, Any]]) -> Iterator[Continuous]:
    for each in ranges:
        low, high = float(each["MinValue"]), float(each["MaxValue"])
        yield Continuous(each["Name"], low, high, each.get("ScalingType") or "Auto")


def _categorical(ranges: Iterable[Mapping[str, Any]]) -> Iterator[Categorical]:
    for each in ranges:
        yield Categorical(each["Name"], tuple(each["Values"]))


def _count(parameter: Parameter) -> int | None:
    if isinstance(parameter, Categorical):
        return len(parameter.values)
    if isinstance(parameter, Integer):
        return parameter.high - parameter.low + 1
    return 1 if parameter.low == parameter.high else None


def _chosen(scaling: Scaling, low: float, high: float) -> Scaling:
    if scaling != "Auto":
        return scaling
    return "Logarithmic" if low > 0 and high / low >= AUTO_IS_LOGARITHMIC_FROM else "Linear"


def _to_scale(value: float, scale: Scaling) -> float:
    if scale == "Logarithmic":
        return math.log(value)
    return -math.log1p(-value) if scale == "ReverseLogarithmic" else value


def _from_scale(value: float, scale: Scaling) -> float:
    if scale == "Logarithmic":
        return math.exp(value)
    return -math.expm1(-value) if scale == "ReverseLogarithmic" else value


def _between(share: float, low: float, high: float) -> float:
    return low + share * (high - low)


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5
