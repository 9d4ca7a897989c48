"""The detector in ONNX, and the functions that answer with it where PyTorch isn't (`deploy: {compile: …}`).

Requests and answers are serve.py's, whose functions need PyTorch: which of many places are boxes, NumPy finds here.
"""

import io
import json

import numpy as np

from toolkit.compiled import converters
from toolkit.picture_arrays import PicturesError
from toolkit.picture_files import decoded
from toolkit.request_body import RequestError
from toolkit.signature import signed

KEEP = ["architecture.json", "class_label_to_prediction_index.json"]

IMAGE, CSV, JSON = "application/x-image", "text/csv", "application/json"
KINDS = (IMAGE, "image/jpeg", "image/png")
VERBOSE, DIGITS = "verbose", 5
# As network.py has them: what is reported, and of two boxes of a class that overlap by more the surer.
LEAST, MOST_OVERLAP, LOOKED_AT, MOST = 0.05, 0.5, 300, 100


def onnx_model(model_dir):
    """The network that train.py has saved: logits and boxes of all its places."""
    import network
    import torch

    net, arch = network.load(model_dir)
    return converters.pytorch(net, torch.zeros(1, 3, arch.size, arch.size), outputs=["logits", "boxes"])


def input_fn(body, content_type):
    """A request's file, as it came. Raises RequestError."""
    kind = content_type.partition(";")[0].strip()
    if kind not in KINDS:
        raise RequestError(f"content type {content_type}: send a JPEG or PNG as {IMAGE}")
    if not body:
        raise RequestError("the request is empty; send a JPEG or PNG")
    return body if isinstance(body, bytes) else bytes(body, "utf-8", "surrogateescape")


def predict_fn(body, model):
    """A picture's file -> its document. Raises RequestError for what is no picture, or too large a one."""
    arch = json.loads((model.folder / KEEP[0]).read_text())
    size = arch["size"]
    try:
        pixels = decoded(io.BytesIO(body), size, f"the request of {len(body)} bytes")
    except PicturesError as error:
        raise RequestError(str(error)) from error
    logits, places = (of[0] for of in model.run(pixels[None].transpose(0, 3, 1, 2) / np.float32(63.75) - 2))
    boxes, scores, classes = chosen(1 / (1 + np.exp(-logits)), places, size)
    return {
        "normalized_boxes": _rounded(boxes / size),
        "classes": classes.tolist(),
        "scores": _rounded(scores),
        "labels": [arch["classes"][number] for number in classes],
        "model_output": (logits, places / size),
    }


@signed
def output_fn(found, accept):
    """A document -> its JSON, with its type; to the evaluation (text/csv) with the labels, by which it judges."""
    kind, *parameters = (part.strip().lower() for part in accept.split(";"))
    is_verbose = VERBOSE in parameters
    shown = ("normalized_boxes", "classes", "scores", *(("labels",) if is_verbose or kind == CSV else ()))
    document = {name: found[name] for name in shown}
    if is_verbose:
        logits, places = found["model_output"]
        document["model_output"] = {"logits": _rounded(logits), "normalized_boxes": _rounded(places)}
    return json.dumps(document), CSV if kind == CSV else JSON


def chosen(scores, places, size):
    """What is reported of a picture: (boxes, scores, classes), surest first."""
    flat = scores.ravel()
    order = np.argsort(-flat, kind="stable")[:LOOKED_AT]
    order = order[flat[order] >= LEAST]
    classes, inside = order % scores.shape[1], places[order // scores.shape[1]].clip(0, size)
    stays = _kept(inside, classes)[:MOST]
    return inside[stays], flat[order][stays], classes[stays]


def _kept(boxes, classes):
    """Non-maximum suppression of boxes that come surest first: which of them no surer one of their class covers."""
    covers = (_overlaps(boxes) > MOST_OVERLAP) & (classes[:, None] == classes)
    alive = np.ones(len(boxes), bool)
    for place in range(len(boxes)):
        if alive[place]:
            alive[place + 1 :] &= ~covers[place, place + 1 :]
    return np.flatnonzero(alive)


def _overlaps(boxes):
    """Intersection over union of each box with each."""
    low, high = np.maximum(boxes[:, None, :2], boxes[:, :2]), np.minimum(boxes[:, None, 2:], boxes[:, 2:])
    common = (high - low).clip(0).prod(2)
    areas = (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(1)
    return common / (areas[:, None] + areas - common).clip(1e-9)


def _rounded(numbers):
    """Lists of numbers with few digits."""
    return np.round(numbers.astype(float), DIGITS).tolist()
