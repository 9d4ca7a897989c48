"""CreateModel's request, and a model's document, which holds it: checks and readings. Pure."""

from __future__ import annotations

from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.core.unsupported import always, refuse

DIRECT = "Direct"
_MAX_ENVIRONMENT = 32 * 1024  # bytes of all keys and values of all containers (ContainerDefinition, Environment)

_REFUSED = {"VpcConfig": always}
_REFUSED_OF_CONTAINER = dict.fromkeys(
    (
        "ImageConfig", "AdditionalModelDataSources", "InferenceSpecificationName", "MultiModelConfig",
        "ContainerMetricsConfig",
    ),
    always,
)  # fmt: skip


def containers_of(model: Document) -> list[Document]:
    """The containers that a model was made of, as they were given."""
    containers: list[Document] = model.get("Containers") or [model["PrimaryContainer"]]
    return containers


def is_direct(model: Document) -> bool:
    """Whether each request names the container that it is for, instead of going through all of them."""
    return bool(model.get("InferenceExecutionConfig", {}).get("Mode") == DIRECT)


def with_hostnames(containers: list[Document]) -> list[Document]:
    """Containers with the names that they go by: `container-1` and so on where none were given.

    "if you don't provide container names, CloudWatch uses container-1, container-2, and so on, in the order that
    containers are provided in the model" (developer guide, "CloudWatch Logs for Amazon SageMaker AI").
    """
    return [{"ContainerHostname": f"container-{number}", **container} for number, container in enumerate(containers, 1)]


def check(request: Document) -> None:
    """Raise what AWS raises, or "not supported here", for a request that fits its shape."""
    refuse(request, _REFUSED, of="a model")
    given = [member for member in ("PrimaryContainer", "Containers") if request.get(member)]
    if len(given) != 1:
        raise errors.validation(
            "Give either PrimaryContainer or Containers, not both: a model of several containers has all of them in "
            "Containers."
        )
    if "ExecutionRoleArn" not in request:
        raise errors.validation("ExecutionRoleArn is missing; the containers run with this role.")
    for container in containers_of(request):
        _check_container(container)
    check_containers(request, containers_of(request))


def _check_container(container: Document) -> None:
    refuse(container, _REFUSED_OF_CONTAINER, of="a container")
    if container.get("Mode", "SingleModel") != "SingleModel":
        raise errors.not_supported("Mode=MultiModel of a container")
    if ("Image" in container) == ("ModelPackageName" in container):
        raise errors.validation("A container needs either Image or ModelPackageName.")


def check_containers(model: Document, containers: list[Document]) -> None:
    """ValidationException for containers that can't be told apart, or that say too much together."""
    size = sum(len(text.encode()) for each in containers for pair in each.get("Environment", {}).items()
               for text in pair)  # fmt: skip
    if size > _MAX_ENVIRONMENT:
        raise errors.validation(
            f"The Environment maps of a model's containers have {size} bytes together; the limit is "
            f"{_MAX_ENVIRONMENT} bytes."
        )
    if "Containers" in model or len(containers) > 1:
        _check_hostnames([container.get("ContainerHostname", "") for container in containers])
    if is_direct(model):
        _check_direct(model, containers)


def _check_hostnames(names: list[str]) -> None:
    """ "If you specify a value for the ContainerHostName for any ContainerDefinition that is part of an inference
    pipeline, you must specify a value for ... every ContainerDefinition in that pipeline" (ContainerDefinition)."""
    given = [name for name in names if name]
    if given and len(given) < len(names):
        place = names.index("") + 1
        raise errors.validation(
            f"Container {place} of {len(names)} has no ContainerHostname, but others have: give one to all of them or "
            "to none."
        )
    if len(set(given)) < len(given):
        twice = next(name for name in given if given.count(name) > 1)
        raise errors.validation(f"ContainerHostname must be unique among a model's containers: {twice} is there twice.")


def _check_direct(model: Document, containers: list[Document]) -> None:
    if "Containers" not in model:
        raise errors.validation("InferenceExecutionConfig with Mode=Direct needs Containers, not PrimaryContainer.")
    if not all(container.get("ContainerHostname") for container in containers):
        raise errors.validation(
            "InferenceExecutionConfig with Mode=Direct needs a ContainerHostname of every container: requests name "
            "the one that they are for (TargetContainerHostname)."
        )
