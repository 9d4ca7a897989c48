"""Models: what an endpoint's containers are made from, checked when it is said, not when it deploys."""

from __future__ import annotations

from localaws.sagemaker.containers import image_table
from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors, tags
from localaws.sagemaker.core.listing import page, summary
from localaws.sagemaker.core.request import Caller, Document, Handler
from localaws.sagemaker.core.unsupported import always, refuse
from localaws.sagemaker.hosting.model_data import check_model_data
from localaws.sagemaker.registry.packages import find_package

MODEL = "model"

_REFUSED = dict.fromkeys(("VpcConfig", "InferenceExecutionConfig"), always)
_REFUSED_OF_CONTAINER = dict.fromkeys(
    (
        "ImageConfig", "AdditionalModelDataSources", "InferenceSpecificationName", "MultiModelConfig",
        "ContainerMetricsConfig",
    ),
    always,
)  # fmt: skip


def operations(context: Context) -> dict[str, Handler]:
    """Operation name to handler."""
    models = _Models(context)
    return {
        "CreateModel": models.create,
        "DescribeModel": models.describe,
        "ListModels": models.list_,
        "DeleteModel": models.delete,
    }


def find_model(context: Context, name: str) -> Document:
    """A model's document. ValidationException when there is none."""
    document = context.store.get(MODEL, name)
    if document is None:
        raise errors.validation(f'Could not find model "{context.arn(MODEL, name)}".')
    return document


def container_of(model: Document) -> Document:
    """The one container of a model."""
    container: Document = model.get("PrimaryContainer") or model["Containers"][0]
    return container


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


class _Models:
    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, request: Document, caller: Caller) -> Document:
        context, name = self._context, request["ModelName"]
        arn = context.arn(MODEL, name)
        _check(request)
        container = resolve_package(context, container_of(request))
        if context.store.get(MODEL, name) is not None:
            raise errors.already_exists("model", arn)
        self._check_world(container, request["ExecutionRoleArn"], arn, caller)
        document = {key: value for key, value in request.items() if key != "Tags"}
        document |= {"ModelArn": arn, "CreationTime": context.clock.now(), "EnableNetworkIsolation": False}
        with context.store.transaction():
            if not context.store.create(MODEL, name, document):
                raise errors.already_exists("model", arn)
            context.store.add_tags(arn, tags.as_map(request.get("Tags")))
        self._send_event(document)
        return {"ModelArn": arn}

    def _check_world(self, container: Document, role: str, arn: str, caller: Caller) -> None:
        """Refuse a role that the caller may not pass, an unknown image, and data that the role can't read."""
        self._context.platform.authorize(caller, "iam:PassRole", role)
        image_table.refuse_unknown(container["Image"])
        check_model_data(self._context, container, role, arn)

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


def _check(request: Document) -> None:
    refuse(request, _REFUSED, of="a model")
    if request.get("EnableNetworkIsolation"):
        raise errors.not_supported("EnableNetworkIsolation=true of a model")
    given = [member for member in ("PrimaryContainer", "Containers") if request.get(member)]
    if len(given) != 1:
        raise errors.validation("Give either PrimaryContainer or Containers, and one container in it.")
    if len(request.get("Containers", [])) > 1:
        raise errors.not_supported("more than one of Containers (an inference pipeline)")
    container = container_of(request)
    refuse(container, _REFUSED_OF_CONTAINER, of="a container")
    if container.get("Mode", "SingleModel") != "SingleModel":
        raise errors.not_supported("Mode=MultiModel of a container")
    if "ExecutionRoleArn" not in request:
        raise errors.validation("ExecutionRoleArn is missing; the container runs with this role.")
    if ("Image" in container) == ("ModelPackageName" in container):
        raise errors.validation("A container needs either Image or ModelPackageName.")
