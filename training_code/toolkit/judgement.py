"""Which model is better, by how much, and how sure that is: labels and answers -> figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from contract import evaluations, files
from toolkit import answers as details
from toolkit import bootstrap, class_columns, metrics, own_metric, own_values, probabilities
from toolkit.errors import NoAnswersError, ToolkitError

if TYPE_CHECKING:
    Part = float | str  # a score, or why there is none

CHALLENGER, CHAMPION = files.CHALLENGER_INPUT, files.CHAMPION_INPUT


@dataclass(frozen=True)
class Question:
    """How the answers are judged.

    metric: a scikit-learn scorer's name, or `own`'s; greater is better.
    labels: the right answer to each example.
    segments: the examples' indices by the value of gate.segments' column; None where there is none.
    classes: whether each class is judged by itself.
    known: the classes that a model itself says it knows, by the model's name.
    """

    metric: str
    labels: list[str]
    how: bootstrap.Resampling
    segments: Mapping[str, Sequence[int]] | None = None
    classes: bool = False
    own: own_metric.OwnMetric | None = None
    known: Mapping[str, Sequence[str]] | None = None

    @property
    def parts(self) -> list[Sequence[int]]:
        return list((self.segments or {}).values())


@dataclass(frozen=True)
class Judged:
    """Each model's score; its scores on the resamples, of shape (models, resamples), and how many there were; its score
    on each segment; more metrics of the challenger; truth and answers as classes, where they are; the classes that a
    model knows and no held-out example is of."""

    scores: dict[str, float]
    resampled: np.ndarray
    resamples: int
    parts: dict[str, list[Part]]
    overview: dict[str, float]
    classes: tuple[np.ndarray, dict[str, np.ndarray]] | None = None
    absent: Sequence[str] = ()


def judge(question: Question, answers: dict[str, list[str]]) -> dict[str, Any]:
    """The figures of evaluation.json (see toolkit.evaluate).

    Args:
        answers: of the `challenger`, and of the `champion` if there is one; each as long as the labels.

    Raises:
        NoAnswersError: a model's answers don't fit the labels, or the metric.
        ToolkitError: the labels don't fit the metric.
    """
    judged, how = _judged(question, answers), question.how
    models = {
        name: {"score": judged.scores[name], "interval": bootstrap.interval(judged.resampled[index], how.confidence)}
        for index, name in enumerate(answers)
    }
    paired = CHAMPION in models
    differences = judged.resampled[0] - judged.resampled[1] if paired else None
    return {
        "metric": question.metric,
        "examples": len(question.labels),
        "challenger": models[CHALLENGER],
        "champion": models.get(CHAMPION),
        "difference": judged.scores[CHALLENGER] - judged.scores[CHAMPION] if paired else None,
        "interval": None if differences is None else bootstrap.interval(differences, how.confidence),
        **asdict(how),
        "resamples": judged.resamples,
        "metrics": judged.overview,
        **({} if question.segments is None else {evaluations.SEGMENTS: _segments(question.segments, judged.parts)}),
        **({evaluations.NOT_HELD_OUT: _told(judged.absent)} if judged.absent else {}),
        **({evaluations.CLASSES: _classes(*judged.classes)} if question.classes and judged.classes else {}),
    }


def _judged(question: Question, answers: dict[str, list[str]]) -> Judged:
    if question.own is not None:
        return _by_own_metric(question, question.own, answers)
    kind = _probabilities if question.metric in evaluations.OF_PROBABILITIES else _labels_or_numbers
    return kind(question, answers)


def _segments(segments: Mapping[str, Sequence[int]], parts: Mapping[str, Sequence[Part]]) -> list[dict[str, Any]]:
    """Each segment's scores: {"segment", "examples", "score", "champion", "unjudged": why the challenger has none}."""
    return [
        {
            "segment": name,
            "examples": len(places),
            "score": _or_none(parts[CHALLENGER][index]),
            "champion": _or_none(parts[CHAMPION][index]) if CHAMPION in parts else None,
            "unjudged": _why(parts[CHALLENGER][index]),
        }
        for index, (name, places) in enumerate(segments.items())
    ]


def _told(absent: Sequence[str]) -> list[str]:
    return [details.cut(name) for name in absent[: details.CLASSES]]


def _or_none(part: Part) -> float | None:
    return None if isinstance(part, str) else part


def _why(part: Part) -> str | None:
    return " ".join(part.split())[:200] if isinstance(part, str) else None


def _classes(truth: np.ndarray, answers: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Precision, recall and F1 of each class of the labels: the challenger's, and the champion's beside."""
    names, counts = np.unique(truth, return_counts=True)
    figures = {name: details.class_scores(truth, values, names) for name, values in answers.items()}
    return [
        {
            "class": details.cut(name),
            "examples": int(count),
            **figures[CHALLENGER][index],
            "champion": figures[CHAMPION][index] if CHAMPION in figures else None,
        }
        for index, (name, count) in enumerate(zip(names, counts))
    ]


def _parts(
    score: Callable[[np.ndarray, np.ndarray], float],
    truth: np.ndarray,
    predicted: Mapping[str, np.ndarray],
    parts: Sequence[Sequence[int]],
) -> dict[str, list[Part]]:
    """Each model's scores on the segments."""
    return {
        name: [_part(score, truth[list(places)], values[list(places)]) for places in parts]
        for name, values in predicted.items()
    }


def _part(score: Callable[[np.ndarray, np.ndarray], float], truth: np.ndarray, values: np.ndarray) -> Part:
    """A segment's score, or why it has none."""
    try:
        value = score(truth, values)
    except ValueError as error:
        return str(error)
    return value if math.isfinite(value) else "its examples are too few, or all of one class"


def _labels_or_numbers(question: Question, answers: dict[str, list[str]]) -> Judged:
    metric = question.metric
    truth, predicted = _values(metric, question.labels, answers)
    scores, resampled = _scores(metric, truth, predicted, question.how)
    parts = _parts(partial(metrics.score, metric), truth, predicted, question.parts)
    overview = metrics.overview(metric, truth, predicted[CHALLENGER])
    return Judged(scores, resampled, question.how.resamples, parts, overview, (truth, predicted))


def _probabilities(question: Question, answers: dict[str, list[str]]) -> Judged:
    metric, known = question.metric, metrics.numbers(question.labels)
    labels = np.array(question.labels) if known is None else known
    held_out = np.unique(labels)
    probabilities.check_classes(metric, held_out.tolist())
    classes, predicted = _columns(question, held_out, answers)
    truth = np.searchsorted(classes, labels)
    absent = [str(name) for name in classes if name not in held_out]
    if absent:
        print(f"note: no held-out example is of {_some(set(absent))}, which a model knows", flush=True)
    scores = {name: probabilities.score(metric, truth, values) for name, values in predicted.items()}
    resampled = probabilities.resampled(metric, truth, list(predicted.values()), question.how)
    parts = _parts(partial(probabilities.score, metric), truth, predicted, question.parts)
    guessed = {name: classes[values.argmax(-1)] for name, values in predicted.items()}
    overview = metrics.overview(metric, classes[truth], guessed[CHALLENGER])
    more = probabilities.overview(truth, predicted[CHALLENGER])
    told = (classes[truth], guessed)
    return Judged(scores, resampled, question.how.resamples, parts, {**overview, **more}, told, absent)


def _columns(
    question: Question, held_out: np.ndarray, answers: Mapping[str, Sequence[str]]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The classes that are held out or known to a model, and every model's probabilities of them.

    Raises:
        NoAnswersError: a model's can't be told apart, or the metric is of two classes, and there are more.
    """
    # Of two classes alone a third can't be left out.
    of_two = question.metric in evaluations.OF_TWO_CLASSES
    known = question.known or {}
    read = {name: probabilities.read(name, texts, held_out, known.get(name)) for name, texts in answers.items()}
    odd = next((name for name, (columns, _) in read.items() if of_two and len(columns) > 2), None)
    if odd is not None:
        raise NoAnswersError(odd, probabilities.unknown(odd, len(read[odd][0]), held_out))
    classes, values = zip(*read.values())
    return class_columns.together(dict(zip(read, values)), dict(zip(read, classes)))


def _by_own_metric(question: Question, own: own_metric.OwnMetric, answers: dict[str, list[str]]) -> Judged:
    labels = question.labels
    given = {name: own_values.answers(texts, labels) for name, texts in answers.items()}
    scores, resampled, parts, made = own_metric.judge(
        own, own_values.truths(labels), given, question.parts, question.how
    )
    if made < question.how.resamples:
        print(f"note: {own.name} is slow: {made} resamples, not {question.how.resamples}", flush=True)
    return Judged(scores, resampled, made, parts, {})


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
        outputs = metrics.rows(labels) if all(label.startswith("[") for label in labels) else None
        if outputs is not None and outputs.shape[1] > 1:
            return outputs, {name: _outputs(name, texts, outputs.shape[1]) for name, texts in answers.items()}
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


def _outputs(name: str, texts: list[str], count: int) -> np.ndarray:
    """Answers of several numbers each."""
    each = [metrics.rows([text]) for text in texts]
    odd = next((text for text, row in zip(texts, each) if row is None or row.shape[1] != count), None)
    if odd is not None:
        told = f"the {name} answered {odd[:60]!r}, but the held-out labels are {count} numbers each"
        raise NoAnswersError(name, f"{told}; output_fn must give so many a line, with commas between them")
    return np.concatenate([row for row in each if row is not None])


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
