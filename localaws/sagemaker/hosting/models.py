"""Models and endpoint configurations: what endpoints are made from, checked when it is said, not when it deploys."""

from __future__ import annotations

from collections.abc import Iterable

from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors, tags
from localaws.sagemaker.core.listing import page, summary
from localaws.sagemaker.core.request import Caller, Document, Handler
from localaws.sagemaker.hosting.model_data import check_model_data
from localaws.sagemaker.jobs.job_container import check_image
from localaws.sagemaker.registry.packages import find_package

MODEL, CONFIG = "model", "endpoint-config"

_MODEL_REFUSED = ("VpcConfig", "InferenceExecutionConfig")
_CONTAINER_REFUSED = (
    "ImageConfig", "AdditionalModelDataSources", "InferenceSpecificationName", "MultiModelConfig",
    "ContainerMetricsConfig",
)  # fmt: skip
_CONFIG_REFUSED = (
    "DataCaptureConfig", "AsyncInferenceConfig", "ExplainerConfig", "ShadowProductionVariants", "ExecutionRoleArn",
    "VpcConfig", "MetricsConfig",
)  # fmt: skip
_VARIANT_REFUSED = (
    "ServerlessConfig", "InstancePools", "VariantInstanceProvisionTimeoutInSeconds", "AcceleratorType",
    "CoreDumpConfig", "ManagedInstanceScaling", "InferenceAmiVersion", "CapacityReservationConfig",
)  # fmt: skip


def operations(context: Context) -> dict[str, Handler]:
    """Operation name to handler."""
    models, configs = _Models(context), _Configs(context)
    return {
        "CreateModel": models.create,
        "DescribeModel": models.describe,
        "ListModels": models.list_,
        "DeleteModel": models.delete,
        "CreateEndpointConfig": configs.create,
        "DescribeEndpointConfig": configs.describe,
        "ListEndpointConfigs": configs.list_,
        "DeleteEndpointConfig": configs.delete,
    }


def find_model(context: Context, name: str) -> Document:
    """A model's document. ValidationException when there is none."""
    document = context.store.get(MODEL, name)
    if document is None:
        raise errors.validation(f'Could not find model "{context.arn(MODEL, name)}".')
    return document


def find_config(context: Context, name: str) -> Document:
    """An endpoint configuration's document. ValidationException when there is none."""
    document = context.store.get(CONFIG, name)
    if document is None:
        raise errors.validation(f'Could not find endpoint configuration "{context.arn(CONFIG, name)}".')
    return document


def container_of(model: Document) -> Document:
    """The one container of a model."""
    container: Document = model.get("PrimaryContainer") or model["Containers"][0]
    return container


def refuse_members(document: Document, members: Iterable[str], what: str) -> None:
    """ValidationException that names the first member that AWS has and this SageMaker hasn't."""
    for member in members:
        if member in document:
            raise errors.not_supported(f"{member} of {what}")


class _Models:
    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, request: Document, caller: Caller) -> Document:
        context, name = self._context, request["ModelName"]
        arn = context.arn(MODEL, name)
        _check_model(request)
        container = resolve_package(context, container_of(request))
        if context.store.get(MODEL, name) is not None:
            raise _already("model", arn)
        role = request["ExecutionRoleArn"]
        context.platform.authorize(caller, "iam:PassRole", role)
        check_image(context, container["Image"])
        check_model_data(context, container, role)
        document = {key: value for key, value in request.items() if key != "Tags"}
        document |= {"ModelArn": arn, "CreationTime": context.clock(), "EnableNetworkIsolation": False}
        with context.store.transaction():
            if not context.store.create(MODEL, name, document):
                raise _already("model", arn)
            context.store.add_tags(arn, tags.as_map(request.get("Tags")))
        self._send_event(document)
        return {"ModelArn": arn}

    def describe(self, request: Document, _caller: Caller) -> Document:
        return find_model(self._context, request["ModelName"])

    def list_(self, request: Document, _caller: Caller) -> Document:
        found, more = page(request, self._context.store.list(MODEL), name="ModelName")
        members = ("ModelName", "ModelArn", "CreationTime")
        return {"Models": [summary(document, members) for document in found], **more}

    def delete(self, request: Document, _caller: Caller) -> Document:
        document = find_model(self._context, request["ModelName"])
        self._context.store.delete(MODEL, document["ModelName"])
        self._send_event(document)
        self._context.store.delete_tags(document["ModelArn"])
        return {}

    def _send_event(self, document: Document) -> None:
        arn = document["ModelArn"]
        self._context.events.state_change("Model", document, arn, self._context.store.tags(arn))


def _check_model(request: Document) -> None:
    refuse_members(request, _MODEL_REFUSED, "a model")
    if request.get("EnableNetworkIsolation"):
        raise errors.not_supported("EnableNetworkIsolation=true of a model")
    given = [member for member in ("PrimaryContainer", "Containers") if request.get(member)]
    if len(given) != 1:
        raise errors.validation("Give either PrimaryContainer or Containers, and one container in it.")
    if len(request.get("Containers", [])) > 1:
        raise errors.not_supported("more than one of Containers (an inference pipeline)")
    container = container_of(request)
    refuse_members(container, _CONTAINER_REFUSED, "a container")
    if container.get("Mode", "SingleModel") != "SingleModel":
        raise errors.not_supported("Mode=MultiModel of a container")
    if "ExecutionRoleArn" not in request:
        raise errors.validation("ExecutionRoleArn is missing; the container runs with this role.")
    if ("Image" in container) == ("ModelPackageName" in container):
        raise errors.validation("A container needs either Image or ModelPackageName.")


def resolve_package(context: Context, container: Document) -> Document:
    """A container with `ModelPackageName`, as the package's InferenceSpecification says it; others as they are.

    ValidationException for a package that doesn't exist or isn't approved, or that holds several containers.
    """
    if "ModelPackageName" not in container:
        return container
    package = find_package(context, container["ModelPackageName"])
    if package.get("ModelApprovalStatus", "Approved") != "Approved":
        status = package["ModelApprovalStatus"]
        raise errors.validation(f"ModelPackage {package['ModelPackageArn']} is not approved: it is {status}.")
    specified = package.get("InferenceSpecification", {}).get("Containers", [])
    if len(specified) != 1:
        raise errors.not_supported(f"a model of a model package with {len(specified)} containers")
    environment = specified[0].get("Environment", {}) | container.get("Environment", {})
    return {key: value for key, value in specified[0].items() if key != "Environment"} | {"Environment": environment}


class _Configs:
    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, request: Document, _caller: Caller) -> Document:
        context, name = self._context, request["EndpointConfigName"]
        arn = context.arn(CONFIG, name)
        _check_config(request)
        if context.store.get(CONFIG, name) is not None:
            raise _already("endpoint configuration", arn)
        for variant in request["ProductionVariants"]:
            find_model(context, variant["ModelName"])
        document = {key: value for key, value in request.items() if key != "Tags"}
        document |= {
            "EndpointConfigArn": arn,
            "CreationTime": context.clock(),
            "ProductionVariants": [{"InitialVariantWeight": 1.0, **item} for item in request["ProductionVariants"]],
        }
        with context.store.transaction():
            if not context.store.create(CONFIG, name, document):
                raise _already("endpoint configuration", arn)
            context.store.add_tags(arn, tags.as_map(request.get("Tags")))
        return {"EndpointConfigArn": arn}

    def describe(self, request: Document, _caller: Caller) -> Document:
        return find_config(self._context, request["EndpointConfigName"])

    def list_(self, request: Document, _caller: Caller) -> Document:
        found, more = page(request, self._context.store.list(CONFIG), name="EndpointConfigName")
        members = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
        return {"EndpointConfigs": [summary(document, members) for document in found], **more}

    def delete(self, request: Document, _caller: Caller) -> Document:
        document = find_config(self._context, request["EndpointConfigName"])
        self._context.store.delete(CONFIG, document["EndpointConfigName"])
        self._context.store.delete_tags(document["EndpointConfigArn"])
        return {}


def _check_config(request: Document) -> None:
    # KmsKeyId and VolumeSizeInGB say how an instance's volume is kept; there is none here, so they change nothing.
    refuse_members(request, _CONFIG_REFUSED, "an endpoint configuration")
    if request.get("EnableNetworkIsolation"):
        raise errors.not_supported("EnableNetworkIsolation=true of an endpoint configuration")
    names = [variant["VariantName"] for variant in request["ProductionVariants"]]
    if len(set(names)) < len(names):
        raise errors.validation(f"Production variant names must be unique: {', '.join(names)}")
    for variant in request["ProductionVariants"]:
        _check_variant(variant)
    if sum(variant.get("InitialVariantWeight", 1.0) for variant in request["ProductionVariants"]) <= 0:
        raise errors.validation("At least one production variant must have an InitialVariantWeight above 0.")


def _check_variant(variant: Document) -> None:
    what = f"production variant {variant['VariantName']}"
    refuse_members(variant, _VARIANT_REFUSED, what)
    for member in ("ModelName", "InstanceType", "InitialInstanceCount"):
        if member not in variant:
            raise errors.validation(f"{member} is missing in {what}.")
    if variant.get("EnableSSMAccess"):
        raise errors.not_supported(f"EnableSSMAccess=true of {what}")
    if variant.get("RoutingConfig", {}).get("RoutingStrategy") == "PREFIX_AWARE":
        raise errors.not_supported(f"RoutingStrategy=PREFIX_AWARE of {what}")


def _already(noun: str, arn: str) -> errors.SageMakerError:
    return errors.validation(f'Cannot create already existing {noun} "{arn}".')
