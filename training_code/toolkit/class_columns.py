"""Which class each probability of an answer is of, where no held-out example is of some that the model knows.

A rare class may be missing from the held-out data of a day; the models still answer a probability for it. They are
compared on the classes that are there, if it is sure which probability is whose: the model says so itself (`classes_`,
as scikit-learn's estimators have it), or the labels are the whole numbers from 0 that a network's outputs are counted
by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Optional

import numpy as np

from toolkit import metrics

if TYPE_CHECKING:
    # A model's classes as it says them itself, as text; None where it doesn't.
    Own = Optional[Sequence[str]]


def classes_of(width: int, held_out: np.ndarray, own: Own) -> np.ndarray | None:
    """The classes of so many probabilities, each in its place; None where that isn't known.

    Args:
        held_out: the classes of the held-out labels, sorted.
    """
    if width == len(held_out):
        return held_out
    if width < len(held_out):
        return None
    known = _own(width, held_out, own)
    if known is not None:
        return known
    counted = held_out.dtype.kind == "i" and held_out[0] == 0 and held_out[-1] < width
    return np.arange(width) if counted else None


def _own(width: int, held_out: np.ndarray, own: Own) -> np.ndarray | None:
    """The model's own classes, if they are as many, and those of the held-out labels among them."""
    if own is None or len(set(own)) != width:
        return None
    values = np.array(own) if held_out.dtype.kind == "U" else metrics.numbers(own)
    return values if values is not None and np.isin(held_out, values).all() else None


def together(
    answers: Mapping[str, np.ndarray], classes: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """All classes that a model knows, and every model's answers with a column each; 0 for one that it doesn't know."""
    every = np.unique(np.concatenate(list(classes.values())))
    placed = {}
    for name, values in answers.items():
        placed[name] = np.zeros((len(values), len(every)))
        placed[name][:, np.searchsorted(every, classes[name])] = values
    return every, placed
