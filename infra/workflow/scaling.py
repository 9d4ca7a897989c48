"""How Application Auto Scaling is told to scale the endpoint, and to leave it alone: requests and grants.

Policies and scheduled actions are named by what they hold, as endpoint configs are: their names tell whether what is
in force is what the spec says. Scalable targets are told apart by their tags, since their ARNs are AWS's to give.
"""

from __future__ import annotations

import json

from contract import names
from contract.scaling import DIMENSION, LINKED_ROLE, LINKED_SERVICE, NAMESPACE, NOT_SCALED, SCALING, STOPPED, resource
from infra.grants import NO_RESOURCE, Conditions, Grant
from infra.workflow.conditions import equals, exists
from infra.workflow.endpoint import VARIANT
from infra.workflow.expressions import expression, quoted
from infra.workflow.language import States, caught, choice, retry, task, when
from infra.workflow.requests import Document
from infra.workflow.surroundings import Surroundings
from ratchet.spec.deploy_autoscale import Autoscale, Time

_SERVICE = "applicationautoscaling"
NOT_FOUND = "ApplicationAutoScaling.ObjectNotFoundException"
# A target that was registered just now may not be known everywhere yet (RegisterScalableTarget, API reference).
_TROUBLE = (
    "ApplicationAutoScaling.ConcurrentUpdateException",
    "ApplicationAutoScaling.InternalServiceException",
    "ApplicationAutoScaling.ApplicationAutoScalingException",
)
_RETRY = (retry(_TROUBLE, interval=1, attempts=3),)
_RETRY_NEW = (*_RETRY, retry([NOT_FOUND], interval=1, attempts=5))
STOPPED_BY_RUN = "$exists($scaling.stopped)"
_TARGETS = "A scalable target's ARN is AWS's to give; conditions leave nothing but this pipeline's."


def target(at: Surroundings) -> Document:
    return {"ServiceNamespace": NAMESPACE, "ResourceId": _resource(at), "ScalableDimension": DIMENSION}


def _resource(at: Surroundings) -> str:
    return resource(at.endpoint, VARIANT)


def policy_name(at: Surroundings, autoscale: Autoscale) -> str:
    """By all that scaling is told, the limits too."""
    return names.content_name(f"{at.endpoint}-", json.dumps(autoscale.model_dump(mode="json"), sort_keys=True))


def policies(at: Surroundings, autoscale: Autoscale) -> list[str]:
    return [] if autoscale.invocations_per_instance is None else [policy_name(at, autoscale)]


def times(at: Surroundings, autoscale: Autoscale) -> list[str]:
    """The names of the scheduled actions, in the order of the spec."""
    return [f"{policy_name(at, autoscale)}-{number:02}" for number in range(len(autoscale.schedule))]


# -------------------------------------------------------------------------------------------------------------- states


def look(name: str, action: str, request: Document, *, then: str, assign: Document, on_failure: str) -> States:
    return task(
        name,
        f"aws-sdk:{_SERVICE}:{action}",
        request,
        then=then,
        retries=_RETRY,
        assign=assign,
        on_failure=on_failure,
    )


def stop_scaling(name: str, at: Surroundings, *, then: str, on_failure: str) -> States:
    """The endpoint is no scalable target any more, and has no policy nor scheduled action.

    Before an update ("Update endpoints that use auto scaling"), since the instance type may change with it. Who may end
    the scaling of what has certain tags may not ask to end that of what isn't there: it is looked for first.
    """
    there = exists("$states.result.ScalableTargets[0]")
    was = expression(f"{there} ? {quoted(STOPPED)} : {quoted(NOT_SCALED)}")
    found, now = f"{name}Found", f"{name}Now"
    return {
        **look_at_target(name, at, then=found, assign={SCALING: {"stopped": was}}, on_failure=on_failure),
        **choice(found, [when(equals("$scaling.stopped", STOPPED), now)], default=then),
        **deregister(now, at, then=then, on_failure=on_failure),
    }


def deregister(name: str, at: Surroundings, *, then: str, on_failure: str) -> States:
    """Ends the scaling of an endpoint that is scaled; that somebody was faster is as well."""
    return task(
        name,
        f"aws-sdk:{_SERVICE}:deregisterScalableTarget",
        target(at),
        then=then,
        retries=_RETRY,
        catches=[caught(name, then, [NOT_FOUND], {"failure": None})],
        on_failure=on_failure,
    )


def look_at_target(name: str, at: Surroundings, *, then: str, assign: Document, on_failure: str) -> States:
    named = {"ServiceNamespace": NAMESPACE, "ResourceIds": [_resource(at)], "ScalableDimension": DIMENSION}
    return look(name, "describeScalableTargets", named, then=then, assign=assign, on_failure=on_failure)


def begin_scaling(
    at: Surroundings, autoscale: Autoscale, *, then: str, on_failure: str, suffix: str = ""
) -> tuple[str, States]:
    """Registers the variant, and puts its policy and its scheduled actions; the first state's name.

    suffix: how the states' names end.
    """
    requests: list[tuple[str, str, Document]] = [
        (f"RegisterTarget{suffix}", "registerScalableTarget", _new_target(at, autoscale))
    ]
    requests += [
        (f"PutPolicy{suffix}", "putScalingPolicy", _policy(at, autoscale, name)) for name in policies(at, autoscale)
    ]
    requests += [
        (f"PutTime{number}{suffix}", "putScheduledAction", _time(at, name, time))
        for number, (name, time) in enumerate(zip(times(at, autoscale), autoscale.schedule, strict=True), start=1)
    ]
    following = [*(name for name, _, _ in requests[1:]), then]
    states: States = {}
    for (name, action, request), after in zip(requests, following, strict=True):
        states |= task(
            name, f"aws-sdk:{_SERVICE}:{action}", request, then=after, retries=_RETRY_NEW, on_failure=on_failure
        )
    return requests[0][0], states


def _new_target(at: Surroundings, autoscale: Autoscale) -> Document:
    return {**target(at), "MinCapacity": autoscale.min, "MaxCapacity": autoscale.max, "Tags": _tags(at)}


def _tags(at: Surroundings) -> Document:
    return {names.ENVIRONMENT_TAG: at.environment, names.PIPELINE_TAG: at.pipeline}


def _policy(at: Surroundings, autoscale: Autoscale, name: str) -> Document:
    tracking = {
        "TargetValue": autoscale.invocations_per_instance,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        "ScaleOutCooldown": autoscale.cooldown_out,
        "ScaleInCooldown": autoscale.cooldown_in,
    }
    return {
        **target(at),
        "PolicyName": name,
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": tracking,
    }


def _time(at: Surroundings, name: str, time: Time) -> Document:
    limits = {"MinCapacity": time.min, "MaxCapacity": time.max}
    return {
        **target(at),
        "ScheduledActionName": name,
        "Schedule": time.at,
        "Timezone": time.zone,
        "ScalableTargetAction": {side: limit for side, limit in limits.items() if limit is not None},
    }


def retained(at: Surroundings) -> Document:
    """UpdateEndpoint's part that keeps as many instances as scaling has set."""
    return {"RetainAllVariantProperties": True} if at.spec.deploy.autoscale else {}


def not_stopped_yet() -> str:
    """The run hasn't stopped scaling for its update."""
    return f"$not({STOPPED_BY_RUN})"


# -------------------------------------------------------------------------------------------------------------- grants


def scale(at: Surroundings) -> list[Grant]:
    """The machine's: to scale the endpoint, and what Application Auto Scaling asks of its callers for that."""
    if at.spec.deploy.autoscale is None:
        return []
    alarms = at.account.arn("cloudwatch", f"alarm:TargetTracking-{_resource(at)}-Alarm*")
    role = f"arn:{at.account.partition}:iam::{at.account.account}:role/aws-service-role/{LINKED_SERVICE}/{LINKED_ROLE}"
    return [
        Grant(
            actions=[f"application-autoscaling:Describe{kind}" for kind in _LOOKS], resources=["*"], because=NO_RESOURCE
        ),
        _on_targets(at, ["RegisterScalableTarget"], _in_request(at), _of_variants()),
        _on_targets(at, ["TagResource"], _in_request(at)),
        _on_targets(at, ["PutScalingPolicy", "PutScheduledAction"], _of_resource(at), _of_variants()),
        *stop(at),
        Grant(
            actions=["cloudwatch:PutMetricAlarm", "cloudwatch:DescribeAlarms"],
            resources=[alarms],
            because="Application Auto Scaling ends its alarms' names with an ID of its own.",
        ),
        Grant(actions=["sagemaker:UpdateEndpointWeightsAndCapacities"], resources=[at.endpoint_arn]),
        Grant(
            actions=["iam:CreateServiceLinkedRole"],
            resources=[role],
            conditions={"StringEquals": {"iam:AWSServiceName": LINKED_SERVICE}},
        ),
    ]


_LOOKS = ("ScalableTargets", "ScalingPolicies", "ScheduledActions")


def look_for_target() -> Grant:
    """To find out whether anything is scaled."""
    return Grant(actions=["application-autoscaling:DescribeScalableTargets"], resources=["*"], because=NO_RESOURCE)


def stop(at: Surroundings) -> list[Grant]:
    """To end the endpoint's scaling; SageMaker asks it of who deletes an endpoint that is scaled, too."""
    alarms = at.account.arn("cloudwatch", f"alarm:TargetTracking-{_resource(at)}-Alarm*")
    return [
        _on_targets(at, ["DeregisterScalableTarget"], _of_resource(at), _of_variants()),
        Grant(
            actions=["cloudwatch:DeleteAlarms"],
            resources=[alarms],
            because="Application Auto Scaling ends its alarms' names with an ID of its own.",
        ),
    ]


def _on_targets(at: Surroundings, actions: list[str], *keys: dict[str, str]) -> Grant:
    equal = {name: value for each in keys for name, value in each.items()}
    conditions: Conditions = {"StringEquals": equal}
    return Grant(
        actions=[f"application-autoscaling:{action}" for action in actions],
        resources=[at.account.arn("application-autoscaling", "scalable-target/*")],
        conditions=conditions,
        because=_TARGETS,
    )


def _of_variants() -> dict[str, str]:
    keys = "application-autoscaling"
    return {f"{keys}:service-namespace": NAMESPACE, f"{keys}:scalable-dimension": DIMENSION}


def _in_request(at: Surroundings) -> dict[str, str]:
    return {f"aws:RequestTag/{name}": value for name, value in _tags(at).items()}


def _of_resource(at: Surroundings) -> dict[str, str]:
    return {f"aws:ResourceTag/{name}": value for name, value in _tags(at).items()}
