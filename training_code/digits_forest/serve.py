"""Answers requests with the forest. The endpoint and the evaluation both call these four functions."""

import json
from io import StringIO
from pathlib import Path

import numpy as np

from toolkit.signature import signed

PIXELS = 64


def model_fn(model_dir):
    """The forest, loaded once.

    joblib's format can run code while it is loaded. But so does this file, which lies in the same archive: whoever may
    write the one may write the other, so a format without code would cost a dependency (the image has joblib, which
    scikit-learn itself needs, but no skops) and add no safety.
    """
    import joblib  # here: where model.onnx takes the forest's place (deploy.compile), nothing needs joblib

    return joblib.load(Path(model_dir) / "model.joblib")


def input_fn(body, content_type):
    """A request -> pixels (n, 64): 64 numbers a line (text/csv), or a list of lists of 64 (application/json)."""
    if content_type == "text/csv":
        pixels = np.loadtxt(StringIO(body.lstrip("\ufeff")), delimiter=",", ndmin=2)
    elif content_type == "application/json":
        pixels = np.atleast_2d(np.array(json.loads(body), dtype=float))
    else:
        raise ValueError(f"content type {content_type}: send text/csv or application/json")
    if pixels.shape[1] != PIXELS:
        raise ValueError(f"{pixels.shape[1]} numbers a digit; {PIXELS} are needed, 8 x 8 pixels from 0 to 16")
    return pixels


def predict_fn(pixels, forest):
    """Pixels (n, 64) -> digits (n,)."""
    return forest.predict(pixels)


@signed
def output_fn(digits, accept):
    """Digits -> one a line (text/csv), or a list (application/json), with its type, or it goes out as HTML."""
    if accept == "application/json":
        return json.dumps(digits.tolist()), "application/json"
    return "\n".join(str(digit) for digit in digits), "text/csv"
