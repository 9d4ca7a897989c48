"""ServerlessConfig: what a serverless variant may ask for, and what AWS has not for it.

ProductionVariantServerlessConfig (API reference); developer guide, "Deploy models with Amazon SageMaker Serverless
Inference", "Feature exclusions". No source tells how AWS words its refusals: these say the guide's sentences. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.hosting import instance_pools

SERVERLESS = "ServerlessConfig"
MIB, GIB = 1024**2, 1024**3
STORAGE = 5 * GIB  # "Regardless of the memory size you choose, your serverless endpoint has 5 GB of storage available"
MAX_BODY = 4 * MIB  # of a request, and of an answer (Amazon SageMaker AI endpoints and quotas)
STARTUP_SECONDS = 180.0  # until the container must be healthy (the same)
_SIZES = range(1024, 6144 + 1, 1024)
_NOT_WITH = ("InstanceType", "InitialInstanceCount", "VolumeSizeInGB", "RoutingConfig", *instance_pools.MEMBERS)
_GPU = "-gpu-"


def is_serverless(variant: Mapping[str, Any]) -> bool:
    """Whether a variant, of a configuration or of a snapshot, has no instances of its own."""
    return SERVERLESS in variant


def has_serverless(snapshot: Mapping[str, Any]) -> bool:
    """Whether a snapshot's endpoint is serverless."""
    return any(map(is_serverless, snapshot["Variants"]))


def memory(config: Mapping[str, Any]) -> int:
    """Bytes that a container may use."""
    return int(config["MemorySizeInMB"]) * MIB


def check_serverless(request: Document) -> None:
    """Refuse what AWS has not with a serverless variant. ValidationException."""
    variants = request["ProductionVariants"]
    found = next(filter(is_serverless, variants), None)
    if found is None:
        return
    name = found["VariantName"]
    if len(variants) > 1:
        raise errors.validation(
            f"Serverless Inference doesn't support multiple production variants; {name} is one of several."
        )
    if "DataCaptureConfig" in request:
        raise errors.validation(f"Serverless Inference doesn't support data capture; {name} has a ServerlessConfig.")
    for member in _NOT_WITH:
        if member in found:
            raise errors.validation(
                f"{member} can't be given together with ServerlessConfig in production variant {name}."
            )
    _check_sizes(found[SERVERLESS], name)


def _check_sizes(config: Document, name: str) -> None:
    if config["MemorySizeInMB"] not in _SIZES:
        raise errors.validation(
            f"MemorySizeInMB of production variant {name} is {config['MemorySizeInMB']}; valid values are in 1 GB "
            f"increments: {', '.join(map(str, _SIZES))}."
        )
    provisioned = config.get("ProvisionedConcurrency", 0)
    if provisioned > config["MaxConcurrency"]:
        raise errors.validation(
            f"ProvisionedConcurrency of production variant {name} is {provisioned}; it should be less than or equal to "
            f"MaxConcurrency, {config['MaxConcurrency']}."
        )


def check_serverless_model(variant: Document, model: Document, images: Sequence[str]) -> None:
    """Refuse a model that no serverless variant can have; `images` are its containers'. ValidationException."""
    if not is_serverless(variant):
        return
    told = f"Serverless Inference doesn't support {{}}; model {model['ModelName']} has {{}}."
    if len(images) > 1:
        raise errors.validation(told.format("inference pipelines", f"{len(images)} containers"))
    for image in images:
        if _GPU in image:
            raise errors.validation(told.format("GPUs", f"the image {image}"))


def check_update(deployed: Document, pending: Document) -> None:
    """Refuse to make an endpoint with instances serverless. ValidationException."""
    if has_serverless(pending) and not has_serverless(deployed):
        raise errors.validation(
            "You cannot convert your instance-based, real-time endpoint to a serverless endpoint: "
            f"{pending['EndpointConfigName']} has a ServerlessConfig, {deployed['EndpointConfigName']} has instances."
        )


def check_deployment(config: Document, pending: Document) -> None:
    """Refuse a DeploymentConfig that counts instances where there are none to count. ValidationException."""
    if not has_serverless(pending):
        return
    if config.get("RollingUpdatePolicy"):
        raise errors.validation("RollingUpdatePolicy can't be used with serverless endpoints.")
    routing = config.get("BlueGreenUpdatePolicy", {}).get("TrafficRoutingConfiguration", {})
    for size in ("CanarySize", "LinearStepSize"):
        if routing.get(size, {}).get("Type") == "INSTANCE_COUNT":
            raise errors.validation(f"{size} of a serverless endpoint must be of Type CAPACITY_PERCENT.")
