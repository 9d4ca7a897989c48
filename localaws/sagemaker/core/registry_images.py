"""Images of the account's own registry, as jobs and models are given them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GZIP_LAYERS = (
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.oci.image.layer.v1.tar+gzip",
)
PLAIN_LAYERS = (
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.oci.image.layer.v1.tar",
)
_DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"


@dataclass(frozen=True)
class RegistryImage:
    """An image's content: its manifest's digest and media type, the OCI image configuration, its layers, lowest first.

    A layer is a tar archive, packed by gzip or not; its file's name is its SHA-256 in hexadecimal digits.
    """

    digest: str
    config: Mapping[str, Any]
    layers: Sequence[Path]
    media_type: str = _DOCKER_IMAGE


def is_for_models(image: RegistryImage) -> bool:
    """Whether SageMaker takes an image for a model, for which its manifest has to be Docker's; jobs take OCI's too
    (aws/amazon-sagemaker-feedback issue 180)."""
    return image.media_type == _DOCKER_IMAGE


def unsupported_manifest(media_type: str, uri: str) -> str:
    """What SageMaker answers to an image of a kind that it doesn't take."""
    told = f"Unsupported manifest media type {media_type} for image {uri}."
    return f"{told} Ensure that valid manifest media type is used for specified image."


class ImageNotInRegistryError(Exception):
    """There is no such repository or image in the registry; the text says which is missing, in the registry's words."""


class ImageAccessDeniedError(Exception):
    """The role may not pull the image; the text is IAM's, and names role, action and repository."""


class UnusableImageError(Exception):
    """The image is there and can't be run: a list of images, or a layer of a kind that isn't known. The text is whole,
    as SageMaker answers it."""
