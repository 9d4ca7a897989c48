"""Ranges narrowed to where the best trials of earlier tuning jobs lie: pure functions over ParameterRanges."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]

# The best fifth of the trials says where it is good; of fewer than so many trials none does.
BEST, FEWEST_TRIALS, FEWEST_BEST = 0.2, 10, 4
# Shares of the range's own width, on its scale: what is left on both sides of the best, and the least that remains.
MARGIN, NARROWEST = 0.1, 0.2


@dataclass(frozen=True)
class Tried:
    """A trial's values, and the objective that it reached, of which more is better."""

    values: Mapping[str, str]
    objective: float


@dataclass(frozen=True)
class _Scale:
    """A range's scale: into the space in which values lie evenly, and back."""

    into: Callable[[float], float]
    back: Callable[[float], float]


_LINEAR = _Scale(float, float)
_SCALES = {
    "Logarithmic": _Scale(math.log, math.exp),
    "ReverseLogarithmic": _Scale(lambda value: -math.log1p(-value), lambda value: -math.expm1(-value)),
}


def refined(ranges: Mapping[str, Any], trials: Sequence[Tried]) -> tuple[Document, list[str]]:
    """ParameterRanges as narrow as the best trials allow, and the names of those that are narrower now."""
    best = best_of(trials)
    if not best:
        return dict(ranges), []
    found = {kind: [_narrowed(kind, entry, best) for entry in entries] for kind, entries in ranges.items()}
    before = [entry for entries in ranges.values() for entry in entries]
    after = [entry for entries in found.values() for entry in entries]
    return found, [old["Name"] for old, new in zip(before, after, strict=True) if old != new]


def best_of(trials: Sequence[Tried]) -> list[Tried]:
    """The trials that tell where it is good; none where there are too few to tell."""
    if len(trials) < FEWEST_TRIALS:
        return []
    ordered = sorted(trials, key=lambda trial: trial.objective, reverse=True)
    return ordered[: max(FEWEST_BEST, math.ceil(BEST * len(ordered)))]


def _narrowed(kind: str, entry: Mapping[str, Any], best: Sequence[Tried]) -> Document:
    found = [trial.values[entry["Name"]] for trial in best if entry["Name"] in trial.values]
    if kind == "CategoricalParameterRanges":
        kept = [value for value in entry["Values"] if value in found]
        return {**entry, "Values": kept or list(entry["Values"])}
    numbers = [number for number in map(_number, found) if number is not None]
    low, high = float(entry["MinValue"]), float(entry["MaxValue"])
    inside = [number for number in numbers if low <= number <= high]
    if not inside:
        return dict(entry)
    ends = _ends(_SCALES.get(entry.get("ScalingType", ""), _LINEAR), (low, high), inside)
    whole = kind == "IntegerParameterRanges"
    least, most = _whole(ends, (low, high)) if whole else ends
    return {**entry, "MinValue": json.dumps(least), "MaxValue": json.dumps(most)}


def _ends(scale: _Scale, whole: tuple[float, float], best: Sequence[float]) -> tuple[float, float]:
    """The narrower range's ends, inside of the whole."""
    low, high = map(scale.into, whole)
    width = high - low
    least, most = scale.into(min(best)) - MARGIN * width, scale.into(max(best)) + MARGIN * width
    lacking = max(0.0, NARROWEST * width - (most - least)) / 2
    least, most = max(low, least - lacking), min(high, most + lacking)
    # The ends themselves, where nothing was cut off: exp(log(x)) is only almost x.
    return (
        whole[0] if least <= low else max(whole[0], scale.back(least)),
        whole[1] if most >= high else min(whole[1], scale.back(most)),
    )


def _whole(ends: tuple[float, float], whole: tuple[float, float]) -> tuple[int, int]:
    least, most = math.floor(ends[0]), math.ceil(ends[1])
    if least == most:
        least, most = least - 1, most + 1
    return max(int(whole[0]), least), min(int(whole[1]), most)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
