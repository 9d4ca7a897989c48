"""What the network looks at while it learns: the maps of the same eight pictures after each evaluation pass."""

import json

import numpy as np
from drawing import overlaid
from saliency import Gradients, Part, full_gradient, grad_cam

from toolkit.views import EVAL, evaluation_steps, image_grid

# What train.py saves of the pictures that it shows, and of each layer below the last of these.
PREFIX = "shown/"
NAMES, PICTURES, ANSWERS, PARTS = "classes", "pictures", "probabilities", "parts/"


# Of a class's name over a picture: what there is room for.
LETTERS = 13


def maps(trial, step, *, scale=4):
    """Pictures, their full gradients and their Grad-CAM; above each, what the network takes it for and how surely."""
    last = evaluation_steps(trial, step)[-1]
    gradients = saved(trial, last)
    pictures = trial.value(f"{PREFIX}{PICTURES}", last, EVAL)
    classes = json.loads(bytes(trial.value(f"{PREFIX}{NAMES}", last, EVAL)).decode())
    answers = trial.value(f"{PREFIX}{ANSWERS}", last, EVAL)
    return image_grid(
        [
            pictures,
            [overlaid(*pair) for pair in zip(pictures, full_gradient(gradients), strict=True)],
            [overlaid(*pair) for pair in zip(pictures, grad_cam(gradients), strict=True)],
        ],
        row_names=("picture", "full gradient", "Grad-CAM"),
        column_names=[f"{short(classes[of.argmax()])} {of.max():.2f}" for of in answers],
        scale=scale,
        title=f"What speaks for the most likely class of eight pictures, at step {step}",
    )


def short(name):
    """A name that fits over its picture."""
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"


def saved(trial, step):
    """What train.py saved at an evaluation step, as saliency.Gradients; a layer's bias and gradient by its path."""

    def value(name):
        return trial.value(f"{PREFIX}{name}", step, EVAL)

    paths = [name[len(PREFIX + PARTS) : -len("/bias")] for name in trial.names(f"^{PREFIX}{PARTS}.*/bias$")]
    parts = {path: Part(value(f"{PARTS}{path}/bias"), value(f"{PARTS}{path}/gradient")) for path in paths}
    whole = [value(name) for name in ("scores", "inputs", "inputs.gradient")]
    return Gradients(*whole, parts, value("maps"), value("maps.gradient"))


def save(probe, gradients, pictures, probabilities, classes):
    """Saves what `maps` draws, at the probe's step. Names go as UTF-8 bytes, for a tensor holds numbers."""
    probe.tensor(f"{PREFIX}{NAMES}", np.frombuffer(json.dumps(list(classes)).encode(), np.uint8))
    probe.tensor(f"{PREFIX}{PICTURES}", pictures)
    probe.tensor(f"{PREFIX}{ANSWERS}", probabilities)
    for name, array in (
        ("scores", gradients.scores),
        ("inputs", gradients.pictures),
        ("inputs.gradient", gradients.picture_gradients),
        ("maps", gradients.maps),
        ("maps.gradient", gradients.map_gradients),
    ):
        probe.tensor(f"{PREFIX}{name}", array)
    for path, part in gradients.parts.items():
        probe.tensor(f"{PREFIX}{PARTS}{path}/bias", part.bias)
        probe.tensor(f"{PREFIX}{PARTS}{path}/gradient", part.gradient)
