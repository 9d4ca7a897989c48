"""car_evaluation's booster in ONNX: what that folder's booster.py would bring along if it served alone."""

import json
from pathlib import Path

import numpy as np

from toolkit.compiled import converters


def onnx_model(model_dir):
    """The booster that train.py has saved."""
    import xgboost

    return converters.xgboost(xgboost.Booster(model_file=Path(model_dir, "booster.ubj")))


def input_fn(body, _content_type):
    """The first container's numbers."""
    return np.array(json.loads(body))


def predict_fn(numbers, model):
    """Numbers -> probabilities (n, classes)."""
    return model.output("probabilities", numbers)


def output_fn(probabilities, _accept):
    """Probabilities -> JSON."""
    return json.dumps(probabilities.tolist()), "application/json"
