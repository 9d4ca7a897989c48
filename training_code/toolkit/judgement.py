"""Which model is better, by how much, and how sure that is: labels and answers -> figures."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from contract import evaluations
from toolkit import bootstrap, metrics, probabilities
from toolkit.errors import NoAnswersError, ToolkitError

if TYPE_CHECKING:
    # Each model's score; its scores on the resamples, of shape (models, resamples); more metrics of the challenger.
    Judged = tuple[dict[str, float], np.ndarray, dict[str, float]]


def judge(
    *,
    metric: str,
    labels: list[str],
    answers: dict[str, list[str]],
    how: bootstrap.Resampling,
) -> dict[str, Any]:
    """The figures of evaluation.json (see toolkit.evaluate).

    Args:
        metric: a scikit-learn scorer's name; greater is better.
        labels: the right answer to each example.
        answers: of the `challenger`, and of the `champion` if there is one; each as long as `labels`.

    Raises:
        NoAnswersError: a model's answers don't fit the labels, or the metric.
        ToolkitError: the labels don't fit the metric.
    """
    judged = _probabilities if metric in evaluations.OF_PROBABILITIES else _labels_or_numbers
    scores, resampled, overview = judged(metric, labels, answers, how)
    models = {
        name: {"score": scores[name], "interval": bootstrap.interval(resampled[index], how.confidence)}
        for index, name in enumerate(answers)
    }
    paired = "champion" in models
    return {
        "metric": metric,
        "examples": len(labels),
        "challenger": models["challenger"],
        "champion": models.get("champion"),
        "difference": scores["challenger"] - scores["champion"] if paired else None,
        "interval": bootstrap.interval(resampled[0] - resampled[1], how.confidence) if paired else None,
        **asdict(how),
        "metrics": overview,
    }


def _labels_or_numbers(
    metric: str, labels: list[str], answers: dict[str, list[str]], how: bootstrap.Resampling
) -> Judged:
    truth, predicted = _values(metric, labels, answers)
    scores, resampled = _scores(metric, truth, predicted, how)
    return scores, resampled, metrics.overview(metric, truth, predicted["challenger"])


def _probabilities(metric: str, labels: list[str], answers: dict[str, list[str]], how: bootstrap.Resampling) -> Judged:
    known = metrics.numbers(labels)
    classes, truth = np.unique(np.array(labels) if known is None else known, return_inverse=True)
    probabilities.check_classes(metric, classes.tolist())
    predicted = {name: probabilities.read(name, texts, len(classes)) for name, texts in answers.items()}
    scores = {name: probabilities.score(metric, truth, values) for name, values in predicted.items()}
    resampled = probabilities.resampled(metric, truth, list(predicted.values()), how)
    challenger = predicted["challenger"]
    overview = metrics.overview(metric, classes[truth], classes[challenger.argmax(-1)])
    return scores, resampled, {**overview, **probabilities.overview(truth, challenger)}


def _scores(
    metric: str, truth: np.ndarray, predicted: dict[str, np.ndarray], how: bootstrap.Resampling
) -> tuple[dict[str, float], np.ndarray]:
    """Each model's score, and its scores on the resamples: shape (models, resamples)."""
    scores = {name: _score(name, metric, truth, values) for name, values in predicted.items()}
    try:
        resampled = bootstrap.scores(metric, truth, list(predicted.values()), how)
    except ValueError as error:
        # By itself each has a score: it is the last one's answers with which no resample can be scored.
        raise _no_metric(list(predicted)[-1], metric, error) from error
    return scores, resampled


def _score(name: str, metric: str, truth: np.ndarray, values: np.ndarray) -> float:
    try:
        score = metrics.score(metric, truth, values)
    except ValueError as error:
        raise _no_metric(name, metric, error) from error
    if not math.isfinite(score):
        raise NoAnswersError(name, f"the {name}'s {metric} is {score}, so nothing can be compared with it")
    return score


def _no_metric(name: str, metric: str, error: ValueError) -> NoAnswersError:
    said = f"metric {metric} can't be computed from these labels and the {name}'s answers: {error}"
    return NoAnswersError(name, said)


def _values(metric: str, labels: list[str], answers: dict[str, list[str]]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Labels and answers as numbers if the labels are numbers, else as text."""
    truth = metrics.numbers(labels)
    if truth is None and metric in metrics.REGRESSION:
        odd = _no_number(labels)
        raise ToolkitError(f"metric {metric} needs numbers, but a held-out label is {odd!r}; is it the right column?")
    if truth is None:
        truth, predicted = np.array(labels), {name: np.array(texts) for name, texts in answers.items()}
    else:
        predicted = {name: _numbers(name, texts) for name, texts in answers.items()}
    if metric not in metrics.REGRESSION:
        for name, values in predicted.items():
            _check_labels(name, truth, values)
    return truth, predicted


def _numbers(name: str, texts: list[str]) -> np.ndarray:
    values = metrics.numbers(texts)
    if values is None:
        raise NoAnswersError(name, f"the {name} answered {_no_number(texts)!r}, but the held-out labels are numbers")
    return values


def _no_number(texts: list[str]) -> str:
    return next(text for text in texts if metrics.numbers([text]) is None)


def _check_labels(name: str, truth: np.ndarray, predicted: np.ndarray) -> None:
    """Refuses answers of which none is a held-out label: they mean something else. Single ones are merely wrong."""
    known, given = set(truth.tolist()), set(predicted.tolist())
    if known.isdisjoint(given):
        raise NoAnswersError(
            name,
            f"the {name} answers labels that no held-out example has ({_some(given)}); the held-out labels are "
            f"{_some(known)}: is it the right column?",
        )
    if not given <= known:
        print(f"note: the {name} answered labels that no held-out example has: {_some(given - known)}", flush=True)


def _some(labels: set[Any]) -> str:
    texts = sorted(str(label) for label in labels)
    return ", ".join(texts[:10]) + (", …" if len(texts) > 10 else "")
