"""What a caller is told whom an endpoint of some kind doesn't answer: none of its name, of another kind, serverless."""

from __future__ import annotations

import uuid

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


def throttled() -> SageMakerError:
    """More requests at once than a serverless endpoint answers. AWS says no more of it: the message is null
    (opensearch-project/ml-commons#2429)."""
    error = SageMakerError("ThrottlingException", "")
    error.members = {"message": None, "Message": None}
    return error


def not_ready(why: str) -> SageMakerError:
    """A serverless endpoint's instance that doesn't start (InvokeEndpoint, ModelNotReadyException)."""
    return SageMakerError(
        "ModelNotReadyException",
        f"The resources of a serverless endpoint variant are not provisioned: {why} Wait and try again.",
        429,
    )


def oversize() -> SageMakerError:
    """A body that a serverless endpoint doesn't take (aws/sagemaker-python-sdk#4271)."""
    return SageMakerError("ValidationError", f"Request {uuid.uuid4()} has oversize body.")
