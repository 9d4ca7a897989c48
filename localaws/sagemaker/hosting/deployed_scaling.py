"""What of an endpoint Application Auto Scaling scales, and what SageMaker therefore refuses.

Developer guide, "Update endpoints that use auto scaling" and "Delete endpoints configured for auto scaling".
"""

from __future__ import annotations

from localaws.sagemaker.core import errors
from localaws.sagemaker.core.aws_platform import Platform
from localaws.sagemaker.core.request import Caller, Document


def check_update(platform: Platform, before: Document, pending: Document) -> None:
    """An update may change the model of a variant that is scaled, and neither its instance type nor take it away."""
    old, new = (_types(snapshot) for snapshot in (before["Deployed"], pending))
    for variant in platform.scalable_variants(before["EndpointName"]):
        if variant in old and old[variant] != new.get(variant):
            becomes = f"would be on {new[variant]}" if variant in new else "would be removed"
            raise errors.validation(
                f'Cannot update endpoint "{before["EndpointArn"]}": its variant {variant} {becomes} and is registered '
                "as a scalable target. Deregister it from Application Auto Scaling before you update the endpoint."
            )


def stop(platform: Platform, caller: Caller, endpoint: str) -> None:
    """The variants of an endpoint that is deleted are scalable targets no more, if its caller may say so.

    The refusal's words: awslabs/stable-diffusion-aws-extension#161.
    """
    if not platform.scalable_variants(endpoint):
        return
    try:
        platform.deregister_variants(caller, endpoint)
    except errors.SageMakerError as refused:
        raise errors.validation(
            "An Application AutoScaling scalable target exists for a variant being deleted, and the IAM identity used "
            "to invoke DeleteEndpoint does not have application-autoscaling:DeregisterScalableTarget permission to "
            "deregister the scalable target."
        ) from refused


def _types(snapshot: Document) -> dict[str, str]:
    return {variant["VariantName"]: variant.get("InstanceType", "") for variant in snapshot["Variants"]}
