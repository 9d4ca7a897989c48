"""What SageMaker asks Application Auto Scaling: which variants it scales, and to leave those of an endpoint alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from localaws.autoscaling.surroundings import DIMENSION, NAMESPACE
from localaws.ministack_adapter import authorization
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Caller

SERVICE = "application-autoscaling"
_KEYS = {f"{SERVICE}:service-namespace": NAMESPACE, f"{SERVICE}:scalable-dimension": DIMENSION}


def state_file(aws: EmbeddedAws) -> Path:
    """Where Application Auto Scaling keeps what it knows; there once it was asked for anything."""
    return aws.state_dir / "autoscaling.sqlite"


def scalable_variants(aws: EmbeddedAws, endpoint: str) -> Sequence[str]:
    return aws.autoscaling.scalable_variants(endpoint) if state_file(aws).exists() else ()


def deregister_variants(aws: EmbeddedAws, caller: Caller, endpoint: str) -> None:
    """Raises SageMakerError (AccessDeniedException) where the caller may not."""
    try:
        for arn in aws.autoscaling.target_arns(endpoint):
            authorization.authorize(caller.arn, f"{SERVICE}:DeregisterScalableTarget", arn, _KEYS)
    except authorization.AccessDeniedError as denied:
        raise errors.access_denied(denied.message) from denied
    aws.autoscaling.forget(endpoint)
