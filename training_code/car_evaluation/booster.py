"""The chain's second container, in XGBoost's image: numbers in, each class's probability out."""

import json
from pathlib import Path

import numpy as np
import xgboost

FILE = "booster.ubj"  # XGBoost's own format, which later versions read


def model_fn(model_dir):
    """The booster, loaded once."""
    return xgboost.Booster(model_file=Path(model_dir, FILE))


def input_fn(body, _content_type):
    """The first container's numbers."""
    return np.array(json.loads(body))


def predict_fn(numbers, booster):
    """Numbers -> probabilities (n, classes)."""
    return booster.predict(xgboost.DMatrix(numbers))


def output_fn(probabilities, _accept):
    """Probabilities -> JSON."""
    return json.dumps(probabilities.tolist()), "application/json"
