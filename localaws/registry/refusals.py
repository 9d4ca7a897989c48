"""What a registry refuses: ECR's exceptions, and what the registry protocol calls them.

Sources: botocore's model of ECR; "Error codes" of the distribution specification (opencontainers/distribution-spec,
spec.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# ECR's exceptions in the registry protocol: code and status.
_OF_PROTOCOL = {
    "RepositoryNotFoundException": ("NAME_UNKNOWN", 404),
    "ImageNotFoundException": ("MANIFEST_UNKNOWN", 404),
    "ImageTagAlreadyExistsException": ("TAG_INVALID", 400),
    "ImageDigestDoesNotMatchException": ("DIGEST_INVALID", 400),
    "InvalidLayerException": ("DIGEST_INVALID", 400),
    "InvalidLayerPartException": ("BLOB_UPLOAD_INVALID", 416),
    "EmptyUploadException": ("SIZE_INVALID", 400),
    "LayersNotFoundException": ("BLOB_UNKNOWN", 404),
    "ReferencedImagesNotFoundException": ("MANIFEST_BLOB_UNKNOWN", 404),
    "UploadNotFoundException": ("BLOB_UPLOAD_UNKNOWN", 404),
    "InvalidParameterException": ("MANIFEST_INVALID", 400),
    "AccessDeniedException": ("DENIED", 403),
}


class RegistryError(Exception):
    """A refusal. `code` is ECR's, `members` what its exception says besides the message."""

    def __init__(self, code: str, message: str, members: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.members = dict(members or {})

    @property
    def of_protocol(self) -> tuple[str, int]:
        """The registry protocol's code for it, and the answer's status."""
        return _OF_PROTOCOL.get(self.code, ("UNSUPPORTED", 400))


def no_repository(name: str, registry: str) -> RegistryError:
    told = f"The repository with name '{name}' does not exist in the registry with id '{registry}'"
    return RegistryError("RepositoryNotFoundException", told)


def no_image(image: Mapping[str, str], name: str, registry: str) -> RegistryError:
    return RegistryError(
        "ImageNotFoundException",
        f"The image with imageId {image_text(image)} does not exist within the repository with name '{name}' in the "
        f"registry with id '{registry}'",
    )


def no_scan(image: Mapping[str, str], name: str, registry: str) -> RegistryError:
    return RegistryError(
        "ScanNotFoundException",
        f"Image scan does not exist for the image with '{image_text(image)}' in the repository with name '{name}' in "
        f"the registry with id '{registry}'",
    )


def image_text(image: Mapping[str, str]) -> str:
    """An image as ECR's messages write it. Pure."""
    return f"{{imageDigest:'{image.get('imageDigest', 'null')}', imageTag:'{image.get('imageTag', 'null')}'}}"


def tag_is_taken(tag: str, name: str) -> RegistryError:
    return RegistryError(
        "ImageTagAlreadyExistsException",
        f"The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten because the tag is "
        "immutable.",
    )


def image_is_there(digest: str, tag: str | None, name: str, registry: str) -> RegistryError:
    return RegistryError(
        "ImageAlreadyExistsException",
        f"Image with digest '{digest}' and tag '{tag or 'null'}' already exists in the repository with name '{name}' "
        f"in registry with id '{registry}'",
    )


def no_layers(digests: Sequence[str], name: str, registry: str) -> RegistryError:
    return RegistryError(
        "LayersNotFoundException",
        f"Layers with digests '[{', '.join(digests)}]' required for pushing image into repository with name '{name}' "
        f"in the registry with id '{registry}' do not exist",
    )


def no_referenced_images(digests: Sequence[str], name: str, registry: str) -> RegistryError:
    return RegistryError(
        "ReferencedImagesNotFoundException",
        f"Images with digests '[{', '.join(digests)}]' required for pushing image into repository with name '{name}' "
        f"in the registry with id '{registry}' do not exist",
    )


def no_layer(digest: str, name: str, registry: str) -> RegistryError:
    return RegistryError(
        "LayersNotFoundException",
        f"The layer with digest '{digest}' does not exist in the repository with name '{name}' in the registry with id "
        f"'{registry}'",
    )


def no_upload(upload: str, name: str, registry: str) -> RegistryError:
    return RegistryError(
        "UploadNotFoundException",
        f"The upload with upload id '{upload}' does not exist in the repository with name '{name}' in the registry "
        f"with id '{registry}'",
    )


def invalid(parameter: str, constraint: str) -> RegistryError:
    """A parameter that isn't as it has to be, in the words in which ECR says so."""
    told = f"Invalid parameter at '{parameter}' failed to satisfy constraint: '{constraint}'"
    return RegistryError("InvalidParameterException", told)
