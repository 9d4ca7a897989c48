"""Answers requests with the network. The endpoint and the evaluation both call these four functions.

A request is one picture as PNG or JPEG, of any size; several as an array (application/x-npy), uint8 (n, 32, 32, 3); or
{"pictures": [...], "saliency": true} (application/json). An answer is a class a line (text/csv); a list of {"class",
"probability"}, with "saliency", a PNG in base64, where it was asked for (application/json); or one picture's map alone
(image/png). The class is the most likely one, or one that must not be overlooked and is likely enough (thresholds.py).
"""

import base64
import io
import json
from dataclasses import dataclass

import network
import numpy as np
import pictures
import thresholds
import torch
from drawing import overlaid
from learning import probabilities
from PIL import Image
from saliency import full_gradient, gradients_of

from toolkit import request_body
from toolkit.picture_files import decoded
from toolkit.request_body import RequestError
from toolkit.signature import signed

torch.set_num_threads(1)  # one request is one picture: handing it to threads would cost more than it saves

CSV, JSON, NPY, PNG, JPEG = "text/csv", "application/json", "application/x-npy", "image/png", "image/jpeg"
# A map is drawn so many times as large as the network's picture, to be looked at.
ENLARGED = 8


@dataclass(frozen=True)
class Question:
    """Pictures, uint8 (n, 32, 32, 3), and whether their maps are asked for, too."""

    pictures: np.ndarray
    saliency: bool = False


@dataclass(frozen=True)
class Answer:
    """What was asked, the classes' names, how likely each is (n, classes), which are answered (n,), by what network."""

    question: Question
    classes: tuple
    probabilities: np.ndarray
    answers: np.ndarray
    model: torch.nn.Module

    def named(self):
        """(class, probability) of each picture."""
        answered = zip(self.probabilities, self.answers, strict=True)
        return [(self.classes[number], float(of[number])) for of, number in answered]

    def maps(self):
        """PNG files of the full gradients over the pictures, for the classes that are answered."""
        given = self.question.pictures
        heats = full_gradient(gradients_of(self.model, pictures.tensor(given), self.answers))
        return [_png(overlaid(*pair)) for pair in zip(given, heats, strict=True)]


def model_fn(model_dir):
    """The network, its architecture and its thresholds, from tensors and JSON: nothing that is loaded runs."""
    net, arch = network.load(model_dir)
    return net, arch, thresholds.load(model_dir, arch.classes)


def input_fn(body, content_type):
    """A request -> a Question. Raises RequestError, or PicturesError for pictures that can't be taken."""
    kind = content_type.partition(";")[0].strip()
    if kind in (PNG, JPEG):
        return Question(decoded(io.BytesIO(body), network.SIZE, f"the request of {len(body)} bytes")[None])
    if kind == NPY:
        return Question(pictures.checked(request_body.array(body), "the request"))
    if kind == JSON:
        return _asked(request_body.document(body))
    raise RequestError(f"content type {content_type}: send {PNG}, {JPEG}, {NPY} or {JSON}")


def predict_fn(question, model):
    """A Question -> an Answer."""
    net, arch, least = model
    found = probabilities(net, question.pictures)
    return Answer(question, arch.classes, found, thresholds.decided(found, arch.classes, least), net)


@signed
def output_fn(answer, accept):
    """An Answer -> its text or its picture, with its type."""
    if accept == PNG:
        if len(answer.probabilities) != 1:
            raise RequestError(f"image/png is the map of one picture; {len(answer.probabilities)} were sent")
        return answer.maps()[0], PNG
    if accept == JSON:
        found = [{"class": name, "probability": round(share, 6)} for name, share in answer.named()]
        if answer.question.saliency:
            for entry, drawn in zip(found, answer.maps(), strict=True):
                entry["saliency"] = base64.b64encode(drawn).decode()
        return json.dumps(found), JSON
    return "\n".join(name for name, _ in answer.named()), CSV


def _asked(asked):
    """A document's Question."""
    if not isinstance(asked, dict) or "pictures" not in asked or asked.keys() - {"pictures", "saliency"}:
        raise RequestError('the request must be {"pictures": a list of 32 x 32 x 3 numbers, "saliency": false}')
    if not isinstance(asked.get("saliency", False), bool):
        raise RequestError(f"saliency is {asked['saliency']!r}; it is true or false")
    try:
        array = np.array(asked["pictures"], np.float32)
    except (ValueError, TypeError) as error:
        raise RequestError(f"pictures are no array of numbers: {error}") from error
    return Question(pictures.checked(array, "the request"), asked.get("saliency", False))


def _png(pixels):
    image = Image.fromarray(pixels)
    made = io.BytesIO()
    image.resize((image.width * ENLARGED, image.height * ENLARGED), Image.Resampling.NEAREST).save(made, "PNG")
    return made.getvalue()
