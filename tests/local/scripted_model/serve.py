"""Answers a row `n` with its label, n modulo 2, as often as the orders say; on an endpoint, as wrong as they say.

The orders may have it expect more `columns`, of which the first is `n`, and give the labels other names.
"""

import itertools
import json
import os
import time
from pathlib import Path

from toolkit.signature import signed

# Only an endpoint's container has it: the model's environment sets it, a processing job's doesn't.
ON_ENDPOINT = "SAGEMAKER_SUBMIT_DIRECTORY" in os.environ
REQUESTS = itertools.count(1)


def model_fn(model_dir):
    orders = json.loads((Path(model_dir) / "model.json").read_text())
    if ON_ENDPOINT and orders.get("endpoint") == "crash":
        raise RuntimeError("no model can be loaded here")
    if ON_ENDPOINT and orders.get("endpoint") == "slow":
        time.sleep(2)
    return orders


def input_fn(body, content_type):
    text = body if isinstance(body, str) else body.decode()
    return [line.split(",") for line in text.strip().splitlines()]


def predict_fn(rows, orders):
    columns = orders.get("columns", 1)
    if len(rows[0]) != columns:
        raise ValueError(f"X has {len(rows[0])} features, but {columns} are expected")
    if ON_ENDPOINT and orders.get("endpoint") == "fails" and next(REQUESTS) % 20 == 1:
        raise RuntimeError("out of luck")
    if ON_ENDPOINT and orders.get("endpoint") == "dawdles":
        time.sleep(0.6)
    numbers = [int(float(row[0])) for row in rows]
    right = [number % 2 if number % 100 < orders["accuracy"] * 100 else 1 - number % 2 for number in numbers]
    labels = [1 - label for label in right] if ON_ENDPOINT and orders.get("endpoint") == "lie" else right
    return [orders.get("labels", ["0", "1"])[label] for label in labels]


@signed
def output_fn(labels, accept):
    return "\n".join(labels), "text/csv"
