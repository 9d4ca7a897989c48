"""Models: what an endpoint's containers are made from, checked when it is said, not when it deploys."""

from __future__ import annotations

from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors, tags
from localaws.sagemaker.core.listing import page, summary
from localaws.sagemaker.core.request import Caller, Document, Handler
from localaws.sagemaker.hosting import model_request, own_models
from localaws.sagemaker.hosting.model_data import check_model_data
from localaws.sagemaker.registry.packages import find_package

MODEL = "model"


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


def resolved(context: Context, model: Document) -> list[Document]:
    """A model's containers as they run: model packages as their InferenceSpecification says, with hostnames.

    ValidationException for a package that doesn't exist or isn't approved.
    """
    given = model_request.containers_of(model)
    containers = [each for container in given for each in _of_package(context, container)]
    if len(containers) > len(given) > 1:
        raise errors.not_supported("a model package of several containers beside other Containers")
    model_request.check_containers(model, containers)
    return model_request.with_hostnames(containers)


def _of_package(context: Context, container: Document) -> list[Document]:
    if "ModelPackageName" not in container:
        return [container]
    package = find_package(context, container["ModelPackageName"])
    if package.get("ModelApprovalStatus", "Approved") != "Approved":
        status = package["ModelApprovalStatus"]
        raise errors.validation(f"ModelPackage {package['ModelPackageArn']} is not approved: it is {status}.")
    specified = package.get("InferenceSpecification", {}).get("Containers", [])
    if not specified:
        raise errors.not_supported("a model of a model package without containers")
    return [_packaged(each, container, is_only=len(specified) == 1) for each in specified]


def _packaged(specified: Document, container: Document, *, is_only: bool) -> Document:
    """A container of a package, with the variables of the container that names it."""
    names = (
        {"ContainerHostname": container["ContainerHostname"]} if is_only and "ContainerHostname" in container else {}
    )
    environment = specified.get("Environment", {}) | container.get("Environment", {})
    return specified | names | {"Environment": environment}


class _Models:
    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, request: Document, caller: Caller) -> Document:
        context, name = self._context, request["ModelName"]
        arn = context.arn(MODEL, name)
        model_request.check(request)
        containers = resolved(context, request)
        if context.store.get(MODEL, name) is not None:
            raise errors.already_exists("model", arn)
        own_models.check_isolation(request, containers)
        self._check_world(containers, request["ExecutionRoleArn"], arn, caller)
        document = {key: value for key, value in request.items() if key != "Tags"}
        document |= {"ModelArn": arn, "CreationTime": context.clock.now()}
        document.setdefault("EnableNetworkIsolation", False)
        with context.store.transaction():
            if not context.store.create(MODEL, name, document):
                raise errors.already_exists("model", arn)
            context.store.add_tags(arn, tags.as_map(request.get("Tags")))
        self._send_event(document)
        return {"ModelArn": arn}

    def _check_world(self, containers: list[Document], role: str, arn: str, caller: Caller) -> None:
        """Refuse a role that the caller may not pass, an unknown image, and data that the role can't read."""
        self._context.platform.authorize(caller, "iam:PassRole", role)
        for container in containers:
            own_models.check_image(self._context, container["Image"], role, is_one_of_several=len(containers) > 1)
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
