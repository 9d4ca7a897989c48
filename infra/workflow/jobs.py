"""A SageMaker job as part of a step: the task that waits for its end, the question how it ended, and the grants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contract.states import RECORD
from infra.grants import Grant
from infra.workflow.conditions import is_completed
from infra.workflow.instances import short_of_capacity, taking_instances
from infra.workflow.language import States, choice, failure, task, when
from infra.workflow.surroundings import Surroundings
from ratchet.spec.instances import InstanceTypes

# Besides its own runtime a job waits for instances, downloads its data and uploads its results.
OVERHEAD_SECONDS = 3600
# What deletes a job, whose name may be used again then ("DeleteTrainingJob", "DeleteProcessingJob", API reference); a
# transform job stays.
_DELETED = {
    "createTrainingJob": ("deleteTrainingJob", "TrainingJobName"),
    "createProcessingJob": ("deleteProcessingJob", "ProcessingJobName"),
}


def job(
    name: str,
    operation: str,
    request: Mapping[str, Any],
    *,
    types: InstanceTypes,
    patience: int,
    longest: int,
    then: str,
    assign: Mapping[str, Any],
    on_failure: str = RECORD,
) -> States:
    """Makes a job and waits until it has ended; SageMaker ends it itself after `longest` seconds.

    One for which there is no capacity ends before it has done anything: it is deleted, so that another may have its
    name, on the next of the instance types.
    """
    again = _DELETED.get(operation)
    asked = taking_instances(
        name,
        f"sagemaker:{operation}.sync",
        request,
        then=then,
        patience=patience,
        types=len(types.in_order) if again else 1,
        timeout=longest + OVERHEAD_SECONDS,
        assign=assign,
        on_failure=on_failure,
        on_error=f"{name}Short" if again else None,
    )
    return asked | _cleared(name, again, request, on_failure) if again else asked


def _cleared(name: str, delete: tuple[str, str], request: Mapping[str, Any], on_failure: str) -> States:
    action, key = delete
    cleared, named = f"{name}Cleared", {key: request[key]}
    return {
        **short_of_capacity(name, clear=cleared, otherwise=on_failure),
        **task(cleared, f"aws-sdk:sagemaker:{action}", named, then=f"{name}Refused", on_failure=on_failure),
    }


def completed(name: str, job: str, variable: str, *, then: str, otherwise: str = RECORD) -> States:
    """`Stopped` is not `Failed`: Step Functions may end a stopped job either way, and the recorder reads the status
    from the description here as from an error's cause."""
    stopped = {"failure": failure(job, "JobNotCompleted", f"<$string({variable}.description)>")}
    return choice(name, [when(is_completed(variable), then)], default=otherwise, assign=stopped)


def run_jobs(at: Surroundings, operation: str, arns: Sequence[str]) -> list[Grant]:
    """Making jobs (`operation` is TrainingJob, ProcessingJob, …), stopping and deleting them, learning of their end.

    Source: "IAM policies for calling SageMaker AI" (Step Functions): a managed rule of EventBridge for each kind. Step
    Functions tags what it waits for (MANAGED_BY_AWS).
    """
    verbs = [f"sagemaker:{verb}{operation}" for verb in ("Create", "Describe", "Stop")]
    if f"create{operation}" in _DELETED:
        verbs.append(f"sagemaker:Delete{operation}")
    kind = operation.removeprefix("HyperParameter")
    rule_arn = at.account.arn("events", f"rule/StepFunctionsGetEventsForSageMaker{kind}sRule")
    return [
        Grant(actions=[*verbs, "sagemaker:AddTags", "sagemaker:ListTags"], resources=arns),
        Grant(actions=["events:DescribeRule", "events:PutRule", "events:PutTargets"], resources=[rule_arn]),
    ]
