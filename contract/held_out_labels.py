"""Whether a gate's metric can suit the held-out labels. scikit-learn refuses the others only after training."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from contract import evaluations

# The labels that a metric is of; any: nothing is known of the metric.
TWO_CLASSES, CLASSES, NUMBERS, ANY = "two-classes", "classes", "numbers", "any"
OF_CLASSES = (TWO_CLASSES, CLASSES)
# scikit-learn's pos_label: the class that a metric of two classes is about.
POSITIVE = 1.0

_COLUMN = " (is evaluate.label the right column?)"
# What pandas and databases write for a value that isn't there, and nobody calls a class.
_ABSENT = {"nan", "na", "n/a", "null", "nat", "<na>"}
# Logarithms and deviances: the least label, and whether it may be itself (scikit-learn's user guide, "Regression
# metrics"; their functions raise for others).
_LEAST = {
    "neg_mean_squared_log_error": (-1, False),
    "neg_root_mean_squared_log_error": (-1, False),
    "neg_mean_poisson_deviance": (0, True),
    "neg_mean_gamma_deviance": (0, False),
}
_SEVERAL = f"use {evaluations.ROC_AUC_OVR} or {evaluations.LOG_LOSS}"
# Errors have a value whatever the labels are; shares of a variance have none where there is no variance.
_ERRORS = "neg_"


class Label(NamedTuple):
    """A held-out label, and where it stands (file:line)."""

    place: str
    text: str


def unsuited(metric: str, needs: str, labels: Sequence[Label], *, whole: bool) -> str | None:
    """Why a metric can't judge by these labels, in a sentence; None if it can, or if that isn't known yet.

    Args:
        whole: whether these are all of the labels; else only what no further label can change is said.
    """
    if needs == NUMBERS and any(label.text.startswith("[") for label in labels):
        return _unsuited_outputs(metric, labels)
    of_numbers, of_two = needs == NUMBERS, metric in evaluations.OF_TWO_CLASSES
    reasons = [
        _no_number(metric, labels) if of_numbers else None,
        _too_small(metric, labels) if of_numbers else None,
        _missing(metric, labels) if whole and needs != ANY else None,
        _all_one(metric, needs, labels) if whole and needs != ANY else None,
        _several(metric, labels, whole=whole) if of_two else None,
        _unsuited_to_two(metric, labels, whole=whole) if needs == TWO_CLASSES else None,
        _fractions(metric, labels) if whole and needs == CLASSES else None,
    ]
    return next((reason for reason in reasons if reason), None)


def _unsuited_outputs(metric: str, labels: Sequence[Label]) -> str | None:
    """Of lists as JSON, which must be as many numbers each."""
    wanted = len(outputs(labels[0].text) or [0])
    odd = next((label for label in labels if len(outputs(label.text) or ()) != wanted), None)
    if odd is None:
        return None
    return f"{metric} needs numbers, as many for each example, but the label of {odd.place} is {odd.text!r}{_COLUMN}"


def outputs(text: str) -> list[float] | None:
    """The numbers of a label that is a JSON list; None where it is none of numbers."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    are_numbers = isinstance(values, list) and all(type(value) in (int, float) for value in values)
    return [float(value) for value in values] if are_numbers else None


def number(text: str) -> float | None:
    """The number that a label is; None where it is none, or not finite."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def classes(labels: Iterable[Label]) -> dict[object, Label]:
    """The first label of each class: numbers where all are (3 is 3.0), else texts."""
    known = list(labels)
    numbers = [number(label.text) for label in known]
    values: list[object] = [label.text for label in known] if None in numbers else list(numbers)
    return dict(zip(reversed(values), reversed(known)))


def _no_number(metric: str, labels: Sequence[Label]) -> str | None:
    for place, text in labels:
        if number(text) is None:
            return f"{metric} needs numbers, but the label of {place} is {text!r}{_COLUMN}"
    return None


def _too_small(metric: str, labels: Sequence[Label]) -> str | None:
    least, itself = _LEAST.get(metric, (-math.inf, True))
    for place, text in labels:
        value = number(text)
        if value is not None and (value < least or (value == least and not itself)):
            bound = f"at least {least}" if itself else f"greater than {least}"
            return f"{metric} needs labels {bound}, but that of {place} is {text}{_COLUMN}"
    return None


def _missing(metric: str, labels: Sequence[Label]) -> str | None:
    """One that stands for "not there" among numbers."""
    others = [label for label in labels if number(label.text) is None]
    if others and len(others) < len(labels) and all(label.text.lower() in _ABSENT for label in others):
        place, text = others[0]
        return f"{metric} can't judge by the label of {place}, {text!r}: no number, as the others; leave it out"
    return None


def _all_one(metric: str, needs: str, labels: Sequence[Label]) -> str | None:
    if len(labels) > 1 and len(classes(labels)) == 1 and not (needs == NUMBERS and metric.startswith(_ERRORS)):
        kinds = "other values" if needs == NUMBERS else "other classes"
        return (
            f"{metric} can't tell models apart: all {len(labels)} held-out labels are {labels[0].text!r}; "
            f"hold out examples of {kinds}, too (or is evaluate.label another column?)"
        )
    return None


def _several(metric: str, labels: Sequence[Label], *, whole: bool) -> str | None:
    if len(classes(labels)) > 2:
        return f"{metric} is of two classes, but the held-out labels are of {_counted(labels, whole=whole)}; {_SEVERAL}"
    return None


def _fractions(metric: str, labels: Sequence[Label]) -> str | None:
    """Of labels that are all numbers, one that is no class."""
    for place, text in [] if _no_number(metric, labels) else labels:
        value = number(text)
        if value is not None and value != round(value):
            others = f"use r2 or neg_mean_absolute_error{_COLUMN}"
            return f"{metric} compares classes, but the label of {place} is {value:g}; {others}"
    return None


def _unsuited_to_two(metric: str, labels: Sequence[Label], *, whole: bool) -> str | None:
    found = classes(labels)
    text = any(isinstance(value, str) for value in found)
    others = f"use {metric}_macro, {metric}_micro or {metric}_weighted"
    if len(found) > 2:
        return f"{metric} judges two classes, but the held-out labels are of {_counted(labels, whole=whole)}; {others}"
    if len(found) == 2 and (text or (whole and POSITIVE not in found)):
        return f"{metric} is about the class 1, but the held-out labels are {told(found)}; write 0 and 1, or {others}"
    return None


def _counted(labels: Sequence[Label], *, whole: bool) -> str:
    found = classes(labels)
    return f"{len(found) if whole else 'more than two'} classes ({told(found)})"


def told(values: Iterable[object]) -> str:
    """A few classes, in words."""
    texts = sorted(f"{value:g}" if isinstance(value, float) else str(value) for value in values)
    return ", ".join(texts[:10]) + (", …" if len(texts) > 10 else "")
