"""The views that come with the toolkit: their parameters, when they are drawn, and what the probe must save for them.

The parameters have the form of the built-in rules' (ratchet/spec/rules.json), so that both are checked by one reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contract import views


def _parameter(type_: str, default: Any, says: str, **more: Any) -> dict[str, Any]:
    return {"type": type_, "default": default, "required": False, **more, "says": says}


_REGEX = "a regular expression, searched in the tensors' names: only these; all unless told"

TABLE: Mapping[str, Mapping[str, Any]] = {
    "losses": {
        "says": "Losses over steps, of training and of evaluation (a point a pass: its mean).",
        "every": views.EVERY,
        "parameters": {
            "regex": _parameter("regex", "", _REGEX),
            "smoothing": _parameter(
                "integer", None, "training losses averaged for the line; from their number unless told", minimum=1
            ),
            "log": _parameter("boolean", False, "a logarithmic axis of losses"),
        },
    },
    "histograms": {
        "says": "How a tensor's values are distributed, over steps: a heat map, from the step's histogram.",
        "every": views.EVERY,
        "parameters": {
            "collection": _parameter(
                "string", "weights", "whose tensors", choices=["weights", "biases", "gradients", "outputs"]
            ),
            "regex": _parameter("regex", "", _REGEX),
            "most": _parameter("integer", 6, "how many tensors, the first by name", minimum=1, maximum=12),
        },
    },
    "norms": {
        "says": "The L2 norms of weights and of their gradients over steps, by layer.",
        "every": views.EVERY,
        "parameters": {
            "regex": _parameter("regex", "", _REGEX),
            "most": _parameter("integer", 30, "how many layers, the first as they are named", minimum=1, maximum=100),
        },
    },
    "confusion": {
        "says": "The confusion matrix of the evaluation pass: labels by predicted classes.",
        "every": views.EVALUATION,
        "parameters": {
            "labels": _parameter("regex", r"^label/|(^|[/_.])labels?$", "names the tensor of the labels"),
            "predictions": _parameter(
                "regex", r"^prediction/|(^|[/_.])predictions?$", "names the predictions' tensor: classes, or scores"
            ),
            "classes": _parameter("strings", None, "the classes' names, from class 0 on"),
            "most": _parameter("integer", 40, "classes that are shown, the most frequent", minimum=2, maximum=60),
        },
    },
}


def every_of(view: str) -> int | str:
    """When a view is drawn unless told: a number of training steps, or EVALUATION. Of one's own, too."""
    return TABLE[view]["every"] if view in TABLE else views.EVERY


def brings(view: str, every: int | str, parameters: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The probe's collections that a built-in view needs, by name, as `probe.collections` would say them."""
    train = {"interval": every if isinstance(every, int) else views.EVERY, "modes": ["train"]}
    if view == "losses":
        return {"losses": {"interval": 1}}
    if view == "norms":
        return {name: {**train, "reductions": ["norm"]} for name in ("weights", "gradients")}
    if view == "histograms":
        collection = parameters.get("collection") or TABLE[view]["parameters"]["collection"]["default"]
        return {collection: {**train, "reductions": ["histogram"]}}
    return {name: {"interval": 1, "modes": ["eval"]} for name in ("labels", "predictions")}
