"""A pipeline's deployment: new code is a trigger, and before the stack goes, what its runs have made is taken down."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from common.content_names import sweep
from common.deployment_alarms import sweep_alarms
from common.refusals import is_missing

from contract import run_table, triggers
from contract.scaling import DIMENSION, NAMESPACE
from lifecycle import groups
from lifecycle.deadline import Deadline

POLL_SECONDS, GOING_SECONDS = 1.0, 0.1
_CHANGING = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


@dataclass(frozen=True)
class Clients:
    """boto3 clients of the services that a pipeline has things in."""

    states: Any
    sagemaker: Any
    dynamodb: Any
    cloudwatch: Any

    @staticmethod
    def of(client: Callable[[str], Any]) -> Clients:
        return Clients(*(client(service) for service in ("stepfunctions", "sagemaker", "dynamodb", "cloudwatch")))


def announce_new_code(sqs: Any, dynamodb: Any, new: Mapping[str, str], old: Mapping[str, str]) -> bool:
    """Sends a trigger if the code has changed, the spec wants that, and a run was ever asked for.

    Before, the pipeline waits for its first data: a run without any would have nothing to work on.
    """
    if new["StartsRuns"] != "yes" or new["CodeHash"] == old.get("CodeHash") or not _was_triggered(dynamodb, new):
        return False
    detail = {"code_hash": new["CodeHash"], "previous": old.get("CodeHash", "")}
    body = json.dumps(triggers.message(triggers.CODE, detail))
    sqs.send_message(QueueUrl=new["QueueUrl"], MessageBody=body)
    return True


def stop_scaling(autoscaling: Any, resource: str) -> bool:
    """Ends the scaling of an endpoint's variant, whose policies and alarms go with it; whether it was scaled.

    It is looked for first: of what isn't there nobody knows whose it is, so that to end its scaling is refused.
    """
    named = {"ServiceNamespace": NAMESPACE, "ScalableDimension": DIMENSION}
    if not autoscaling.describe_scalable_targets(**named, ResourceIds=[resource])["ScalableTargets"]:
        return False
    try:
        autoscaling.deregister_scalable_target(**named, ResourceId=resource)
    except autoscaling.exceptions.ObjectNotFoundException:
        return False
    return True


def _was_triggered(dynamodb: Any, pipeline: Mapping[str, str]) -> bool:
    """The launcher makes the state item with the first trigger."""
    return "Item" in dynamodb.get_item(TableName=pipeline["RunTable"], Key=_state_key(pipeline), ConsistentRead=True)


def _state_key(pipeline: Mapping[str, str]) -> dict[str, Any]:
    return run_table.key(pipeline["Pipeline"], run_table.STATE_ITEM)


def take_down(clients: Clients, pipeline: Mapping[str, str], deadline: Deadline) -> None:
    """Stops runs, deletes endpoint, alarms, configs and models, and forgets who is champion; each if it is there.

    The model package group goes where `ModelPackages` is `destroy`; run records and artifacts, which are the shared
    stack's, stay.
    """
    _stop_runs(clients.states, pipeline["StateMachineArn"])
    _delete_endpoint(clients.sagemaker, pipeline["Endpoint"], deadline)
    if pipeline.get("Alarms") == "yes":
        sweep_alarms(clients.sagemaker, clients.cloudwatch, pipeline["ContentPrefix"])
    sweep(clients.sagemaker, pipeline["ContentPrefix"])
    if pipeline["ModelPackages"] == "destroy":
        groups.delete(clients.sagemaker, pipeline["ModelPackageGroup"], deadline)
    # A pipeline deployed anew would find nothing new since a champion that no longer answers.
    clients.dynamodb.delete_item(TableName=pipeline["RunTable"], Key=_state_key(pipeline))


def _stop_runs(states: Any, machine: str) -> None:
    pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine, statusFilter="RUNNING")
    for execution in [found for page in pages for found in page["executions"]]:
        states.stop_execution(
            executionArn=execution["executionArn"],
            error="PipelineDestroyed",
            cause="The pipeline's stack is being deleted.",
        )


def _delete_endpoint(sagemaker: Any, name: str, deadline: Deadline) -> None:
    """SageMaker refuses to delete an endpoint that is being changed, and a config that is in use: hence the waiting."""
    while (status := _endpoint_status(sagemaker, name)) is not None:
        changing = status in _CHANGING
        if not changing:
            sagemaker.delete_endpoint(EndpointName=name)
        deadline.check(f"deleting the endpoint {name} ({status})")
        time.sleep(POLL_SECONDS if changing else GOING_SECONDS)


def _endpoint_status(sagemaker: Any, name: str) -> str | None:
    try:
        return str(sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"])
    except ClientError as error:
        if is_missing(error):
            return None
        raise
