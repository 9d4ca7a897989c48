"""The registry of an account in a region: what ECR's operations answer, and what a machine pulls from it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localaws.registry import manifests, operations, references, refusals, repositories, tokens
from localaws.registry.images import Images
from localaws.registry.manifests import LISTS
from localaws.registry.references import Reference
from localaws.registry.refusals import RegistryError
from localaws.registry.tokens import Owner, Tokens

Document = dict[str, Any]

# How long a URL that GetDownloadUrlForLayer answers is good for.
URL_SECONDS = 3600


@dataclass(frozen=True)
class Pulled:
    """An image on this machine: its digest, its configuration, and its layers' files with their media types, in order.

    `media_type` is its manifest's. A layer's file is named by its SHA-256.
    """

    digest: str
    config: Mapping[str, Any]
    layers: tuple[tuple[Path, str], ...]
    media_type: str


class UnsupportedManifestError(Exception):
    """The image is a list of images; the text is its media type."""


class Registry:
    """`host` is its name in AWS, `endpoint_url` where it answers here."""

    def __init__(self, images: Images, secret: str, region: str, endpoint_url: str) -> None:
        self.images = images
        self.tokens = Tokens(secret)
        self.host = references.host(images.registry, region)
        self._region = region
        self._endpoint_url = endpoint_url

    def close(self) -> None:
        """Bring what was written onto the disk itself."""
        self.images.blobs.sync()

    def answer(self, operation: str, request: Document, owner: Owner) -> Document | None:
        """ECR's answer to a request; None for an operation that isn't about images. Raises RegistryError."""
        if operation == "GetAuthorizationToken":
            return self._authorization(owner)
        if operation == "GetDownloadUrlForLayer":
            return self._download_url(str(request.get("repositoryName", "")), str(request.get("layerDigest", "")))
        repositories.check(operation, request)
        return operations.answer(self.images, operation, request)

    def _authorization(self, owner: Owner) -> Document:
        expires = int(time.time()) + tokens.SECONDS
        token = self.tokens.issue(owner, expires)
        data = {"authorizationToken": token, "expiresAt": expires, "proxyEndpoint": f"https://{self.host}"}
        return {"authorizationData": [data]}

    def _download_url(self, name: str, digest: str) -> Document:
        if self.images.blob_size(name, digest) is None:
            raise refusals.no_layer(digest, name, self.images.registry)
        path = f"/v2/{name}/blobs/{digest}"
        grant = self.tokens.grant(path, time.time() + URL_SECONDS)
        return {"downloadUrl": f"{self._endpoint_url}{path}?{grant}", "layerDigest": digest}

    def is_here(self, reference: Reference) -> bool:
        """Whether an image's URI names this registry."""
        return (reference.account, reference.region) == (self.images.registry, self._region)

    def pull(self, reference: Reference) -> Pulled:
        """An image of this registry.

        Raises RegistryError where it isn't there, UnsupportedManifestError where it is a list of images.
        """
        digest, image = self.images.require(reference.repository, reference.image_id)
        manifest = manifests.read(image["manifest"].encode())
        if manifest.media_type in LISTS:
            raise UnsupportedManifestError(manifest.media_type)
        self.images.pulled(image)
        files = [self.images.blobs.path(layer) for layer in manifest.layers]
        config = self.images.blobs.path(manifest.config).read_bytes()
        return Pulled(
            digest, _config(config), tuple(zip(files, manifest.layer_types, strict=True)), manifest.media_type
        )


def _config(text: bytes) -> Mapping[str, Any]:
    try:
        config = json.loads(text)
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise RegistryError("ImageNotFoundException", "The image's configuration is no JSON object")
    return config
