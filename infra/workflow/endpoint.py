"""The endpoint as steps see it: described, changed, and waited for until the time of a deployment is over.

It is waited for by its event: the machine leaves a task token with the launcher, which hears when the endpoint changes
no more. An event may be lost, so each wait has an end; and none tells of some changes, which are looked for instead.

Its name stays; the config that it is on says which model answers. A failed update ends `InService` too, on the old
config: only the config's name tells (SageMaker Developer Guide, "Deployment guardrails").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contract.awaiting import AWAIT
from infra.grants import Grant
from infra.workflow.expressions import expression, jsonata, members
from infra.workflow.instances import taking_instances
from infra.workflow.language import RETRY_SAGEMAKER, RETRY_SQS, State, States, task, waiting_until
from infra.workflow.requests import Document
from infra.workflow.surroundings import QUEUE_URL, Surroundings

# The one variant of an endpoint, which takes all traffic.
VARIANT = "AllTraffic"
# An event may be lost; after so long the endpoint is looked at all the same.
LONGEST_WAIT_SECONDS = 60
# How long instances for a change of the endpoint are asked for, unless said.
PATIENCE_SECONDS = 1800
SHORTEST_PAUSE_MILLISECONDS, LONGEST_PAUSE_MILLISECONDS = 250, 30_000

# A run's variables before it has looked at the endpoint, and had an update of it accepted.
UNTOUCHED = {"endpoint": None, "deployed": False}

_INPUT = expression("$states.input")
_REASON = "$states.result.FailureReason"
_DESCRIPTION = members(
    {
        "status": "$states.result.EndpointStatus",
        "config": "$states.result.EndpointConfigName",
        # Of the instance types that were tried in their order.
        "instances": "[$states.result.ProductionVariants[0].InstancePools[CurrentInstanceCount > 0].InstanceType]",
        # After a rollback it may be there and empty.
        "reason": f"$exists({_REASON}) and {_REASON} != '' ? {_REASON} : 'SageMaker gives no reason'",
    }
)


def timer(seconds: int) -> dict[str, Any]:
    """The variables of a wait for the endpoint, which ends after so many seconds."""
    return {
        "deploying_since": expression("$millis()"),
        "deploy_deadline": expression(f"$millis() + {seconds * 1000}"),
        "endpoint_changed": False,
    }


def describe_endpoint(
    name: str, at: Surroundings, *, then: str, on_failure: str, retries: Sequence[State] = RETRY_SAGEMAKER
) -> States:
    """Puts the endpoint's status, config and, where SageMaker gives one, failure reason into `$endpoint`."""
    return task(
        name,
        "aws-sdk:sagemaker:describeEndpoint",
        {"EndpointName": at.endpoint},
        then=then,
        retries=retries,
        assign={"endpoint": expression(_DESCRIPTION)},
        on_failure=on_failure,
    )


def change_endpoint(
    name: str,
    action: str,
    request: Document,
    *,
    then: str,
    assign: Mapping[str, Any],
    on_failure: str,
    patience: int = PATIENCE_SECONDS,
) -> States:
    """createEndpoint or updateEndpoint, for whose instances `patience` seconds are waited.

    It takes the SDK integration: the optimized one knows no DeploymentConfig.
    """
    return taking_instances(
        name,
        f"aws-sdk:sagemaker:{action}",
        request,
        then=then,
        patience=patience,
        assign=assign,
        on_failure=on_failure,
        has_them_then=False,
    )


def update(at: Surroundings, config: str) -> Document:
    """UpdateEndpoint to the config that the JSONata text names; by itself SageMaker does it blue/green, all at once."""
    return {"EndpointName": at.endpoint, "EndpointConfigName": expression(config)}


def wait_for_endpoint(name: str, *, then: str) -> States:
    """Waits until the endpoint has changed, or for a while, and goes on to `then`, which looks.

    Where no event is to come, `unheard(name)` pauses instead.
    """
    wait: State = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Arguments": {"QueueUrl": str(QUEUE_URL), "MessageBody": _message()},
        "TimeoutSeconds": LONGEST_WAIT_SECONDS,
        "Retry": list(RETRY_SQS),
        "Catch": [_caught("States.Timeout", then), _caught("States.ALL", unheard(name))],
        "Output": _INPUT,
        "Next": then,
    }
    longer = f"$max([{SHORTEST_PAUSE_MILLISECONDS}, ($millis() - $deploying_since) / 4])"
    pause = f"$floor($millis() + $min([{LONGEST_PAUSE_MILLISECONDS}, {longer}]))"
    return {name: wait, **waiting_until(unheard(name), pause, then=then)}


def unheard(name: str) -> str:
    """The state beside the wait `name` for what no event tells of: a deletion's end, that a call was throttled, or an
    update that doesn't show, since it has been taken back already, its event with it.

    It pauses for a quarter of the time waited so far: quick for what is quick, few calls for what takes minutes.
    """
    return f"{name}Unheard"


def _caught(error: str, then: str) -> State:
    """A wait that wasn't answered is no failure of the run's."""
    return {"ErrorEquals": [error], "Output": _INPUT, "Next": then}


def wait_grants(at: Surroundings) -> Grant:
    """Leaving a task token with the launcher."""
    return Grant(actions=["sqs:SendMessage"], resources=[at.queue_arn])


def _message() -> str:
    """What the launcher keeps: the token, and the endpoint as it was seen last."""
    wait: Document = {
        "kind": AWAIT,
        "run_id": expression("$run.run_id"),
        "token": expression("$states.context.Task.Token"),
        "since": expression("$now()"),
        "status": expression("$endpoint.status"),
        "config": expression("$endpoint.config"),
    }
    return expression(f"$string({jsonata(wait)})")
