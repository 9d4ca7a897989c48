"""The gate's metrics for many resamples at once.

A metric's value is scikit-learn's own (`score`). For the thousands of resamples of a bootstrap the same formulas are
written here over arrays with a leading axis of resamples, and `toolkit.bootstrap` uses none that doesn't give
scikit-learn's value on the data at hand. Formulas: scikit-learn user guide, "Metrics and scoring".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

AVERAGES = ("macro", "micro", "weighted", "binary")


@dataclass(frozen=True)
class Counts:
    """How often each class was right, was the label, was the answer; each of shape (resamples, classes)."""

    right: np.ndarray
    label: np.ndarray
    answer: np.ndarray


def score(metric: str, labels: np.ndarray, answers: np.ndarray) -> float:
    """scikit-learn's scorer `metric` (greater is better) on the answers of a model that has already predicted.

    Raises:
        ValueError: scikit-learn knows no such scorer, it needs probabilities, or it doesn't fit the labels.
    """
    # Here, not above: it costs most of a second, and bad input should be told before.
    from sklearn.base import BaseEstimator
    from sklearn.metrics import get_scorer

    class Answered(BaseEstimator):  # type: ignore[misc]
        """A model whose prediction for example i is `answers[i]`."""

        def predict(self, rows: np.ndarray) -> np.ndarray:
            return answers[rows]

    try:
        return float(get_scorer(metric)(Answered(), np.arange(len(labels)), labels))
    except AttributeError as error:
        raise ValueError(
            f"metric {metric} needs probabilities, but a model is judged by the labels that serve.py answers"
        ) from error


def numbers(texts: Sequence[str]) -> np.ndarray | None:
    """Texts as numbers (whole ones as integers, so that "3" and "3.0" are one label), or None if one is no number."""
    try:
        values = np.array(texts, dtype=float)
    except ValueError:
        return None
    if not np.isfinite(values).all():
        return None
    return values.astype(np.int64) if (values == np.round(values)).all() and (abs(values) < 2**53).all() else values


def rows(texts: Sequence[str]) -> np.ndarray | None:
    """Texts as several numbers each, a JSON list or with commas between them: shape (texts, numbers), or None."""
    try:
        values = np.array([[float(field) for field in text.strip().strip("[]").split(",")] for text in texts])
    except ValueError:  # one is no number, or they aren't equally many
        return None
    return values if values.ndim == 2 and np.isfinite(values).all() else None


def overview(metric: str, labels: np.ndarray, answers: np.ndarray) -> dict[str, float]:
    """A few more of scikit-learn's metrics, for people to look at."""
    names = _OVERVIEW_OF_NUMBERS if metric in REGRESSION else _OVERVIEW_OF_LABELS
    return {name: score(name, labels, answers) for name in names}


_OVERVIEW_OF_LABELS = ("accuracy", "balanced_accuracy", "f1_macro")
_OVERVIEW_OF_NUMBERS = ("r2", "neg_mean_absolute_error", "neg_root_mean_squared_error")


def formula(metric: str) -> Callable[[Counts, int], np.ndarray] | None:
    """A classification metric from (counts, index of the class 1), one value a resample; None if `metric` is none."""
    if metric == "accuracy":
        return lambda c, _: _ratio(c.right.sum(-1), c.label.sum(-1))
    if metric == "balanced_accuracy":
        return lambda c, _: _mean(_ratio(c.right, c.label), c.label > 0)
    if metric == "matthews_corrcoef":
        return lambda c, _: _matthews(c)
    name, _, average = metric.partition("_")
    if name in _PARTS and (average or "binary") in AVERAGES:
        return lambda c, positive: _averaged(*_PARTS[name](c), c, average or "binary", positive)
    return None


# Numerator and denominator of each class's score.
_PARTS: dict[str, Callable[[Counts], tuple[np.ndarray, np.ndarray]]] = {
    "f1": lambda c: (2 * c.right, c.label + c.answer),
    "precision": lambda c: (c.right, c.answer),
    "recall": lambda c: (c.right, c.label),
    "jaccard": lambda c: (c.right, c.label + c.answer - c.right),
}


def _averaged(above: np.ndarray, below: np.ndarray, counts: Counts, average: str, positive: int) -> np.ndarray:
    if average == "micro":
        return _ratio(above.sum(-1), below.sum(-1))
    each = _ratio(above, below)
    if average == "binary":
        return each[..., positive]
    if average == "weighted":
        return _ratio((each * counts.label).sum(-1), counts.label.sum(-1))
    # A class that is neither label nor answer in a resample isn't among its classes.
    return _mean(each, counts.label + counts.answer > 0)


def _matthews(c: Counts) -> np.ndarray:
    n = c.label.sum(-1)
    covariance = c.right.sum(-1) * n - (c.label * c.answer).sum(-1)
    variances = (n**2 - (c.label**2).sum(-1)) * (n**2 - (c.answer**2).sum(-1))
    return _ratio(covariance, np.sqrt(variances))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The quotient; 0 where below is 0, as scikit-learn's zero_division does."""
    return np.divide(above, below, out=np.zeros(np.shape(below)), where=below != 0)


def _mean(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    return _ratio((values * where).sum(-1), where.sum(-1).astype(float))


# A regression metric from labels and answers of shape (resamples, examples).
REGRESSION: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "r2": lambda y, p: 1 - _ratio(((y - p) ** 2).sum(-1), ((y - y.mean(-1, keepdims=True)) ** 2).sum(-1)),
    "explained_variance": lambda y, p: 1 - _ratio((y - p).var(-1), y.var(-1)),
    "d2_absolute_error_score": lambda y, p: (
        1 - _ratio(abs(y - p).sum(-1), abs(y - np.median(y, -1, keepdims=True)).sum(-1))
    ),
    "neg_max_error": lambda y, p: -abs(y - p).max(-1),
    "neg_mean_absolute_error": lambda y, p: -abs(y - p).mean(-1),
    "neg_mean_absolute_percentage_error": lambda y, p: -(abs(y - p) / np.maximum(abs(y), np.finfo(float).eps)).mean(-1),
    "neg_mean_gamma_deviance": lambda y, p: -2 * (np.log(p / y) + y / p - 1).mean(-1),
    "neg_mean_poisson_deviance": lambda y, p: -2 * (y * np.log(np.where(y > 0, y, p) / p) - y + p).mean(-1),
    "neg_mean_squared_error": lambda y, p: -((y - p) ** 2).mean(-1),
    "neg_mean_squared_log_error": lambda y, p: -((np.log1p(y) - np.log1p(p)) ** 2).mean(-1),
    "neg_median_absolute_error": lambda y, p: -np.median(abs(y - p), -1),
    "neg_root_mean_squared_error": lambda y, p: -np.sqrt(((y - p) ** 2).mean(-1)),
    "neg_root_mean_squared_log_error": lambda y, p: -np.sqrt(((np.log1p(y) - np.log1p(p)) ** 2).mean(-1)),
}
