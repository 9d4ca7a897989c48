"""AsyncInferenceConfig: where the answers of an endpoint go that nobody waits for, checked when it is said.

CreateEndpointConfig and its AsyncInferenceConfig (API reference); developer guide, "Asynchronous inference". Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.core.wire import split_s3_uri

ASYNC = "AsyncInferenceConfig"
_UNSUPPORTED = "One or more endpoint features are not supported using this configuration"  # boto/boto3#4275
# "If no value is provided, SageMaker chooses an optimal value" (AsyncInferenceClientConfig); which one isn't told.
_CONCURRENT = 4


def check_async(request: Document) -> None:
    """Refuse an AsyncInferenceConfig that no endpoint can follow. ValidationException."""
    config = request.get(ASYNC)
    if config is None:
        return
    output = config["OutputConfig"]
    if not output.get("S3OutputPath"):
        raise errors.validation("S3OutputPath is missing in OutputConfig of AsyncInferenceConfig.")
    for member in ("S3OutputPath", "S3FailurePath"):
        _check_path(member, output.get(member))
    variants = request["ProductionVariants"]
    if any("ServerlessConfig" in variant for variant in variants):
        raise errors.validation(_UNSUPPORTED)
    if len(variants) > 1:
        raise errors.not_supported("AsyncInferenceConfig of several production variants")
    if "DataCaptureConfig" in request:
        raise errors.not_supported("DataCaptureConfig beside AsyncInferenceConfig")


def check_update(endpoint: str, deployed: Document, pending: Document) -> None:
    """Refuse to make an asynchronous endpoint one whose callers wait. ValidationException."""
    if ASYNC in deployed and ASYNC not in pending:
        raise errors.validation(f"The {ASYNC} parameter cannot be removed from this endpoint {endpoint}.")


def check_async_model(request: Document, model: Document) -> None:
    """Refuse a model each of whose requests must name a container: InvokeEndpointAsync can't. ValidationException."""
    if ASYNC in request and model.get("InferenceExecutionConfig", {}).get("Mode") == "Direct":
        raise errors.validation(_UNSUPPORTED)


def _check_path(member: str, uri: str | None) -> None:
    if not uri:
        return
    try:
        split_s3_uri(uri)
    except ValueError as error:
        raise errors.validation(f"{member} of AsyncInferenceConfig: {error}") from error


def of_snapshot(snapshot: Mapping[str, Any] | None) -> Document | None:
    """The AsyncInferenceConfig of a snapshot; None for an endpoint whose callers wait."""
    found: Document | None = (snapshot or {}).get(ASYNC)
    return found


def concurrent(config: Document) -> int:
    """How many requests an instance has at once."""
    return int(config.get("ClientConfig", {}).get("MaxConcurrentInvocationsPerInstance") or _CONCURRENT)
