"""Answers requests with either candidate's model. The endpoint and the evaluation both call these four functions."""

import csv
import io
import json
from pathlib import Path

import joblib
import routing

from toolkit import request_body
from toolkit.request_body import RequestError
from toolkit.signature import signed
from toolkit.threshold import with_threshold

CSV, JSON = "text/csv", "application/json"
MODEL = "model.joblib"
MOST_LETTERS = 1 << 20  # of a ticket


def model_fn(model_dir):
    """The classifier, and how sure it must be for which confidence. (Why joblib is fine: digits_forest/serve.py.)"""
    return joblib.load(Path(model_dir) / MODEL)


def input_fn(body, content_type):
    """A request -> texts: one a line (text/csv; in quotation marks where it has commas or line breaks), or a list of
    them, or one alone (application/json)."""
    kind = content_type.partition(";")[0].strip()
    if kind == CSV:
        texts = _column(request_body.text(body).lstrip("\ufeff"))
    elif kind == JSON:
        found = request_body.document(body)
        texts = [found] if isinstance(found, str) else found
    else:
        raise RequestError(f"content type {content_type}: send {CSV} or {JSON}")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise RequestError("the request must hold a ticket's text, or a list of them")
    longest = max(map(len, texts))
    if longest > MOST_LETTERS:
        raise RequestError(f"a ticket has {longest:,} letters; at most {MOST_LETTERS:,} are read")
    return texts


def sure_fn(texts, model):
    """Texts -> categories, and the confidence of each (routing.py)."""
    classifier = model["classifier"]
    probabilities = classifier.predict_proba(texts)
    return classifier.classes_[probabilities.argmax(1)], routing.confidence(model["routing"], probabilities.max(1))


def predict_fn(texts, model):
    """Texts -> categories with their confidences."""
    categories, confidences = sure_fn(texts, model)
    return list(zip(categories.tolist(), confidences.tolist(), strict=True))


@signed
def output_fn(answers, accept):
    """The categories, one a line (text/csv); or with confidences, and whether to route without a person
    (application/json); with its type."""
    if accept == JSON:
        told = [
            {"category": category, "confidence": round(sure, 4), "route": sure >= routing.PRECISION}
            for category, sure in answers
        ]
        return json.dumps(told), JSON
    return "\n".join(category for category, _ in answers), CSV


# Where pipeline.yaml says serving.threshold, an answer below it is `unsure`: a person routes that ticket.
predict_fn, output_fn = with_threshold(predict_fn, output_fn, sure_fn)


def _column(text):
    rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    wrong = next((number for number, row in enumerate(rows, start=1) if len(row) != 1), None)
    if wrong is not None:
        many = len(rows[wrong - 1])
        raise RequestError(f"row {wrong} has {many} fields; a ticket with commas stands in quotation marks")
    return [row[0] for row in rows]
