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


@dataclass(frozen=True)
class RegistryImage:
    """An image's content: its manifest's digest and media type, the OCI image configuration, its layers, lowest first.

    SageMaker takes no OCI manifest for a model ("Unsupported manifest media type …", aws/amazon-sagemaker-feedback
    issue 180), only Docker's.
    A layer is a tar archive, packed by gzip or not; its file's name is its SHA-256 in hexadecimal digits.
    """

    digest: str
    config: Mapping[str, Any]
    layers: Sequence[Path]
    media_type: str = "application/vnd.docker.distribution.manifest.v2+json"


class ImageNotInRegistryError(Exception):
    """There is no such repository or image in the registry; the text says which is missing, in the registry's words."""


class ImageAccessDeniedError(Exception):
    """The role may not pull the image; the text is IAM's, and names role, action and repository."""


class UnusableImageError(Exception):
    """The image is there and can't be run: a list of images, or a layer of a kind that isn't known. The text is whole,
    as SageMaker answers it."""
