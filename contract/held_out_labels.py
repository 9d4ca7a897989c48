"""Whether a gate's metric can suit the held-out labels. scikit-learn refuses the others only after training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

# The labels that a metric is of; any: nothing is known of the metric.
TWO_CLASSES, CLASSES, NUMBERS, ANY = "two-classes", "classes", "numbers", "any"
# scikit-learn's pos_label: the class that a metric of two classes is about.
POSITIVE = 1.0


def unsuited(metric: str, needs: str, labels: Sequence[str], *, whole: bool) -> str | None:
    """Why a metric can't judge by these labels, in a sentence; None if it can, or if that isn't known yet.

    Args:
        whole: whether these are all of the labels; else only what no further label can change is said.
    """
    numbers = [_number(label) for label in labels]
    text = next((label for label in labels if _number(label) is None), None)
    if needs == NUMBERS:
        return None if text is None else f"{metric} needs numbers, but a held-out label is {text!r}{_COLUMN}"
    if needs == TWO_CLASSES:
        return _unsuited_to_two(metric, labels if text is not None else numbers, text, whole)
    fraction = next((number for number in numbers if number is not None and number != round(number)), None)
    if needs == CLASSES and whole and text is None and fraction is not None:
        others = f"use r2 or neg_mean_absolute_error{_COLUMN}"
        return f"{metric} compares classes, but a held-out label is {fraction:g}; {others}"
    return None


_COLUMN = " (is evaluate.label the right column?)"


def _unsuited_to_two(metric: str, values: Sequence[object], text: str | None, whole: bool) -> str | None:
    classes = set(values)
    others = f"use {metric}_macro, {metric}_micro or {metric}_weighted"
    if len(classes) > 2:
        counted = f"{len(classes)} classes" if whole else "more than two classes"
        return f"{metric} judges two classes, but the held-out labels are of {counted} ({_told(classes)}); {others}"
    if len(classes) == 2 and (text is not None or (whole and POSITIVE not in classes)):
        return (
            f"{metric} is about the class 1, but the held-out labels are {_told(classes)}; write 0 and 1, or {others}"
        )
    return None


def _told(classes: Iterable[object]) -> str:
    texts = sorted(f"{value:g}" if isinstance(value, float) else str(value) for value in classes)
    return ", ".join(texts[:10]) + (", …" if len(texts) > 10 else "")


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
