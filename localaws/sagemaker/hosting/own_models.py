"""Models with images of one's own, as CreateModel checks them and an endpoint's creation resolves them."""

from __future__ import annotations

from localaws.sagemaker.containers import image_table
from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.registry_images import (
    ImageAccessDeniedError,
    ImageNotInRegistryError,
    RegistryImage,
    UnusableImageError,
    is_for_models,
    unsupported_manifest,
)
from localaws.sagemaker.core.request import Document

ACCEPTS_PORT = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"


def check_isolation(model: Document, containers: list[Document]) -> None:
    """Refuse what isn't kept apart here: a framework's container that must not reach its network."""
    if model.get("EnableNetworkIsolation") and any(not image_table.is_own(each["Image"]) for each in containers):
        raise errors.not_supported("EnableNetworkIsolation=true of a model with a framework's image")


def check_image(context: Context, uri: str, role: str, *, is_one_of_several: bool) -> None:
    """ValidationException for an image that isn't there or can't be run.

    Whether the role may pull it is found out by who deploys the model, as in AWS.
    """
    if not image_table.is_own(uri):
        return
    try:
        image = context.platform.registry_image(uri, role)
    except ImageAccessDeniedError:
        return
    except ImageNotInRegistryError as error:
        raise errors.validation(f"Requested image {uri} not found.") from error
    except UnusableImageError as error:
        raise errors.validation(str(error)) from error
    if not is_for_models(image):
        raise errors.validation(unsupported_manifest(image.media_type, uri))
    if is_one_of_several and _labels(image).get(ACCEPTS_PORT) != "true":
        raise errors.validation(f"Your Ecr Image {uri} does not contain required {ACCEPTS_PORT}=true Docker label(s).")


def resolved(context: Context, uri: str, role: str) -> str:
    """The image that a URI names now, by its digest, so that every instance has the same.

    The URI itself where it can't be pulled, which is told when the first instance starts, and for a framework's.
    """
    if not image_table.is_own(uri):
        return uri
    try:
        digest = context.platform.registry_image(uri, role).digest
    except (ImageNotInRegistryError, ImageAccessDeniedError, UnusableImageError):
        return uri
    return f"{_untagged(uri)}@{digest}"


def _untagged(uri: str) -> str:
    registry, _, rest = uri.partition("/")
    return f"{registry}/{rest.partition('@')[0].partition(':')[0]}"


def _labels(image: RegistryImage) -> dict[str, str]:
    found: dict[str, str] | None = image.config.get("config", {}).get("Labels")
    return found or {}
