"""The paired bootstrap: how sure is it that the challenger is better than the champion?

Both models answered the same n held-out examples. A resample draws n of these examples with replacement, and both
models are scored on it:

    d_b = metric(challenger on resample b) - metric(champion on resample b),     b = 1 … B
    interval = [ quantile((1 - c) / 2), quantile((1 + c) / 2) ] of d_1 … d_B,    c = confidence

the percentile interval of Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13. A resample takes
an example together with both answers, so what makes an example hard for both cancels out. The seed is fixed: the same
answers give the same interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from toolkit import metrics

if TYPE_CHECKING:
    Regression = Callable[[np.ndarray, np.ndarray], np.ndarray]
    # (how many, source of chance) -> chunks of shape (models, some resamples)
    Resampler = Callable[[int, np.random.Generator], Iterator[np.ndarray]]

# So that the largest array of a step stays below about 100 MB, however many examples there are.
_CELLS = 4_000_000


@dataclass(frozen=True)
class Resampling:
    """How a bootstrap is made: the interval's confidence (0 to 1), the number of resamples, the seed."""

    confidence: float = 0.95
    resamples: int = 2000
    seed: int = 20260730


def scores(metric: str, labels: np.ndarray, answers: list[np.ndarray], how: Resampling) -> np.ndarray:
    """Each model's metric on each resample of the examples, the same resamples for all: shape (models, resamples).

    Args:
        metric: a scikit-learn scorer's name, of labels or of numbers.
        labels: shape (examples,).
        answers: of each model, shape (examples,).
    """
    resampled = _resampler(metric, labels, answers)
    return np.concatenate(list(resampled(how.resamples, np.random.default_rng(how.seed))), axis=1)


def interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """The percentile interval that holds `confidence` of the values."""
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _resampler(metric: str, labels: np.ndarray, answers: list[np.ndarray]) -> Resampler:
    """The fastest way that gives scikit-learn's value on the examples themselves."""
    if metrics.formula(metric) and _agrees(metric, labels, answers, _by_counts(metric, labels, answers, exact=True)):
        return _by_counts(metric, labels, answers)
    if metric in metrics.REGRESSION and _agrees(
        metric, labels, answers, _by_examples(metric, labels, answers, exact=True)
    ):
        return _by_examples(metric, labels, answers)
    return _by_scikit_learn(metric, labels, answers)


def _agrees(metric: str, labels: np.ndarray, answers: list[np.ndarray], resampled: Resampler) -> bool:
    ours = next(resampled(1, np.random.default_rng(0)))[:, 0]
    return np.allclose(ours, [metrics.score(metric, labels, answer) for answer in answers], rtol=1e-9, atol=1e-12)


def _by_counts(metric: str, labels: np.ndarray, answers: list[np.ndarray], exact: bool = False) -> Resampler:
    """For labels: an example is no more than its kind (label, answer, answer), so draw how many there are of each kind.

    The multinomial distribution with the kinds' shares is exactly that of drawing examples with replacement, at a cost
    that doesn't grow with their number. `exact` takes the examples as they are, instead of a resample.
    """
    classes, codes = np.unique(np.concatenate([labels, *answers]), return_inverse=True)
    kinds, counts = np.unique(codes.reshape(1 + len(answers), -1), axis=1, return_counts=True)
    one_hot = np.eye(len(classes))[kinds]  # (label and models, kinds, classes)
    right = [one_hot[0] * one_hot[1 + model] for model in range(len(answers))]
    positive = int(np.searchsorted(classes, 1)) if classes.dtype.kind in "if" else 0
    value = metrics.formula(metric)
    assert value is not None  # noqa: S101 - asked by the caller
    step = max(1, _CELLS // max(1, len(classes) * 4, len(counts)))
    n = int(counts.sum())

    def resampled(resamples: int, random: np.random.Generator) -> Iterator[np.ndarray]:
        for start in range(0, resamples, step):
            size = min(step, resamples - start)
            drawn = np.tile(counts, (size, 1)) if exact else random.multinomial(n, counts / n, size=size)
            label = drawn @ one_hot[0]
            yield np.stack(
                [
                    value(metrics.Counts(drawn @ right[i], label, drawn @ one_hot[1 + i]), positive)
                    for i in range(len(answers))
                ]
            )

    return resampled


def _by_examples(metric: str, labels: np.ndarray, answers: list[np.ndarray], exact: bool = False) -> Resampler:
    """For numbers: draw the examples' indices."""
    value = metrics.REGRESSION[metric]
    n = len(labels)
    step = max(1, _CELLS // n)

    def resampled(resamples: int, random: np.random.Generator) -> Iterator[np.ndarray]:
        for start in range(0, resamples, step):
            size = min(step, resamples - start)
            drawn = np.tile(np.arange(n), (size, 1)) if exact else random.integers(0, n, size=(size, n))
            yield np.stack([_of_outputs(value, labels, answer, drawn) for answer in answers])

    return resampled


def _of_outputs(value: Regression, labels: np.ndarray, answers: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """A regression metric on resamples; of several numbers an example the average over them."""
    if labels.ndim == 1:
        return value(labels[drawn], answers[drawn])
    return np.mean([value(truth[drawn], given[drawn]) for truth, given in zip(labels.T, answers.T)], axis=0)


def _by_scikit_learn(metric: str, labels: np.ndarray, answers: list[np.ndarray]) -> Resampler:
    """Any other metric: one call of scikit-learn a resample and model, about a millisecond each."""
    n = len(labels)

    def resampled(resamples: int, random: np.random.Generator) -> Iterator[np.ndarray]:
        for _ in range(resamples):
            drawn = random.integers(0, n, size=n)
            yield np.array([[metrics.score(metric, labels[drawn], answer[drawn])] for answer in answers])

    return resampled
