"""Answers requests with the network, on PyTorch. The endpoint and the evaluation both call these four functions."""

import io
import json
import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"  # before Keras is imported: TensorFlow, with which it was trained, isn't here

import digits
import keras
import numpy as np
import torch

from toolkit import request_body
from toolkit.request_body import RequestError
from toolkit.signature import signed

CSV, JSON, NPY = "text/csv", "application/json", "application/x-npy"
MODEL = "model.keras"
BATCH = 256

torch.set_num_threads(1)  # one request is one digit: handing it to threads would cost more than it saves


def model_fn(model_dir):
    """The network. `safe_mode` refuses a file whose layers are Python code (Lambda), which would run while it loads."""
    return keras.saving.load_model(Path(model_dir) / MODEL, compile=False, safe_mode=True)


def input_fn(body, content_type):
    """A request -> pictures: a digit's 784 numbers from 0 to 255 a line (text/csv), lists of them (application/json),
    or an array (n, 784) or (n, 28, 28) (application/x-npy). Raises RequestError, or DigitsError for what is no digit.
    """
    kind = content_type.partition(";")[0].strip()
    if kind == CSV:
        return digits.scaled(digits.shaped(digits.table(request_body.text(body), "the request"), "the request"))
    if kind == JSON:
        return digits.scaled(digits.shaped(_array(request_body.document(body)), "the request"))
    if kind == NPY:
        return digits.scaled(digits.shaped(request_body.array(body), "the request"))
    raise RequestError(f"content type {content_type}: send {CSV}, {JSON} or {NPY}")


def predict_fn(pictures, model):
    """Pictures -> the probability of each digit, (n, 10)."""
    parts = [pictures[start : start + BATCH] for start in range(0, len(pictures), BATCH)]
    return np.concatenate([model.predict_on_batch(part) for part in parts])


@signed
def output_fn(probabilities, accept):
    """The likeliest digit a line (text/csv), with all probabilities (application/json), or these alone
    (application/x-npy); with its type.
    """
    if accept == JSON:
        answers = [
            {"digit": int(row.argmax()), "probabilities": [round(float(p), 6) for p in row]} for row in probabilities
        ]
        return json.dumps(answers), JSON
    if accept == NPY:
        made = io.BytesIO()
        np.save(made, probabilities, allow_pickle=False)
        return made.getvalue(), NPY
    return "\n".join(str(label) for label in probabilities.argmax(1)), CSV


def _array(document):
    """A document's numbers; of one digit alone, too."""
    try:
        numbers = np.array(document)
    except ValueError as error:
        raise RequestError("the request's rows must be equally long lists of numbers") from error
    return numbers[None] if numbers.shape in ((digits.PIXELS,), (digits.SIZE, digits.SIZE)) else numbers
