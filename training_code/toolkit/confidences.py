"""Answers with a confidence, of which a threshold makes "unsure" (toolkit.threshold)."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from contract import threshold_answers
from contract.threshold_answers import Answer, Threshold
from contract.thresholds import FIELDS
from toolkit.errors import ServingError
from toolkit.signature import signed

_CSV, _JSON, _JSON_LINES = _KINDS = ("text/csv", "application/json", "application/jsonlines")
_ANY = "*/*"


@dataclass(frozen=True)
class _Sure:
    """Predictions, as Python's own values, with the confidence of each."""

    predictions: list[Any]
    confidences: list[float]

    def __len__(self) -> int:
        return len(self.predictions)

    def __getitem__(self, part: slice) -> _Sure:
        """Of some requests in a batch."""
        return _Sure(self.predictions[part], self.confidences[part])


def functions(
    predict_fn: Callable[..., Any],
    output_fn: Callable[..., Any],
    text: str,
    sure_fn: Callable[[Any, Any], Any] | None = None,
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """predict_fn and output_fn of a model with the threshold that a variable says."""
    threshold, sure = threshold_answers.read(text), sure_fn or most_probable

    @functools.wraps(predict_fn)
    def predicting(data: Any, model: Any, *_more: Any) -> _Sure:
        return _checked(*sure(data, model))

    def writing(answers: _Sure, accept: str) -> tuple[str, str]:
        return _written(answers, threshold, _kind(accept))

    writing.__name__ = getattr(output_fn, "__name__", writing.__name__)
    return predicting, signed(writing)


def most_probable(data: Any, model: Any) -> tuple[Any, Any]:
    """Each row's most probable class, and its probability."""
    if not (hasattr(model, "predict_proba") and hasattr(model, "classes_")):
        raise ServingError(
            f"serving.threshold asks how sure the model is, but {type(model).__name__} has no predict_proba and "
            "classes_; give with_threshold a third function, sure_fn(data, model) -> (predictions, confidences)"
        )
    probabilities = model.predict_proba(data)
    return model.classes_[probabilities.argmax(axis=1)], probabilities.max(axis=1)


def _checked(predictions: Any, confidences: Any) -> _Sure:
    predicted, sure = _own(predictions), _own(confidences)
    if len(predicted) != len(sure):
        raise ServingError(f"sure_fn gave {len(predicted)} predictions and {len(sure)} confidences; one each is needed")
    wrong = next((value for value in sure if not 0 <= value <= 1), None)
    if wrong is not None:
        raise ServingError(f"a confidence is {wrong}; it must be from 0 to 1")
    return _Sure(predicted, [float(value) for value in sure])


def _own(values: Any) -> list[Any]:
    """Python's own values of an array, a tensor or a list."""
    return list(values.tolist() if hasattr(values, "tolist") else values)


def _kind(accept: str) -> str:
    asked = [part.partition(";")[0].strip() for part in accept.split(",")]
    found = next((kind for kind in asked if kind in _KINDS), _CSV if _ANY in asked else None)
    if found is None:
        raise ServingError(f"with serving.threshold answers are {', '.join(_KINDS)}, not {accept!r}")
    return found


def _written(answers: _Sure, threshold: Threshold, kind: str) -> tuple[str, str]:
    pairs = list(zip(answers.predictions, answers.confidences))
    told = [Answer(str(one), sure, threshold.answer(str(one), sure)) for one, sure in pairs]
    if kind == _CSV:
        return "\n".join(map(threshold_answers.text, told)), kind
    # What is predicted as its own type, and so is the answer if it is that.
    made = [one if each.answer == each.prediction else each.answer for (one, _), each in zip(pairs, told)]
    documents = [dict(zip(FIELDS, (*pair, answer))) for pair, answer in zip(pairs, made)]
    return (json.dumps(documents) if kind == _JSON else "\n".join(map(json.dumps, documents))), kind
