"""The network in ONNX, and the functions that answer with it where PyTorch isn't (`deploy: {compile: {target: onnx}}`).

Requests and answers are serve.py's, whose functions need PyTorch.
"""

import io
import json

import numpy as np

from toolkit import picture_arrays, request_body
from toolkit.compiled import converters
from toolkit.picture_files import decoded
from toolkit.request_body import RequestError
from toolkit.signature import signed

KEEP = ["architecture.json"]  # with the classes' names

CSV, JSON, NPY, PNG, JPEG = "text/csv", "application/json", "application/x-npy", "image/png", "image/jpeg"
SIZE = 32  # pixels, of width and height


def onnx_model(model_dir):
    """The network that train.py has saved."""
    import network
    import torch

    net, _arch = network.load(model_dir)
    return converters.pytorch(net, torch.zeros(1, 3, SIZE, SIZE))


def input_fn(body, content_type):
    """A request -> pictures, uint8 (n, 32, 32, 3). Raises RequestError, or PicturesError for what can't be taken."""
    kind = content_type.partition(";")[0].strip()
    if kind in (PNG, JPEG):
        return decoded(io.BytesIO(body), SIZE, f"the request of {len(body)} bytes")[None]
    if kind == NPY:
        return picture_arrays.checked(request_body.array(body), SIZE, "the request")
    raise RequestError(f"content type {content_type}: send {PNG}, {JPEG} or {NPY}")


def predict_fn(images, model):
    """Pictures -> (class, probability) of each."""
    (scores,) = model.run(images.transpose(0, 3, 1, 2) / np.float32(63.75) - np.float32(2.0))
    shares = np.exp(scores - scores.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    classes = json.loads((model.folder / KEEP[0]).read_text())["classes"]
    return [(classes[of.argmax()], float(of.max())) for of in shares]


@signed
def output_fn(found, accept):
    """What was found -> the answer's text, with its type."""
    if accept == JSON:
        return json.dumps([{"class": name, "probability": round(share, 6)} for name, share in found]), JSON
    return "\n".join(name for name, _ in found), CSV
