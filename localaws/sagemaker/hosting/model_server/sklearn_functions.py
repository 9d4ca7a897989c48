"""The functions of the scikit-learn image (aws/sagemaker-scikit-learn-container, `serving.py`)."""

from __future__ import annotations

from typing import Any

from .bodies import TEXT_TYPES, decoded, encoded, numpy
from .flask_bodies import DECODERS, ENCODERS
from .functions import Functions, no_model_fn


def read(body: Any, content_type: str) -> Any:
    """CSV, JSON and NPY as an array; float32 from text."""
    array = decoded(DECODERS, body, content_type)
    return array.astype(numpy().float32) if content_type in TEXT_TYPES else array


def predict(data: Any, model: Any) -> Any:
    """The estimator's prediction."""
    return model.predict(data)


def write(prediction: Any, accept: str) -> tuple[str | bytes, str]:
    """CSV, JSON or NPY, with the type that was asked for."""
    return encoded(ENCODERS, prediction, accept), accept


FUNCTIONS = Functions(model_fn=no_model_fn, input_fn=read, predict_fn=predict, output_fn=write)
