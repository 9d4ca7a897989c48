"""Answers requests with the network, on PyTorch. The endpoint and the evaluation both call these four functions."""

import json
import os
from io import BytesIO
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"  # before Keras is imported: TensorFlow, with which it was trained, isn't here

import digits
import keras
import numpy as np
import torch

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
    or an array (n, 784) or (n, 28, 28) (application/x-npy).
    """
    kind = content_type.partition(";")[0].strip()
    if kind == CSV:
        return digits.parse(body if isinstance(body, str) else body.decode())
    if kind == JSON:
        return digits.shaped(_array(body))
    if kind == NPY:
        return digits.shaped(_npy(body))
    raise ValueError(f"content type {content_type}: send {CSV}, {JSON} or {NPY}")


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
        binary = BytesIO()
        np.save(binary, probabilities, allow_pickle=False)
        return binary.getvalue(), NPY
    return "\n".join(str(label) for label in probabilities.argmax(1)), CSV


def _npy(body):
    try:
        # Without pickles: a request must not be able to run code.
        return np.load(BytesIO(body), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise digits.DigitsError(f"the request is no NPY array of numbers: {error}") from error


def _array(body):
    try:
        numbers = np.array(json.loads(body), dtype=np.float32)
    except (ValueError, TypeError) as error:
        raise digits.DigitsError(f"the request is no list of digits, each a list of {digits.PIXELS} numbers") from error
    return numbers[None] if numbers.shape in ((digits.PIXELS,), (digits.SIZE, digits.SIZE)) else numbers
