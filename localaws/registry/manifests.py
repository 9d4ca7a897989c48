"""What an image's manifest says: its kind, and the blobs or images that it names.

Sources: "Image Manifest Version 2, Schema 2" (distribution/distribution, docs/content/spec/manifest-v2-2.md); OCI image
manifest and index (opencontainers/image-spec, manifest.md and image-index.md).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localaws.registry.blobs import DIGEST
from localaws.registry.refusals import RegistryError, invalid

DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
IMAGES = (DOCKER_IMAGE, OCI_IMAGE)
LISTS = (DOCKER_LIST, OCI_INDEX)
# "Amazon ECR service quotas" has none; distribution/distribution takes 4 MiB (registry/handlers, maxManifestBodySize).
LARGEST = 4 << 20


@dataclass(frozen=True)
class Manifest:
    """A manifest.

    config, layers: the digests of an image's blobs; images: of a list's images. sizes: of all that it names.
    artifact: the media type of the configuration.
    """

    digest: str
    media_type: str
    config: str = ""
    layers: tuple[str, ...] = ()
    layer_types: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    size: int = 0
    artifact: str = ""

    @property
    def blobs(self) -> tuple[str, ...]:
        """The digests of the blobs that it names."""
        return (self.config, *self.layers) if self.config else self.layers


def read(text: bytes, media_type: str | None = None) -> Manifest:
    """A manifest from its text, of a kind that its sender may say. Raises RegistryError."""
    document = _document(text)
    kind = document.get("mediaType") or media_type or _kind(document)
    if media_type and kind != media_type:
        raise invalid("ImageManifest", f"Media type {media_type} is not the manifest's own, {kind}")
    if document.get("schemaVersion") != 2 or kind not in (*IMAGES, *LISTS):
        raise _unsupported(str(kind))
    digest = f"sha256:{hashlib.sha256(text).hexdigest()}"
    if kind in LISTS:
        named = _descriptors(document.get("manifests"), "manifests")
        return Manifest(digest, kind, images=tuple(each["digest"] for each in named), size=_size(named))
    layers = _descriptors(document.get("layers"), "layers")
    config = _descriptors([document.get("config")], "config")[0]
    return Manifest(
        digest,
        kind,
        config=config["digest"],
        layers=tuple(each["digest"] for each in layers),
        layer_types=tuple(str(each.get("mediaType", "")) for each in layers),
        size=_size([config, *layers]),
        artifact=str(config.get("mediaType", "")),
    )


def _document(text: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(text.decode())  # RFC 8259 has it in UTF-8, in which it is kept
    except (ValueError, RecursionError):
        raise invalid("ImageManifest", "Invalid JSON syntax") from None
    if not isinstance(document, dict):
        raise invalid("ImageManifest", "Invalid JSON syntax")
    return document


def _kind(document: Mapping[str, Any]) -> str:
    """An OCI manifest need not say what it is."""
    return OCI_INDEX if "manifests" in document else OCI_IMAGE


def _unsupported(kind: str) -> RegistryError:
    return invalid("ImageManifest", f"Unsupported manifest media type '{kind}': {', '.join((*IMAGES, *LISTS))}")


def _descriptors(found: Any, where: str) -> list[dict[str, Any]]:
    if not isinstance(found, list) or not all(_is_descriptor(each) for each in found):
        raise invalid("ImageManifest", f"'{where}' has to name a digest, sha256:<64 hexadecimal digits>, and a size")
    return found


def _is_descriptor(found: Any) -> bool:
    if not isinstance(found, dict):
        return False
    size = found.get("size")
    return DIGEST.fullmatch(str(found.get("digest"))) is not None and isinstance(size, int) and size >= 0


def _size(descriptors: list[dict[str, Any]]) -> int:
    return sum(int(each["size"]) for each in descriptors)
