"""Views: the pictures of a training that are drawn beside it, as spec, toolkit, command line and report agree on them.

RATCHET_VIEWS, the job's variable, is a JSON list of {"view", "name", "every", "parameters"} each; `every` is a number
of training steps, or the word EVALUATION. Below the tensors' folder lie

    views/<name>/<step, 12 digits>.svg, .png or .vl.json     the pictures
    views/<name>.json                                        the view's document, written after the pictures it names

The document:

    {"name", "view", "every", "parameters": as the variable says,
     "status": DRAWING, ENDED or GIVEN_UP,
     "pictures": [{"step", "file", "bytes", "seconds", "at"}, …]   by step; file: relative to the tensors' folder
     "skipped": how many due steps weren't drawn, because the view was still busy with an earlier one,
     "failed": how many drawings failed, "problems": [{"step", "reason", "at"}, …]   the last PROBLEMS of them
     "seconds": of all drawings together}

A step is a training step. Evaluation's pictures stand at the number of training steps that came before it, as rules'
verdicts on it do.
"""

from __future__ import annotations

import re
from typing import Any

from contract import files

DRAWING, ENDED, GIVEN_UP = "drawing", "ended", "given up"

# In `every`: a picture at the end of each evaluation pass. And what counts for the other views unless told.
EVALUATION = "evaluation"
EVERY = 100
# The module of the model's folder in which a view's name is looked up first, and the function that it is.
MODULE = "views"

# The stack's output that names the role of the jobs that draw views of finished trainings.
ROLE_OUTPUT = "ViewingRoleArn"

MOST = 20
# A name is a folder's and a file's.
NAME_LENGTH = 64
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?", re.ASCII)

# A picture's format, as the end of its file's name, and its content type.
SVG, PNG, VEGA_LITE = "svg", "png", "vl.json"
CONTENT_TYPES = {SVG: "image/svg+xml", PNG: "image/png", VEGA_LITE: "application/json"}

# Limits. Of a picture, which a page holds with hundreds of others; its pixels, which a browser unpacks.
PICTURE_BYTES, PICTURE_PIXELS = 2 << 20, 32_000_000
# Of a drawing: seconds, and memory of the process that draws beyond what lies in files (libraries).
DRAWING_SECONDS, DRAWING_BYTES = 60.0, 2 << 30
# At the end of the training, for the last due pictures of all views.
LAST_PICTURES_SECONDS = 5.0
# Failures in a row after which a view is given up.
FAILURES = 5
# Problems that a document lists, and characters of a reason.
PROBLEMS, REASON_LENGTH = 20, 1000
# After every so many pictures of a view, it is drawn at every second due step only, every third, …
PICTURES = 1000


def is_name(text: str) -> bool:
    """Whether a view may be called so: letters, digits, hyphens and underscores, at most NAME_LENGTH."""
    return len(text) <= NAME_LENGTH and _NAME.fullmatch(text) is not None


def name_of(view: str) -> str:
    """What a view is called unless its name is told: the last word of `my_views.latents`."""
    return view.rpartition(".")[2]


def document(name: str) -> str:
    """`views/<name>.json`, below the tensors' folder."""
    return f"{files.VIEWS}/{name}.json"


def picture(name: str, step: int, ending: str) -> str:
    """`views/<name>/<step>.svg`, below the tensors' folder."""
    return f"{files.VIEWS}/{name}/{step:012d}.{ending}"


def ending_of(file: str) -> str | None:
    """SVG, PNG or VEGA_LITE by a file's name; None for another."""
    return next((ending for ending in CONTENT_TYPES if file.endswith(f".{ending}")), None)


def is_every(value: Any) -> bool:
    """Whether `every` may be this: a whole number, 1 or more, or EVALUATION."""
    if isinstance(value, str):
        return value == EVALUATION
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
