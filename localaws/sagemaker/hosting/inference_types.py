"""What a caller is told who asks an endpoint that isn't there, or by the other kind of endpoints' operation."""

from __future__ import annotations

from localaws.sagemaker.core.aws_platform import Platform
from localaws.sagemaker.core.errors import SageMakerError


def not_found(endpoint: str, platform: Platform) -> SageMakerError:
    """The runtime's answer where nothing serves."""
    return SageMakerError("ValidationError", f"Endpoint {endpoint} of account {platform.account} not found.")


def wrong_type(endpoint: str, platform: Platform) -> SageMakerError:
    """The answer to InvokeEndpoint of an asynchronous endpoint, and to InvokeEndpointAsync of any other."""
    return SageMakerError(
        "ValidationError", f"Endpoint {endpoint} of account {platform.account} does not support this inference type."
    )
