"""ParameterRanges of a tuning job's request: what they must be, a sentence for each rule. Pure.

"Define Hyperparameter Ranges" (developer guide) has the rules. AWS's sentences aren't documented; those here name the
hyperparameter, what it has and what would be right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document

MOST_TUNED = 30  # hyperparameters of a tuning job
KINDS = ("IntegerParameterRanges", "ContinuousParameterRanges", "CategoricalParameterRanges")


def check(ranges: Document) -> None:
    """Raise what is wrong with the ranges."""
    names = tuned(ranges)
    if not names:
        raise errors.validation("ParameterRanges must have at least one hyperparameter to tune.")
    if len(names) > MOST_TUNED:
        raise errors.validation(
            f"A tuning job tunes at most {MOST_TUNED} hyperparameters; ParameterRanges has {len(names)}."
        )
    for name in names:
        if names.count(name) > 1:
            raise errors.validation(f"Hyperparameter {name} has more than one range; names must be unique.")
    for found in ranges.get("IntegerParameterRanges") or ():
        _check_numbers(found, integer=True)
    for found in ranges.get("ContinuousParameterRanges") or ():
        _check_numbers(found, integer=False)
    for found in ranges.get("CategoricalParameterRanges") or ():
        _check_categories(found)


def tuned(ranges: Document) -> list[str]:
    """The names of the hyperparameters that have ranges."""
    return [name for name, _kind, _range in each(ranges)]


def each(ranges: Document) -> Iterator[tuple[str, str, Document]]:
    """Every range with its hyperparameter's name and its kind, one of KINDS."""
    for kind in KINDS:
        for found in ranges.get(kind) or ():
            yield found["Name"], kind, found


def _check_numbers(found: Document, *, integer: bool) -> None:
    name, scaling = found["Name"], found.get("ScalingType", "Auto")
    low, high = (_number(name, member, found[member], integer=integer) for member in ("MinValue", "MaxValue"))
    if low >= high:
        raise errors.validation(
            f"Hyperparameter {name}: MinValue {found['MinValue']} must be less than MaxValue {found['MaxValue']}."
        )
    if scaling == "Logarithmic" and low <= 0:
        raise errors.validation(
            f"Hyperparameter {name}: logarithmic scaling works only for ranges that have only values greater than 0, "
            f"and MinValue is {found['MinValue']}."
        )
    if scaling == "ReverseLogarithmic":
        _check_reverse(found, low, high, integer=integer)


def _check_reverse(found: Document, low: float, high: float, *, integer: bool) -> None:
    name = found["Name"]
    if integer:
        raise errors.validation(
            f"Hyperparameter {name}: reverse logarithmic scaling is supported only for continuous hyperparameter "
            "ranges, not for integer ones."
        )
    if low < 0 or high >= 1:
        raise errors.validation(
            f"Hyperparameter {name}: reverse logarithmic scaling works only for ranges that are entirely within the "
            f"range 0<=x<1.0, not {found['MinValue']} to {found['MaxValue']}."
        )


def _number(name: str, member: str, text: str, *, integer: bool) -> float:
    try:
        value = float(int(text)) if integer else float(text)
    except (ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        wanted = "an integer" if integer else "a number"
        raise errors.validation(f"Hyperparameter {name}: {member} must be {wanted}, and is '{text}'.")
    return value


def _check_categories(found: Document) -> None:
    values = found["Values"]
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise errors.validation(f"Hyperparameter {found['Name']}: the values must be unique, and '{twice}' is not.")
