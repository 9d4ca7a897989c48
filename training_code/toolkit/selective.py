"""What a threshold of confidence makes of a model's answers: how many it lets through, and how many of those are right.

    coverage    the share of the examples that are answered, others are "unsure"
    precision   the share of the answered that are right; None where none is answered

Of both the interval is Wilson's, which holds at 0 and 1, too, where resamples of the examples are all alike (Brown,
Cai and DasGupta, "Interval Estimation for a Binomial Proportion", 2001). The curve is the same at many thresholds, each
for all classes alike. In the field: selective classification, its risk-coverage curve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any, Dict

import numpy as np

from contract import files, thresholds
from contract.threshold_answers import Threshold, read
from toolkit import answers as details
from toolkit.errors import NoAnswersError

CHALLENGER, CHAMPION = files.CHALLENGER_INPUT, files.CHAMPION_INPUT
# Close together where good models' confidences are.
GRID = (*(n / 20 for n in range(18)), *(n / 100 for n in range(90, 101)))

Document = Dict[str, Any]


def judged(
    text: str,
    labels: Sequence[str],
    texts: Mapping[str, Sequence[str]],
    confidences: Mapping[str, Sequence[float]],
    confidence: float,
) -> tuple[Document, Document]:
    """The figures of evaluation.json at the threshold, and the curve: {"challenger": [a point, …], "champion": …}.

    Args:
        text: the threshold, as the container has it.
        texts: of each model, what it predicts; whose `confidences` are not there doesn't say how sure it is.
        confidence: of the intervals.

    Raises:
        NoAnswersError: the challenger says no confidence.
    """
    if CHALLENGER not in confidences:
        raise NoAnswersError(CHALLENGER, _silent(texts[CHALLENGER][0]))
    truth, given = details.values_of(labels, texts)
    threshold = read(text)
    figures, curves = {}, {}
    for name in (name for name in given if name in confidences):
        right, sure = given[name] == truth, np.array(confidences[name])
        figures[name] = _at(right, sure >= _least(threshold, texts[name]), confidence)
        curves[name] = [_point(least, right, sure >= least, confidence) for least in GRID]
    at = {thresholds.KEPT: text, CHALLENGER: figures[CHALLENGER], CHAMPION: figures.get(CHAMPION)}
    return at, curves


def _silent(answer: str) -> str:
    return (
        f"the {CHALLENGER} answers {answer[:60]!r} without a confidence, which serving.threshold needs; write into "
        "serve.py, below its functions: predict_fn, output_fn = with_threshold(predict_fn, output_fn), from "
        "toolkit.threshold"
    )


def _least(threshold: Threshold, predictions: Sequence[str]) -> np.ndarray:
    return np.array([threshold.least(prediction) for prediction in predictions])


def _at(right: np.ndarray, answered: np.ndarray, confidence: float) -> Document:
    examples, count, correct = len(right), int(answered.sum()), int((right & answered).sum())
    return {
        "examples": examples,
        "answered": count,
        thresholds.COVERAGE: count / examples,
        f"{thresholds.COVERAGE}_interval": wilson(count, examples, confidence),
        thresholds.PRECISION: correct / count if count else None,
        f"{thresholds.PRECISION}_interval": wilson(correct, count, confidence),
    }


def _point(least: float, right: np.ndarray, answered: np.ndarray, confidence: float) -> Document:
    found = _at(right, answered, confidence)
    kept = (thresholds.COVERAGE, thresholds.PRECISION, f"{thresholds.PRECISION}_interval")
    return {thresholds.KEPT: least, **{name: found[name] for name in kept}}


def wilson(successes: int, trials: int, confidence: float) -> tuple[float, float] | None:
    """The interval of a share; None of nothing."""
    if not trials:
        return None
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, weight = successes / trials, z * z / trials
    middle = (share + weight / 2) / (1 + weight)
    half = z * ((share * (1 - share) + weight / 4) / trials) ** 0.5 / (1 + weight)
    return max(0.0, middle - half), min(1.0, middle + half)
