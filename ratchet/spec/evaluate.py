"""`evaluate` of pipeline.yaml: the processing job that judges a run's model."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ratchet.spec import units
from ratchet.spec.fields import Instance, duration
from ratchet.spec.model import Model

# ProcessingStoppingCondition, API reference of CreateProcessingJob.
PROCESSING_RUNTIME = 7 * units.SECONDS["d"]

ProcessingSeconds = Annotated[int, *duration(1, PROCESSING_RUNTIME, what="a processing job")]


class Evaluate(Model):
    """The processing job that judges challenger and champion on the `test` channel. `max_runtime` is in seconds."""

    instance: Instance = "ml.m5.large"
    max_runtime: ProcessingSeconds = 3600
    label: Annotated[int, Field(ge=0, description="The label's column in the held-out CSV files (no header)")] = 0
