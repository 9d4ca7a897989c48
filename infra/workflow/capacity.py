"""The capacity of a training job: instances on demand, or spot capacity, which may be taken from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.workflow.expressions import composed, members
from infra.workflow.requests import Document
from ratchet.spec import PipelineSpec

# Of DescribeTrainingJob's answer: how often the instance was taken, and what spot saved (BillableTimeInSeconds over
# TrainingTimeInSeconds, API reference).
_SPOT = members(
    {
        "interruptions": "$count($states.result.SecondaryStatusTransitions[Status = 'Interrupted'])",
        "training_seconds": "$states.result.TrainingTimeInSeconds",
        "billable_seconds": "$states.result.BillableTimeInSeconds",
    }
)


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """Its part of the training job's request.

    longest: seconds after which SageMaker ends the job.
    figures: what is kept of the job besides, as JSONata texts over its description.
    """

    request: Document
    longest: int
    figures: Mapping[str, str] = field(default_factory=dict)


def capacity(spec: PipelineSpec, checkpoints: str) -> Capacity:
    """As the spec says.

    Args:
        checkpoints: where in S3 a job on spot keeps its checkpoints: its own, since another's would be taken up.
    """
    stopping = {"MaxRuntimeInSeconds": spec.train.max_runtime}
    if spec.train.spot is None:
        return Capacity(request={"StoppingCondition": stopping}, longest=spec.train.max_runtime)
    request = {
        "StoppingCondition": {**stopping, "MaxWaitTimeInSeconds": spec.train.spot.max_wait},
        "EnableManagedSpotTraining": True,
        "CheckpointConfig": {"S3Uri": composed(checkpoints)},
    }
    return Capacity(request=request, longest=spec.train.spot.max_wait, figures={"spot": _SPOT})
