"""Managed spot training with checkpoints: what it adds to the training job's request, and to what a run remembers."""

from __future__ import annotations

from typing import Any

from ratchet.spec import PipelineSpec

Document = dict[str, Any]

CHECKPOINTS = "train/checkpoints"

# Of DescribeTrainingJob's answer: how often the instance was taken, and what spot saved (BillableTimeInSeconds over
# TrainingTimeInSeconds, API reference).
FIGURES = (
    "{'interruptions': $count($states.result.SecondaryStatusTransitions[Status = 'Interrupted']),"
    " 'training_seconds': $states.result.TrainingTimeInSeconds,"
    " 'billable_seconds': $states.result.BillableTimeInSeconds}"
)


def request(spec: PipelineSpec, checkpoints: str) -> Document:
    """The request's further fields; none for a job on demand.

    Args:
        checkpoints: where in S3 the job keeps its checkpoints: the run's own, since another's would be taken up.
    """
    if spec.train.spot is None:
        return {}
    return {"EnableManagedSpotTraining": True, "CheckpointConfig": {"S3Uri": checkpoints}}


def stopping_condition(spec: PipelineSpec) -> Document:
    condition = {"MaxRuntimeInSeconds": spec.train.max_runtime}
    if spec.train.spot is not None:
        condition["MaxWaitTimeInSeconds"] = spec.train.spot.max_wait
    return condition


def longest(spec: PipelineSpec) -> int:
    """Seconds after which SageMaker ends the job."""
    return spec.train.spot.max_wait if spec.train.spot else spec.train.max_runtime


def figures(spec: PipelineSpec) -> str:
    """What `$training` says of spot: a member of its JSONata object, with its comma."""
    return f" 'spot': {FIGURES}," if spec.train.spot else ""
