"""Requests of Application Auto Scaling: the variant that each is about, and what AWS, or this AWS, refuses of them.

API reference of Application Auto Scaling; SageMaker developer guide, "Register a model", "Define a scaling policy".
"""

from __future__ import annotations

import re
from functools import lru_cache

from botocore.loaders import Loader
from botocore.model import ServiceModel

from localaws.autoscaling import schedules
from localaws.autoscaling.surroundings import DIMENSION, NAMESPACE, Capacity, Variant
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.core.request import Document

INVOCATIONS = "SageMakerVariantInvocationsPerInstance"
TARGET_TRACKING = "TargetTrackingScaling"
TRACKING = "TargetTrackingScalingPolicyConfiguration"
# Of the dimension; the second needs metrics of ten seconds, which aren't here.
_PREDEFINED = (INVOCATIONS, "SageMakerVariantConcurrentRequestsPerModelHighResolution")
_RESOURCE = re.compile(r"endpoint/([a-zA-Z0-9](?:-*[a-zA-Z0-9]){0,62})/variant/([a-zA-Z0-9](?:-*[a-zA-Z0-9]){0,62})")
# T2, T3, T3a, T4g ("Configure model auto scaling with the console").
_BURSTABLE = re.compile(r"ml\.t\d[a-z]*\.")


@lru_cache(maxsize=1)
def service_model() -> ServiceModel:
    """botocore's model of the service."""
    return ServiceModel(Loader().load_service_model("application-autoscaling", "service-2"), "application-autoscaling")


def not_found(message: str) -> SageMakerError:
    return SageMakerError("ObjectNotFoundException", message)


def check_namespace(request: Document) -> None:
    """Refuses whatever isn't about variants of SageMaker's endpoints."""
    if request["ServiceNamespace"] != NAMESPACE:
        raise errors.not_supported(f"ServiceNamespace={request['ServiceNamespace']} of Application Auto Scaling")
    dimension = request.get("ScalableDimension", DIMENSION)
    if dimension.startswith(f"{NAMESPACE}:") and dimension != DIMENSION:
        raise errors.not_supported(f"ScalableDimension={dimension}")
    if dimension != DIMENSION:
        raise errors.validation("Unsupported service namespace, resource type or scalable dimension")


def variant_of(request: Document) -> Variant:
    """The variant that a request names. ValidationException."""
    check_namespace(request)
    found = _RESOURCE.fullmatch(request["ResourceId"])
    if found is None:
        raise errors.validation("Unsupported service namespace, resource type or scalable dimension")
    return Variant(found[1], found[2])


def named(request: Document) -> str:
    """How messages name a scalable target."""
    return (
        f"service namespace: {request['ServiceNamespace']}, resource ID: {request['ResourceId']}, "
        f"scalable dimension: {request['ScalableDimension']}"
    )


def check_limits(low: int | None, high: int | None) -> None:
    """The limits of a scalable target."""
    if low is None or high is None:
        missing = "MinCapacity" if low is None else "MaxCapacity"
        raise errors.validation(f"{missing} is required when registering a new scalable target")
    if low < 1:
        raise errors.validation(
            f"Minimum capacity {low} isn't valid for a SageMaker variant: the minimum instance count is 1 or higher "
            "(in AWS an asynchronous endpoint's may be 0; here no StepScaling would scale it out again)"
        )
    if high < low:
        raise errors.validation(f"Maximum capacity cannot be less than minimum capacity ({high} < {low})")


def check_scalable(variant: Variant, capacity: Capacity | None) -> None:
    """ "Application Auto Scaling performs validation checks": the model exists, and its instances aren't burstable."""
    if capacity is None:
        raise errors.validation(f"SageMaker variant doesn't exist: {variant.resource}")
    if not capacity.instance_type:
        raise errors.validation(f"The variant {variant.resource} is serverless: it has no instance count to scale")
    if _BURSTABLE.match(capacity.instance_type):
        raise errors.validation(
            f"The variant {variant.resource} is on {capacity.instance_type}: automatic scaling isn't supported for "
            "burstable performance instances such as T2"
        )


def check_policy(request: Document, policy_type: str) -> None:
    """What of a policy AWS refuses, or this AWS hasn't."""
    if policy_type != TARGET_TRACKING:
        raise errors.not_supported(f"PolicyType={policy_type}; there is {TARGET_TRACKING}")
    config = request.get(TRACKING)
    if config is None:
        raise errors.validation(f"{TRACKING} is required for policy type {TARGET_TRACKING}")
    predefined, customized = config.get("PredefinedMetricSpecification"), config.get("CustomizedMetricSpecification")
    if (predefined is None) == (customized is None):
        raise errors.validation(
            "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be specified"
        )
    if config["TargetValue"] <= 0:
        raise errors.validation("Target value must be greater than 0")
    _check_cooldowns(config)
    if predefined:
        _check_predefined(predefined["PredefinedMetricType"])
    if customized:
        _check_customized(customized)


def _check_cooldowns(config: Document) -> None:
    for member in ("ScaleInCooldown", "ScaleOutCooldown"):
        if config.get(member, 0) < 0:
            raise errors.validation(f"{member} must be 0 or more")


def _check_predefined(metric: str) -> None:
    if metric not in _PREDEFINED:
        raise errors.validation(
            f"Scalable dimension {DIMENSION} only supports the following predefined metric types: "
            f"{', '.join(_PREDEFINED)}"
        )
    if metric != INVOCATIONS:
        raise errors.not_supported(f"PredefinedMetricType={metric}")


def _check_customized(metric: Document) -> None:
    if metric.get("Metrics"):
        raise errors.not_supported("Metrics of CustomizedMetricSpecification (metric math)")
    for member in ("MetricName", "Namespace", "Statistic"):
        if member not in metric:
            raise errors.validation(f"{member} of CustomizedMetricSpecification is required")


def check_scheduled_action(request: Document, now: float) -> None:
    """A whole scheduled action, as it will be."""
    if "Schedule" not in request:
        raise errors.validation("Schedule is required when creating a scheduled action")
    limits = request.get("ScalableTargetAction", {})
    low, high = limits.get("MinCapacity"), limits.get("MaxCapacity")
    if low is None and high is None:
        raise errors.validation("At least one of MinCapacity and MaxCapacity of ScalableTargetAction is required")
    check_limits(1 if low is None else low, max(low or 1, 1) if high is None else high)
    try:
        schedule = schedules.Schedule.of(request["Schedule"], request.get("Timezone", "UTC"))
    except schedules.ScheduleError as error:
        raise errors.validation(str(error)) from error
    if schedule.next_after(now, started=now) is None:
        raise errors.validation(f"The schedule {request['Schedule']} is in the past")
