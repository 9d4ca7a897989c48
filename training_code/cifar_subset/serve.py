"""Answers requests with the network. The endpoint and the evaluation both call these four functions.

A request is one picture as PNG or JPEG, of any size, or several as an array (application/x-npy), uint8 (n, 32, 32, 3).
An answer is a class a line (text/csv), or a list of {"class", "probability"} (application/json).
"""

import io
import json

import network
import pictures
import torch
from learning import probabilities

from toolkit import request_body
from toolkit.picture_files import decoded
from toolkit.request_body import RequestError
from toolkit.signature import signed

torch.set_num_threads(1)  # one request is one picture: handing it to threads would cost more than it saves

CSV, JSON, NPY, PNG, JPEG = "text/csv", "application/json", "application/x-npy", "image/png", "image/jpeg"


def model_fn(model_dir):
    """The network and its architecture, from tensors and JSON: nothing that is loaded runs."""
    return network.load(model_dir)


def input_fn(body, content_type):
    """A request -> pictures. Raises RequestError, or PicturesError for pictures that can't be taken."""
    kind = content_type.partition(";")[0].strip()
    if kind in (PNG, JPEG):
        return decoded(io.BytesIO(body), network.SIZE, f"the request of {len(body)} bytes")[None]
    if kind == NPY:
        return pictures.checked(request_body.array(body), "the request")
    raise RequestError(f"content type {content_type}: send {PNG}, {JPEG} or {NPY}")


def predict_fn(images, model):
    """Pictures -> (class, probability) of each."""
    net, arch = model
    return [(arch.classes[of.argmax()], float(of.max())) for of in probabilities(net, images)]


@signed
def output_fn(found, accept):
    """What was found -> the answer's text, with its type."""
    if accept == JSON:
        return json.dumps([{"class": name, "probability": round(share, 6)} for name, share in found]), JSON
    return "\n".join(name for name, _ in found), CSV
