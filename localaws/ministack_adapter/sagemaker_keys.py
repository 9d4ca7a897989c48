"""Amazon SageMaker's condition keys: what a request asks for, as policies see it.

"Actions, resources, and condition keys for Amazon SageMaker" (Service Authorization Reference) and "Control Creation of
SageMaker AI Resources with Condition Keys" (Developer Guide). A key is there where the request has what it tells of;
network isolation and the encryption between containers are `false` where a request that may ask for them doesn't.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Document = Mapping[str, Any]

SUPPLIED = frozenset(
    f"sagemaker:{name}"
    for name in (
        "acceleratortypes",
        "customermetadataproperties/",
        "filesystemaccessmode",
        "filesystemdirectorypath",
        "filesystemid",
        "filesystemtype",
        "instancetypes",
        "intercontainertrafficencryption",
        "keepaliveperiod",
        "maxruntimeinseconds",
        "modelapprovalstatus",
        "modelarn",
        "networkisolation",
        "outputkmskey",
        "serverlessmaxconcurrency",
        "serverlessmemorysize",
        "taggingaction",
        "targetcontainerhostname",
        "volumekmskey",
        "vpcsecuritygroupids",
        "vpcsubnets",
    )
)
_FILE_SYSTEM = {
    "FileSystemId": "FileSystemId",
    "FileSystemType": "FileSystemType",
    "FileSystemAccessMode": "FileSystemAccessMode",
    "DirectoryPath": "FileSystemDirectoryPath",
}
# Several channels may have file systems of their own, several variants instances and models.
_LISTS = frozenset({"InstanceTypes", "AcceleratorTypes", "VpcSubnets", "VpcSecurityGroupIds"})


def request_keys(operation: str, request: Document, arn_of: Callable[[str, str], str]) -> dict[str, Any]:
    """The keys of a request by name, its tags among them; `arn_of` makes an ARN of a service and a resource. Pure."""
    of_kind = _OF_OPERATION.get(operation)
    found: dict[str, list[Any]] = {}
    for name, value in of_kind(request) if of_kind else ():
        if value not in (None, "", []):
            found.setdefault(name, []).extend(value if isinstance(value, list) else [value])
    own = {f"sagemaker:{name}": _value(name, values, arn_of) for name, values in found.items()}
    return own | tag_keys(request)


def tag_keys(request: Document) -> dict[str, Any]:
    """aws:RequestTag and aws:TagKeys of a request's tags. Pure."""
    tags = [tag for tag in request.get("Tags") or () if isinstance(tag, Mapping) and tag.get("Key")]
    named = [str(tag["Key"]) for tag in tags] + [str(key) for key in request.get("TagKeys") or ()]
    values = {f"aws:RequestTag/{tag['Key']}": str(tag.get("Value", "")) for tag in tags}
    return {**values, **({"aws:TagKeys": named} if named else {})}


def _value(name: str, values: list[Any], arn_of: Callable[[str, str], str]) -> Any:
    if name.endswith("KmsKey"):
        values = [_key_arn(str(value), arn_of) for value in values]
    if name == "ModelArn":
        values = [arn_of("sagemaker", f"model/{value}") for value in values]
    distinct = list(dict.fromkeys(values))
    return distinct if name in _LISTS or len(distinct) > 1 else distinct[0]


def _key_arn(key: str, arn_of: Callable[[str, str], str]) -> str:
    if key.startswith("arn:"):
        return key
    return arn_of("kms", key if key.startswith("alias/") else f"key/{key}")


def _of_training(request: Document) -> Iterator[tuple[str, Any]]:
    resources = _part(request, "ResourceConfig")
    yield "InstanceTypes", resources.get("InstanceType")
    yield "InstanceTypes", [group.get("InstanceType") for group in _parts(resources, "InstanceGroups")]
    yield "VolumeKmsKey", resources.get("VolumeKmsKeyId")
    yield "OutputKmsKey", _part(request, "OutputDataConfig").get("KmsKeyId")
    yield from _of_networks(request)
    yield "InterContainerTrafficEncryption", bool(request.get("EnableInterContainerTrafficEncryption"))
    yield from _of_time(request)
    sources = (_part(channel, "DataSource") for channel in _parts(request, "InputDataConfig"))
    for system in (_part(source, "FileSystemDataSource") for source in sources):
        yield from ((key, system.get(member)) for member, key in _FILE_SYSTEM.items())


def _of_warm_pool(request: Document) -> Iterator[tuple[str, Any]]:
    yield "KeepAlivePeriod", _part(request, "ResourceConfig").get("KeepAlivePeriodInSeconds")


def _of_one_training(request: Document) -> Iterator[tuple[str, Any]]:
    yield from _of_training(request)
    yield from _of_warm_pool(request)


def _of_tuning(request: Document) -> Iterator[tuple[str, Any]]:
    """What a tuning job's training jobs ask for, by their definition or several."""
    found = [_part(request, "TrainingJobDefinition"), *_parts(request, "TrainingJobDefinitions")]
    for definition in filter(None, found):
        yield from _of_training(definition)
        resources = _part(definition, "HyperParameterTuningResourceConfig")
        yield "InstanceTypes", resources.get("InstanceType")
        yield "InstanceTypes", [each.get("InstanceType") for each in _parts(resources, "InstanceConfigs")]
        yield "VolumeKmsKey", resources.get("VolumeKmsKeyId")


def _of_processing(request: Document) -> Iterator[tuple[str, Any]]:
    cluster, network = _part(request, "ProcessingResources", "ClusterConfig"), _part(request, "NetworkConfig")
    yield "InstanceTypes", cluster.get("InstanceType")
    yield "VolumeKmsKey", cluster.get("VolumeKmsKeyId")
    yield "OutputKmsKey", _part(request, "ProcessingOutputConfig").get("KmsKeyId")
    yield from _of_networks(network)
    yield "InterContainerTrafficEncryption", bool(network.get("EnableInterContainerTrafficEncryption"))
    yield from _of_time(request)


def _of_transform(request: Document) -> Iterator[tuple[str, Any]]:
    resources = _part(request, "TransformResources")
    yield "InstanceTypes", resources.get("InstanceType")
    yield "VolumeKmsKey", resources.get("VolumeKmsKeyId")
    yield "OutputKmsKey", _part(request, "TransformOutput").get("KmsKeyId")
    yield "ModelArn", request.get("ModelName")


def _of_endpoint_config(request: Document) -> Iterator[tuple[str, Any]]:
    variants = [*_parts(request, "ProductionVariants"), *_parts(request, "ShadowProductionVariants")]
    for variant in variants:
        yield "InstanceTypes", variant.get("InstanceType")
        yield "AcceleratorTypes", variant.get("AcceleratorType")
        yield "ModelArn", variant.get("ModelName")
        yield "ServerlessMaxConcurrency", _part(variant, "ServerlessConfig").get("MaxConcurrency")
        yield "ServerlessMemorySize", _part(variant, "ServerlessConfig").get("MemorySizeInMB")
    yield "VolumeKmsKey", request.get("KmsKeyId")
    yield from _of_networks(request)


def _of_model_package(request: Document) -> Iterator[tuple[str, Any]]:
    yield "ModelApprovalStatus", request.get("ModelApprovalStatus")
    for name, value in _part(request, "CustomerMetadataProperties").items():
        yield f"CustomerMetadataProperties/{name}", value


def _of_networks(request: Document) -> Iterator[tuple[str, Any]]:
    """Isolation and the VPC, of a training job, a model, or a processing job's network."""
    vpc = _part(request, "VpcConfig")
    yield "NetworkIsolation", bool(request.get("EnableNetworkIsolation"))
    yield "VpcSubnets", vpc.get("Subnets")
    yield "VpcSecurityGroupIds", vpc.get("SecurityGroupIds")


def _of_time(request: Document) -> Iterator[tuple[str, Any]]:
    yield "MaxRuntimeInSeconds", _part(request, "StoppingCondition").get("MaxRuntimeInSeconds")


def _part(document: Document, *names: str) -> Document:
    for name in names:
        found = document.get(name)
        document = found if isinstance(found, Mapping) else {}
    return document


def _parts(document: Document, name: str) -> list[Document]:
    found = document.get(name)
    return [part for part in found if isinstance(part, Mapping)] if isinstance(found, list) else []


_OF_OPERATION: Mapping[str, Callable[[Document], Iterable[tuple[str, Any]]]] = {
    "CreateTrainingJob": _of_one_training,
    "UpdateTrainingJob": _of_warm_pool,
    "CreateHyperParameterTuningJob": _of_tuning,
    "CreateProcessingJob": _of_processing,
    "CreateTransformJob": _of_transform,
    "CreateModel": _of_networks,
    "CreateEndpointConfig": _of_endpoint_config,
    "CreateModelPackage": _of_model_package,
    "UpdateModelPackage": _of_model_package,
}
