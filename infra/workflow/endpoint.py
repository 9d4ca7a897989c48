"""The endpoint as steps see it: described, changed, and waited for until the time of a deployment is over.

Its name stays; the config that it is on says which model answers. A failed update ends `InService` too, on the old
config: only the config's name tells (SageMaker Developer Guide, "Deployment guardrails").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infra.workflow.expressions import expression, members
from infra.workflow.instances import taking_instances
from infra.workflow.language import RETRY_SAGEMAKER, State, States, task, waiting_until
from infra.workflow.requests import Document
from infra.workflow.surroundings import Surroundings

# The one variant of an endpoint, which takes all traffic.
VARIANT = "AllTraffic"
SHORTEST_PAUSE_MILLISECONDS, LONGEST_PAUSE_MILLISECONDS = 250, 30_000

# A run's variables before it has looked at the endpoint, and had an update of it accepted.
UNTOUCHED = {"endpoint": None, "deployed": False}

_REASON = "$states.result.FailureReason"
_DESCRIPTION = members(
    {
        "status": "$states.result.EndpointStatus",
        "config": "$states.result.EndpointConfigName",
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
    name: str, action: str, request: Document, *, then: str, assign: Mapping[str, Any], on_failure: str
) -> States:
    """createEndpoint or updateEndpoint.

    It takes the SDK integration: the optimized one knows no DeploymentConfig.
    """
    return taking_instances(
        name, f"aws-sdk:sagemaker:{action}", request, then=then, assign=assign, on_failure=on_failure
    )


def update(at: Surroundings, config: str) -> Document:
    """UpdateEndpoint to the config that the JSONata text names; by itself SageMaker does it blue/green, all at once."""
    return {"EndpointName": at.endpoint, "EndpointConfigName": expression(config)}


def wait_for_endpoint(name: str, *, then: str) -> States:
    """Waits a quarter of the time waited so far: quick for what is quick, and few calls for what takes minutes."""
    longer = f"$max([{SHORTEST_PAUSE_MILLISECONDS}, ($millis() - $deploying_since) / 4])"
    return waiting_until(name, f"$floor($millis() + $min([{LONGEST_PAUSE_MILLISECONDS}, {longer}]))", then=then)
