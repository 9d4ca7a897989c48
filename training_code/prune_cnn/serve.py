"""Answers requests with the network. The endpoint and the evaluation both call these four functions."""

import json

import numpy as np
import pictures
import torch
import weights
from learning import predict

from toolkit.signature import signed

torch.set_num_threads(1)  # one request is one picture: handing it to threads would cost more than it saves


def model_fn(model_dir):
    """The network and its architecture, from tensors and JSON: nothing that is loaded runs."""
    return weights.load(model_dir)


def input_fn(body, content_type):
    """A request -> numbers (n, pixels): a picture's a line (text/csv), or a list of lists (application/json)."""
    text = body if isinstance(body, str) else body.decode()
    if content_type == "text/csv":
        return text
    if content_type == "application/json":
        return np.atleast_2d(np.array(json.loads(text), dtype=np.float32))
    raise ValueError(f"content type {content_type}: send text/csv or application/json")


def predict_fn(data, model):
    """Pictures -> classes (n,)."""
    net, arch = model
    images = pictures.parse(data, arch.size) if isinstance(data, str) else pictures.shaped(data, arch.size)
    return predict(net, images)


@signed
def output_fn(classes, accept):
    """Classes -> one a line (text/csv), or a list (application/json), with its type."""
    if accept == "application/json":
        return json.dumps(classes.tolist()), "application/json"
    return "\n".join(str(label) for label in classes), "text/csv"
