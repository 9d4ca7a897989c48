"""The chain's last container: each class's probability in, the most probable one's name out."""

import json
from pathlib import Path

from toolkit.signature import signed

FILE = "labels.json"


def model_fn(model_dir):
    """The classes' names, in the order of the booster's probabilities."""
    return json.loads(Path(model_dir, FILE).read_text())


def input_fn(body, _content_type):
    """The second container's probabilities."""
    return json.loads(body)


def predict_fn(probabilities, labels):
    """Probabilities (n, classes) -> names (n)."""
    return [labels[row.index(max(row))] for row in probabilities]


@signed
def output_fn(names, accept):
    """Names -> one a line (text/csv), or a list (application/json), with its type, or it goes out as HTML."""
    if accept == "application/json":
        return json.dumps(names), "application/json"
    return "\n".join(names), "text/csv"
