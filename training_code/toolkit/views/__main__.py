"""`python -m toolkit.views`: draws a training job's views, beside the training or afterwards.

The probe starts it with `--trainer`: views in RATCHET_VIEWS, tensors in RATCHET_TENSORS. With `--tensors` it draws what
any job has saved, a folder or an s3:// prefix, into `--output`:

    python -m toolkit.views --tensors s3://bucket/runs/digits/…/train/tensors --view latents --every 100 --output out

The exit code is 0, 1 when something couldn't be drawn, 2 when it isn't known what to draw.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contract import environment, views
from toolkit.beside_training import Stop, Trainer, stand_back
from toolkit.errors import ToolkitError
from toolkit.probe import layout
from toolkit.views import beside, by_hand
from toolkit.views.artist import Failure, Limits
from toolkit.views.configuration import Configuration, read
from toolkit.views.documents import Document
from toolkit.views.earlier import earlier_documents
from toolkit.views.errors import ViewError


def main(arguments: Sequence[str]) -> int:
    """Draws; the exit code."""
    options = _options(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    # No GPU: its memory is the training's.
    stand_back(beside.NICENESS, CUDA_VISIBLE_DEVICES="")
    told = options.views or environment.whole(environment.VIEWS, os.environ) or "[]"
    # A model's code that makes a probe mustn't start all this again.
    for name in (environment.VIEWS, environment.RULES):
        os.environ.pop(name, None)
    return _afterwards(options, told) if options.tensors else _beside(options, told)


def _beside(options: argparse.Namespace, told: str) -> int:
    stop = Stop()
    stop.listen()
    directory = layout.directory().resolve()
    try:
        configurations = read(told)
    except ViewError as error:
        return _tell(error, directory)
    earlier = earlier_documents(directory, configurations)
    drawing = beside.Beside(
        directory,
        configurations,
        options.code.resolve(),
        trainer=Trainer(options.trainer),
        stop=stop,
        limits=Limits(options.seconds),
        earlier=earlier,
    )
    return drawing.run()


def _tell(error: ViewError, directory: Path) -> int:
    """Says that the views themselves can't be read, as a document of the variable that holds them."""
    beside.log.error("views: %s", error)
    document = Document(Configuration(environment.VIEWS, environment.VIEWS), directory)
    document.status = views.GIVEN_UP
    document.failed_at(None, Failure(str(error), 0.0))
    try:
        document.write()
    except OSError as failed:
        beside.log.warning("views: %s can't be written: %s", directory, failed)
    return 2


def _afterwards(options: argparse.Namespace, told: str) -> int:
    try:
        parameters = _object(options.parameters)
        configurations = [by_hand.chosen(options.view, options.every, parameters)] if options.view else read(told)
        if not configurations:
            raise ViewError(f"there is no view to draw: give --view NAME, or --views or {environment.VIEWS}")
        steps = _steps(options.steps)
    except ViewError as error:
        print(f"views: {error}", file=sys.stderr)
        return 2
    try:
        drawing = by_hand.ByHand(
            options.tensors,
            options.code.resolve(),
            options.output.resolve(),
            limits=Limits(options.seconds),
            say=lambda path: print(path, flush=True),
            warn=lambda sentence: print(f"views: {sentence}", file=sys.stderr, flush=True),
        )
        return 0 if drawing.draw(configurations, steps) else 1
    except (ToolkitError, OSError) as error:
        print(f"views: {error}", file=sys.stderr)
        return 1


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ViewError(f"--parameters is not JSON: {error}") from error
    if not isinstance(found, Mapping):
        raise ViewError(f'--parameters must be {{"name": value}}, not {text}')
    return dict(found)


def _steps(text: str | None) -> list[int] | None:
    parts = [part.strip() for part in text.split(",")] if text is not None else []
    if wrong := [part for part in parts if not part.isdecimal()]:
        raise ViewError(f"--steps: {wrong[0]!r} is no training step; write them as 100,200")
    return [int(part) for part in parts] or None


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m toolkit.views", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trainer", type=int, metavar="PID", help="the training process, whose child this one is")
    parser.add_argument("--tensors", help="saved tensors to draw: a folder or an s3:// prefix")
    parser.add_argument(
        "--views", metavar="JSON", help="the views, as RATCHET_VIEWS lists them, which counts otherwise"
    )
    parser.add_argument("--view", metavar="NAME", help="one view instead: a function's name, or a built-in view's")
    parser.add_argument("--every", metavar="N", help=f"of --view: steps between pictures, or {views.EVALUATION}")
    parser.add_argument("--parameters", metavar="JSON", default="{}", help="of --view: its parameters")
    parser.add_argument("--steps", metavar="N,N", help="the training steps to draw; all that are due unless given")
    parser.add_argument("--code", type=Path, default=Path(), help="the model's folder; this one unless given")
    parser.add_argument("--output", type=Path, help="the folder for views/<name>/…")
    parser.add_argument(
        "--seconds", type=float, default=views.DRAWING_SECONDS, help="how long one drawing may take (%(default)g)"
    )
    options = parser.parse_args(arguments)
    if options.tensors and options.output is None:
        parser.error("--tensors needs --output, a folder for the pictures")
    if options.view and options.views:
        parser.error("give --view or --views")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
