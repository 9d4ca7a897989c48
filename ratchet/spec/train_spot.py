"""`train.spot` of pipeline.yaml: training on spot capacity, for scripts that can go on where they were interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from contract.files import TOOLKIT, TRAINING_SCRIPT
from ratchet.spec.errors import refusal
from ratchet.spec.fields import TrainingSeconds
from ratchet.spec.model import Model
from ratchet.spec.own_code import check_import
from ratchet.spec.units import duration_text

CHECKPOINTS = f"{TOOLKIT}.checkpoint"


class Spot(Model):
    """Managed spot training. `max_wait` is in seconds: waiting for capacity and training together."""

    max_wait: Annotated[TrainingSeconds, Field(description="Waiting for spot capacity and training together")]


def check_spot(spot: Spot | None, max_runtime: int) -> None:
    """Raises a refusal when a job could be given up before its own time is over (StoppingCondition, API reference)."""
    if spot is not None and spot.max_wait < max_runtime:
        wait, runtime = duration_text(spot.max_wait), duration_text(max_runtime)
        message = f"is {wait}, less than max_runtime ({runtime}); it holds the waiting and the training: write more"
        raise refusal(message, "spot", "max_wait")


def check_keep_warm(keep_warm: int | None, spot: Spot | None) -> None:
    """Raises a refusal where SageMaker would ("Considerations" of warm pools, developer guide)."""
    if keep_warm is not None and spot is not None:
        message = f"is {duration_text(keep_warm)}, but SageMaker keeps no spot instances warm: leave this or spot out"
        raise refusal(message, "keep_warm")


def check_checkpoints(folder: Path, script: str = TRAINING_SCRIPT) -> str | None:
    """The end of a sentence about a script that doesn't checkpoint, so can't be interrupted; None where it does."""
    need = "a script that checkpoints"
    otherwise = (
        f"needs {need}, and {script} doesn't import {CHECKPOINTS}: an interruption would "
        "train all anew; use toolkit.checkpoint.Checkpoints (docs/spot.md), or leave spot out"
    )
    return check_import(folder, [script], CHECKPOINTS, need=need, otherwise=otherwise)
