"""Answers a row `n` with its label, n modulo 2, as often as the orders say; on an endpoint, as wrong as they say."""

import json
import os
from pathlib import Path

# Only an endpoint's container has it: the model's environment sets it, a processing job's doesn't.
ON_ENDPOINT = "SAGEMAKER_SUBMIT_DIRECTORY" in os.environ


def model_fn(model_dir):
    orders = json.loads((Path(model_dir) / "model.json").read_text())
    if ON_ENDPOINT and orders.get("endpoint") == "crash":
        raise RuntimeError("no model can be loaded here")
    return orders


def input_fn(body, content_type):
    text = body if isinstance(body, str) else body.decode()
    return [int(float(line)) for line in text.strip().splitlines()]


def predict_fn(rows, orders):
    right = [row % 2 if row % 100 < orders["accuracy"] * 100 else 1 - row % 2 for row in rows]
    return [1 - label for label in right] if ON_ENDPOINT and orders.get("endpoint") == "lie" else right


def output_fn(labels, accept):
    return "\n".join(str(label) for label in labels)
