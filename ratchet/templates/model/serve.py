"""Answers requests with the model. The endpoint and the evaluation both call these four functions.

Evaluation sends the held-out examples without their labels, as text/csv: many rows at once, and some alone. It asks for
text/csv (accept), and takes one line an example, in their order: a label or a number, the probability of each class for
a metric of probabilities, whatever a metric of your own takes. Held-out files of another kind arrive with their own
content type, and a function heldout_fn(folder) may yield (body, content type, truth) of anything else.
"""

import json
from io import StringIO
from pathlib import Path

import numpy as np

from toolkit.micro_batches import in_batches
from toolkit.rows import row_by_row
from toolkit.signature import signed
from toolkit.threshold import with_threshold


def model_fn(model_dir):
    """The model, loaded once."""
    import joblib  # here: with deploy.compile another model_fn takes this one's place, and nothing needs joblib

    return joblib.load(Path(model_dir) / "model.joblib")


def input_fn(body, content_type):
    """A request -> numbers (n, columns): an example a line (text/csv), or a list of lists (application/json)."""
    if content_type == "text/csv":
        return np.loadtxt(StringIO(body.lstrip("\ufeff")), delimiter=",", ndmin=2)
    if content_type == "application/json":
        return np.atleast_2d(np.array(json.loads(body), dtype=float))
    raise ValueError(f"content type {content_type}: send text/csv or application/json")


def predict_fn(numbers, model):
    """Numbers (n, columns) -> labels (n,)."""
    return model.predict(numbers)


@signed
def output_fn(labels, accept):
    """Labels -> one a line (text/csv), or a list (application/json), with its type, or it goes out as HTML."""
    if accept == "application/json":
        return json.dumps(labels.tolist()), "application/json"
    return "\n".join(labels), "text/csv"


# With serving.threshold in pipeline.yaml an answer says how sure it is, and that it isn't: my-class,0.41,unsure
predict_fn, output_fn = with_threshold(predict_fn, output_fn)
# Requests that come together are predicted together: deploy.batch
predict_fn = in_batches(predict_fn)
# In a batch a bad row doesn't lose the others: deploy.kind: batch
input_fn, predict_fn, output_fn = row_by_row(input_fn, predict_fn, output_fn)
