"""Answers requests with the detector. The endpoint and the evaluation both call these four functions.

A request is one picture as JPEG or PNG (application/x-image), of any size. An answer to `application/json` is

    {"normalized_boxes": [[xmin, ymin, xmax, ymax], ...], "classes": [0, ...], "scores": [0.98, ...]}

surest first, boxes as shares of the picture's width and height, classes by their numbers, as the file
class_label_to_prediction_index.json has them. `application/json;verbose` adds "labels", the classes' names, and
"model_output", what the network says of all its places before any is chosen.
"""

import io
import json
from dataclasses import dataclass

import network
import pictures
import torch

from toolkit.picture_arrays import PicturesError
from toolkit.picture_files import decoded
from toolkit.request_body import RequestError
from toolkit.signature import signed

torch.set_num_threads(1)  # one request is one picture: handing it to threads would cost more than it saves

IMAGE, CSV, JSON = "application/x-image", "text/csv", "application/json"
KINDS = (IMAGE, "image/jpeg", "image/png")
VERBOSE = "verbose"
# Of a share of a picture and of a score: what is beyond isn't seen, and makes a long answer longer.
DIGITS = 5


@dataclass(frozen=True)
class Answer:
    """What is found: boxes (n, 4) as shares of the picture, scores (n,), classes (n,), and the classes' labels.

    raw: logits (places, classes) and boxes (places, 4) of all places.
    """

    boxes: torch.Tensor
    scores: torch.Tensor
    classes: torch.Tensor
    labels: tuple
    raw: tuple


def model_fn(model_dir):
    """The network and its architecture, from tensors and JSON: nothing that is loaded runs."""
    return network.load(model_dir)


def input_fn(body, content_type):
    """A request's file, as it came: only the model knows how small the picture may be made. Raises RequestError."""
    kind = content_type.partition(";")[0].strip()
    if kind not in KINDS:
        raise RequestError(f"content type {content_type}: send a JPEG or PNG as {IMAGE}")
    if not body:
        raise RequestError("the request is empty; send a JPEG or PNG")
    return body if isinstance(body, bytes) else bytes(body, "utf-8", "surrogateescape")


def predict_fn(body, model):
    """A picture's file -> an Answer. Raises RequestError for what is no picture, or too large a one."""
    net, arch = model
    try:
        pixels = decoded(io.BytesIO(body), arch.size, f"the request of {len(body)} bytes")
    except PicturesError as error:
        raise RequestError(str(error)) from error
    with torch.no_grad():
        logits, places = net.eval()(pictures.tensor(pixels[None]))
        (found,) = network.chosen(logits, places, arch.size)
    return Answer(found[0] / arch.size, found[1], found[2], arch.classes, (logits[0], places[0] / arch.size))


@signed
def output_fn(answer, accept):
    """An Answer -> its JSON, with its type; to the evaluation (text/csv) with the labels, by which it judges."""
    kind, *parameters = (part.strip().lower() for part in accept.split(";"))
    is_verbose = VERBOSE in parameters
    document = {
        "normalized_boxes": _rounded(answer.boxes),
        "classes": answer.classes.tolist(),
        "scores": _rounded(answer.scores),
    }
    if is_verbose or kind == CSV:
        document["labels"] = [answer.labels[number] for number in document["classes"]]
    if is_verbose:
        logits, places = answer.raw
        document["model_output"] = {"logits": _rounded(logits), "normalized_boxes": _rounded(places)}
    return json.dumps(document), CSV if kind == CSV else JSON


def heldout_fn(folder):
    """The held-out pictures, each a request, with its right boxes and their labels; what can't be read is left out."""
    channel = pictures.load(folder)
    for sentence in channel.left_out:
        print(f"left out: {sentence}", flush=True)
    readable = 0
    for one in channel.pictures:
        try:
            decoded(one.path, network.LEVELS, one.path.name)
        except PicturesError as error:
            print(f"left out: {error}", flush=True)
            continue
        readable += 1
        labels = [channel.labels[number] for number in one.classes.tolist()]
        yield one.path.read_bytes(), IMAGE, {"boxes": _rounded(one.boxes), "labels": labels}
    if not readable:
        raise PicturesError(f"none of the {len(channel.pictures)} pictures in {folder} can be read")


def _rounded(numbers):
    """Lists of numbers with few digits."""
    found = numbers.tolist()
    return [[round(one, DIGITS) for one in row] if isinstance(row, list) else round(row, DIGITS) for row in found]
