"""The answers in detail, for people: per class or by their errors, and where challenger and champion differ.

All of it is bounded, however many classes and examples there are: evaluation.json keeps it, and the report shows it.

    {"classes": [{"label": "7", "examples": 51, "challenger": {"precision", "recall", "f1"}, "champion": …}, …],
     "confusion": {"labels": ["7", …], "challenger": [[51, 0], …], "champion": …},   a row a label, a column an answer
     or, where answers are numbers, "residuals": {"truth": [1.5, …], "challenger": [1.4, …], "champion": …},
     "differing": {"count": 17, "better": 12, "worse": 4,      with a champion, of the challenger; not of an own metric
                   "examples": [{"example": "a.csv:3", "asked": "0,1,…", "label", "challenger", "champion"}, …]}}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Dict

import numpy as np

from contract import evaluations
from toolkit import metrics

# The most frequent classes; the rest are one more, OTHERS.
CLASSES = 20
OTHERS = "(others)"
# Of a plot, evenly spread over the held-out examples; of the table of examples that are answered differently.
POINTS, EXAMPLES = 300, 20
LETTERS = 160

Document = Dict[str, Any]


def detail(
    metric: str,
    labels: Sequence[str],
    answers: Mapping[str, Sequence[str]],
    examples: Sequence[tuple[str, str]],
) -> Document:
    """The details of answers that are labels or numbers.

    Args:
        labels: the right answer to each example.
        answers: of the `challenger`, and of the `champion` if there is one.
        examples: of each, where it stands and what a model is asked.
    """
    truth, given = values_of(labels, answers)
    own = evaluations.is_own(metric)
    found, errors = _own_kind(truth, given) if own else _kind(metric, truth, given)
    if "champion" in given and (found or own):
        # Which of two answers is better is an own metric's to say, of all together.
        found["differing"] = _differing(truth, given, None if own else errors, examples)
    return found


def _kind(metric: str, truth: np.ndarray, given: Mapping[str, np.ndarray]) -> tuple[Document, Mapping[str, np.ndarray]]:
    """Residuals or classes, and how wrong each answer is; nothing where a regression's answers are no numbers."""
    if metric not in metrics.REGRESSION and truth.dtype.kind != "f":
        return _classes(truth, given), {name: (values != truth).astype(float) for name, values in given.items()}
    if any(values.dtype.kind not in "if" for values in (truth, *given.values())):
        return {}, {}
    return {"residuals": _residuals(truth, given)}, {name: np.abs(values - truth) for name, values in given.items()}


def _own_kind(truth: np.ndarray, given: Mapping[str, np.ndarray]) -> tuple[Document, None]:
    """Residuals of numbers, or classes where answers are labels; nothing of documents and of several numbers."""
    kinds = {values.dtype.kind for values in (truth, *given.values())}
    if "f" in kinds and kinds <= {"i", "f"}:
        return {"residuals": _residuals(truth, given)}, None
    are_labels = any(np.isin(values, truth).any() for values in given.values())
    return (_classes(truth, given) if are_labels else {}), None


def values_of(labels: Sequence[str], answers: Mapping[str, Sequence[str]]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Numbers if all of them are, else text."""
    truth = metrics.numbers(labels)
    given = {name: metrics.numbers(texts) for name, texts in answers.items()}
    numeric = {name: values for name, values in given.items() if values is not None}
    if truth is None or len(numeric) < len(given):
        return np.array(labels), {name: np.array(texts) for name, texts in answers.items()}
    return truth, numeric


def _residuals(truth: np.ndarray, given: Mapping[str, np.ndarray]) -> Document:
    chosen = np.unique(np.linspace(0, len(truth) - 1, min(POINTS, len(truth))).astype(int))
    return {name: values[chosen].astype(float).tolist() for name, values in {"truth": truth, **given}.items()}


def _classes(truth: np.ndarray, given: Mapping[str, np.ndarray]) -> Document:
    """Figures of each class, most frequent first, and the matrix of labels and answers."""
    names, counts = np.unique(truth, return_counts=True)
    answered = np.unique(np.concatenate(list(given.values())))
    shown = list(names[np.argsort(-counts, kind="stable")]) + [name for name in answered if name not in names]
    order = {name: index for index, name in enumerate(shown[:CLASSES])}
    size = len(order) + (len(shown) > CLASSES)
    places = np.array([order.get(name, size - 1) for name in truth])
    matrices = {
        name: _matrix(places, [order.get(value, size - 1) for value in values], size) for name, values in given.items()
    }
    texts = [cut(name) for name in order] + [OTHERS] * (len(shown) > CLASSES)
    scores = {name: class_scores(truth, values, list(order)) for name, values in given.items()}
    classes = [
        {"label": text, "examples": int(np.sum(truth == name)), **{who: scores[who][index] for who in given}}
        for index, (name, text) in enumerate(zip(order, texts))
    ]
    confusion = {"labels": texts, **{name: matrix.tolist() for name, matrix in matrices.items()}}
    return {"classes": classes, "confusion": confusion}


def _matrix(places: np.ndarray, answered: Sequence[int], size: int) -> np.ndarray:
    counts = np.zeros((size, size), dtype=int)
    np.add.at(counts, (places, np.array(answered)), 1)
    return counts


def class_scores(truth: np.ndarray, values: np.ndarray, names: Iterable[Any]) -> list[Document]:
    """Precision, recall and F1 of each class (scikit-learn user guide, "Precision, recall and F-measures")."""
    found = []
    for name in names:
        right = int(np.sum((truth == name) & (values == name)))
        label, answer = int(np.sum(truth == name)), int(np.sum(values == name))
        parts = {"precision": (right, answer), "recall": (right, label), "f1": (2 * right, label + answer)}
        found.append({name: above / below if below else 0.0 for name, (above, below) in parts.items()})
    return found


def _differing(
    truth: np.ndarray,
    given: Mapping[str, np.ndarray],
    errors: Mapping[str, np.ndarray] | None,
    examples: Sequence[tuple[str, str]],
) -> Document:
    """Those answered differently, the ones first by which most was lost; as many again by which most was gained."""
    gained = np.zeros(len(truth)) if errors is None else errors["champion"] - errors["challenger"]
    places = np.flatnonzero(given["challenger"] != given["champion"])
    ordered = places[np.argsort(gained[places], kind="stable")]
    half = EXAMPLES // 2
    shown = ordered if len(ordered) <= EXAMPLES else np.concatenate([ordered[:half], ordered[-half:]])
    return {
        "count": len(places),
        **({} if errors is None else {"better": int(np.sum(gained > 0)), "worse": int(np.sum(gained < 0))}),
        "examples": [
            {
                "example": cut(examples[index][0]),
                "asked": cut(examples[index][1]),
                "label": cut(truth[index]),
                **{name: cut(values[index]) for name, values in given.items()},
            }
            for index in shown.tolist()
        ],
    }


def cut(value: object) -> str:
    """A value as text, no longer than a table bears."""
    text = str(value)
    return text if len(text) <= LETTERS else text[: LETTERS - 1] + "…"
