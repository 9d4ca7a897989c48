"""Answers requests with the tree. The endpoint and the evaluation both call these four functions."""

import json
from io import StringIO
from pathlib import Path

import numpy as np

from toolkit.signature import signed

LENGTHS = 4


def model_fn(model_dir):
    """The tree, loaded once. (Why joblib is fine here: digits_forest/serve.py.)"""
    import joblib

    return joblib.load(Path(model_dir) / "model.joblib")


def input_fn(body, content_type):
    """A request -> lengths (n, 4): four numbers a line (text/csv), or a list of lists of four (application/json)."""
    if content_type == "text/csv":
        lengths = np.loadtxt(StringIO(body.lstrip("\ufeff")), delimiter=",", ndmin=2)
    elif content_type == "application/json":
        lengths = np.atleast_2d(np.array(json.loads(body), dtype=float))
    else:
        raise ValueError(f"content type {content_type}: send text/csv or application/json")
    if lengths.shape[1] != LENGTHS:
        raise ValueError(f"{lengths.shape[1]} numbers a flower; needed: length and width of sepal and petal, in cm")
    return lengths


def predict_fn(lengths, tree):
    """Lengths (n, 4) -> species (n,)."""
    return tree.predict(lengths)


@signed
def output_fn(species, accept):
    """Species -> one a line (text/csv), or a list (application/json), with its type, or it goes out as HTML."""
    if accept == "application/json":
        return json.dumps(species.tolist()), "application/json"
    return "\n".join(species), "text/csv"
