"""`deploy.batch` of pipeline.yaml: requests that come together are predicted together, where the container can.

Sources: aws/sagemaker-containers, `_server.py` (gunicorn's workers of the kind gevent);
aws/sagemaker-inference-toolkit, `transformer.py`, and its issue #123.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from contract import files, micro_batches
from contract.endpoint_kinds import SERVERLESS_KIND
from ratchet.spec import units
from ratchet.spec.errors import checked, refusal
from ratchet.spec.model import Model
from ratchet.spec.own_code import check_import

HELPER = f"{files.TOOLKIT}.micro_batches"
MOST_ROWS, LONGEST_WAIT = 1000, 1000


def _milliseconds(value: object) -> int:
    number = units.milliseconds(value, "5ms")
    if not 0 < number <= LONGEST_WAIT:
        raise ValueError(f"is {value}; a request waits 1ms to {LONGEST_WAIT}ms for others: write 5ms")
    return number


class MicroBatches(Model):
    """So many rows at most are predicted together, for which the first request waits so many milliseconds at most."""

    max: Annotated[int, Field(ge=2, le=MOST_ROWS, description="Rows that are predicted together, at most")] = 32
    wait: Annotated[
        int,
        BeforeValidator(checked(_milliseconds)),
        WithJsonSchema({"type": "string", "pattern": units.SHORT_PATTERN, "examples": ["5ms"], "default": "5ms"}),
        Field(description="How long the first of them waits for the others, at most"),
    ] = 5

    @property
    def told(self) -> str:
        """As the container is told it."""
        return micro_batches.text(self.max, self.wait / 1000)


def may_batch(framework: str | None) -> bool:
    """Whether a framework's container has requests at the same time; one of an image of the user's own (None) may."""
    return framework != "pytorch"


def check_containers(batch: MicroBatches | None, frameworks: Sequence[str | None]) -> None:
    """Raises a refusal where none of the containers that serve, by their frameworks, would make anything of it."""
    if batch is not None and not any(map(may_batch, frameworks)):
        message = (
            "is said, but PyTorch's container predicts one request after the other: TorchServe hands its toolkit many, "
            "of which that makes a call each, and one that fails fails all (aws/sagemaker-inference-toolkit #123); "
            "leave it out, or use an image of your own"
        )
        raise refusal(message, "deploy", "batch")


def check_kind(batch: MicroBatches | None, kind: str) -> None:
    """Raises a refusal where instances have one request at a time."""
    if batch is not None and kind == SERVERLESS_KIND:
        message = "is said, but an instance of a serverless endpoint has one request at a time; leave it out"
        raise refusal(message, "batch")


def check_helper(folder: Path, scripts: Sequence[str]) -> str | None:
    """The end of a sentence about scripts of which none puts requests together; None where one does.

    scripts: serve.py, or those of a chain whose containers may batch.
    """
    otherwise = (
        f"is said, but {' or '.join(scripts)} doesn't import {HELPER}, so each request is predicted alone; write below "
        "its functions: predict_fn = in_batches(predict_fn)"
    )
    return check_import(folder, scripts, HELPER, need="a predict_fn that takes many rows", otherwise=otherwise)
