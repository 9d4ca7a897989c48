"""The gate's metrics of probabilities: greater is better, the error's are negated.

An answer is the probability of each class, in the sorted order of the classes (numbers by value, words by alphabet);
of two classes, that of the second alone will do. Every metric is computed from a weight an example, for many weightings
at once: all ones give scikit-learn's value, and a resample of the bootstrap is how often each example was drawn.

Formulas: scikit-learn user guide, "Metrics and scoring"; the calibration error is that of Guo et al., "On Calibration
of Modern Neural Networks" (2017), of the most probable class, in 10 bins of equal width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from contract import evaluations
from toolkit.bootstrap import Resampling
from toolkit.class_columns import classes_of
from toolkit.errors import NoAnswersError, ToolkitError

BINS = 10
# How far from 1 the sum of an answer's probabilities may be: they are written with few digits.
SUM_TOLERANCE = 1e-2
# So that the arrays of a step stay below about 100 MB.
_CELLS = 4_000_000

if TYPE_CHECKING:
    from toolkit.class_columns import Own

    # (weights of shape (resamples, examples)) -> one value a resample; not a number where a class wasn't drawn.
    Weighted = Callable[[np.ndarray], np.ndarray]


def check_classes(metric: str, classes: Sequence[object]) -> None:
    """Refuses held-out labels that the metric can't judge.

    Raises:
        ToolkitError: one class only, or more than two for a metric of two.
    """
    names = ", ".join(map(str, classes[:10])) + (", …" if len(classes) > 10 else "")
    if len(classes) < 2:
        raise ToolkitError(f"metric {metric} needs two classes or more, but all held-out labels are {names}")
    if len(classes) > 2 and metric in evaluations.OF_TWO_CLASSES:
        others = f"{evaluations.ROC_AUC_OVR} or {evaluations.LOG_LOSS}"
        raise ToolkitError(
            f"metric {metric} is of two classes, but the held-out labels have {len(classes)} ({names}); use {others}"
        )


def read(name: str, texts: Sequence[str], held_out: np.ndarray, own: Own = None) -> tuple[np.ndarray, np.ndarray]:
    """A model's answers as an array of shape (examples, classes), and the class of each column.

    Args:
        held_out: the classes of the held-out labels, sorted.
        own: the classes that the model itself says it knows, in the order of its answers.

    Raises:
        NoAnswersError: an answer is something else, or it can't be told which class is which.
    """
    rows = [_row(name, text) for text in texts]
    widths = sorted({len(row) for row in rows})
    if widths == [1, 2]:
        raise NoAnswersError(name, f"the {name} answers now one probability, now two")
    # All are of one width, or the odd one is told.
    width = next((width for width in widths if width != len(held_out)), widths[0])
    columns = held_out if len(held_out) == 2 and width == 1 else classes_of(width, held_out, own)
    if len(widths) > 1 or columns is None:
        raise NoAnswersError(name, unknown(name, width, held_out))
    values = np.array(rows, dtype=float)
    return columns, np.hstack([1 - values, values]) if width == 1 else values


def unknown(name: str, width: int, held_out: np.ndarray) -> str:
    """The sentence about answers whose classes can't be told."""
    count = len(held_out)
    wanted = "the second class's probability, or both" if count == 2 else f"{count}, one a class"
    said = f"the {name} answers {_count(width)}; the held-out labels have {count} classes: answer {wanted}"
    if width <= count:
        return said
    there = ", ".join(map(str, held_out[:10].tolist())) + (", …" if count > 10 else "")
    return f"{said}; or, if the held-out data lack a class (they have {there}), hold out examples of it, too"


def _count(number: int) -> str:
    return f"{number} probabilities" if number > 1 else "one probability"


def _row(name: str, text: str) -> list[float]:
    try:
        row = [float(field) for field in text.strip('[]" ').split(",")]
    except ValueError:
        row = [float("nan")]
    if not all(0 <= value <= 1 for value in row):
        raise NoAnswersError(
            name, f"the {name} answered {text[:60]!r}; a probability from 0 to 1 is needed, or one for each class"
        )
    if len(row) > 1 and abs(sum(row) - 1) > SUM_TOLERANCE:
        raise NoAnswersError(name, f"the {name} answered {text[:60]!r}; the probabilities of all classes sum up to 1")
    return row


def score(metric: str, truth: np.ndarray, answers: np.ndarray) -> float:
    """One model's metric. `truth` holds each example's class as a number from 0."""
    return float(_METRICS[metric](truth, answers)(np.ones((1, len(truth))))[0])


def overview(truth: np.ndarray, answers: np.ndarray) -> dict[str, float]:
    """Every metric of probabilities that suits the classes, for people to look at."""
    unsuited = evaluations.OF_TWO_CLASSES if answers.shape[1] > 2 else ()
    return {name: score(name, truth, answers) for name in _METRICS if name not in unsuited}


def resampled(metric: str, truth: np.ndarray, answers: Sequence[np.ndarray], how: Resampling) -> np.ndarray:
    """Each model's metric on each resample of the examples, the same resamples for all: shape (models, resamples).

    Resamples in which a class is missing that the metric needs are left out.
    """
    weighted = [_METRICS[metric](truth, answer) for answer in answers]
    values = np.concatenate(
        [np.stack([value(weights) for value in weighted]) for weights in _weights(len(truth), how)], axis=1
    )
    return values[:, np.isfinite(values).all(axis=0)]


def _weights(n: int, how: Resampling) -> Iterator[np.ndarray]:
    """How often each example is drawn, a row a resample, in chunks."""
    random = np.random.default_rng(how.seed)
    step = max(1, _CELLS // n)
    for start in range(0, how.resamples, step):
        size = min(step, how.resamples - start)
        drawn = random.integers(0, n, size=(size, n)) + np.arange(size)[:, None] * n
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)


def _mean(values: np.ndarray) -> Weighted:
    return lambda weights: weights @ values / weights.sum(-1)


def _log_loss(truth: np.ndarray, answers: np.ndarray) -> Weighted:
    epsilon = np.finfo(float).eps
    return _mean(np.log(np.clip(answers[np.arange(len(truth)), truth], epsilon, 1 - epsilon)))


def _brier(truth: np.ndarray, answers: np.ndarray) -> Weighted:
    squares = ((np.eye(answers.shape[1])[truth] - answers) ** 2).sum(-1)
    return _mean(-squares / (2 if answers.shape[1] == 2 else 1))


def _calibration(truth: np.ndarray, answers: np.ndarray) -> Weighted:
    sure, right = answers.max(-1), answers.argmax(-1) == truth
    # A bin is open below and closed above.
    bins = np.eye(BINS)[np.clip(np.ceil(sure * BINS).astype(int) - 1, 0, BINS - 1)]
    gaps = bins * (right - sure)[:, None]
    return lambda weights: -abs(weights @ gaps).sum(-1) / weights.sum(-1)


def _ranked(positive: np.ndarray, score: np.ndarray) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Weights -> the weights of the positive and the negative examples by score, greatest first, ties together."""
    order = np.argsort(-score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=np.inf))
    is_positive = positive[order]

    def ranked(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ordered = weights[:, order]
        right = np.add.reduceat(ordered * is_positive, starts, axis=1)
        return right, np.add.reduceat(ordered, starts, axis=1) - right

    return ranked


def _auc(positive: np.ndarray, score: np.ndarray) -> Weighted:
    ranked = _ranked(positive, score)

    def area(weights: np.ndarray) -> np.ndarray:
        right, wrong = ranked(weights)
        below = wrong.sum(-1, keepdims=True) - wrong.cumsum(-1)
        return _ratio((right * (below + wrong / 2)).sum(-1), right.sum(-1) * wrong.sum(-1))

    return area


def _precision(positive: np.ndarray, score: np.ndarray) -> Weighted:
    ranked = _ranked(positive, score)

    def average(weights: np.ndarray) -> np.ndarray:
        right, wrong = ranked(weights)
        found, taken = right.cumsum(-1), (right + wrong).cumsum(-1)
        precision = np.divide(found, taken, out=np.zeros(found.shape), where=taken > 0)
        return _ratio((right * precision).sum(-1), right.sum(-1))

    return average


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below > 0)


def _one_versus_rest(truth: np.ndarray, answers: np.ndarray) -> Weighted:
    # Of a class without an example nothing can be ranked: the average is over the others.
    each = [_auc(truth == index, answers[:, index]) for index in np.unique(truth)]
    return lambda weights: np.mean([area(weights) for area in each], axis=0)


_METRICS: dict[str, Callable[[np.ndarray, np.ndarray], Weighted]] = {
    evaluations.ROC_AUC: lambda truth, answers: _auc(truth == 1, answers[:, 1]),
    evaluations.AVERAGE_PRECISION: lambda truth, answers: _precision(truth == 1, answers[:, 1]),
    evaluations.ROC_AUC_OVR: _one_versus_rest,
    evaluations.LOG_LOSS: _log_loss,
    evaluations.BRIER_SCORE: _brier,
    evaluations.CALIBRATION_ERROR: _calibration,
}
