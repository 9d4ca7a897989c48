"""ECR's operations on layers, which its own tools use in place of the registry protocol."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from localaws.registry import refusals
from localaws.registry.blobs import DIGEST, OutOfOrderError, UploadGoneError
from localaws.registry.images import Images
from localaws.registry.refusals import RegistryError, invalid

Document = dict[str, Any]

# What InitiateLayerUpload answers, and the largest layerPartBlob (botocore's model: 20,971,520 bytes).
PART_SIZE, LARGEST_PART = 10_485_760, 20_971_520


def initiate_layer_upload(images: Images, name: str, _request: Document) -> Document:
    return {"uploadId": images.blobs.begin(name), "partSize": PART_SIZE}


def upload_layer_part(images: Images, name: str, request: Document) -> Document:
    upload, first, last = _upload(images, name, request), request.get("partFirstByte"), request.get("partLastByte")
    part = _bytes(request.get("layerPartBlob"))
    if not isinstance(first, int) or first != images.blobs.size(upload, name) or last != first + len(part) - 1:
        raise _invalid_part(images, name, upload, f"The layer part of bytes {first} to {last} is not the next one")
    try:
        size = images.blobs.append(upload, [part], first)
    except OutOfOrderError:
        raise _invalid_part(images, name, upload, "Another part has come meanwhile") from None
    except UploadGoneError:
        raise refusals.no_upload(upload, name, images.registry) from None
    return {"registryId": images.registry, "repositoryName": name, "uploadId": upload, "lastByteReceived": size - 1}


def _invalid_part(images: Images, name: str, upload: str, told: str) -> RegistryError:
    members = {
        "registryId": images.registry,
        "repositoryName": name,
        "uploadId": upload,
        "lastValidByteReceived": max(0, (images.blobs.size(upload, name) or 0) - 1),
    }
    return RegistryError("InvalidLayerPartException", told, members)


def _bytes(blob: object) -> bytes:
    try:
        part = base64.b64decode(str(blob or ""), validate=True)
    except binascii.Error:
        raise invalid("layerPartBlob", "must be in base 64") from None
    if not 0 < len(part) <= LARGEST_PART:
        raise invalid("layerPartBlob", f"must have length between 1 and {LARGEST_PART}")
    return part


def complete_layer_upload(images: Images, name: str, request: Document) -> Document:
    upload, digests = _upload(images, name, request), request.get("layerDigests") or []
    if len(digests) != 1 or not DIGEST.fullmatch(str(digests[0])):
        raise invalid("layerDigests", "must be one digest, sha256:<64 hexadecimal digits>")
    digest = digests[0]
    if not images.blobs.size(upload, name):
        raise RegistryError("EmptyUploadException", "The upload has no layer parts")
    if images.blob_size(name, digest) is not None:
        images.blobs.cancel(upload)
        told = f"The layer with digest '{digest}' already exists in the repository with name '{name}'"
        raise RegistryError("LayerAlreadyExistsException", told)
    images.finish_upload(name, upload, digest)
    return {"registryId": images.registry, "repositoryName": name, "uploadId": upload, "layerDigest": digest}


def _upload(images: Images, name: str, request: Document) -> str:
    upload = str(request.get("uploadId", ""))
    if images.blobs.size(upload, name) is None:
        raise refusals.no_upload(upload, name, images.registry)
    return upload


def batch_check_layer_availability(images: Images, name: str, request: Document) -> Document:
    layers, failures = [], []
    for digest in request.get("layerDigests") or []:
        if not DIGEST.fullmatch(str(digest)):
            told = {"failureCode": "InvalidLayerDigest", "failureReason": "Invalid layer digest"}
            failures.append({"layerDigest": digest, **told})
            continue
        size = images.blob_size(name, digest)
        known = {"layerAvailability": "UNAVAILABLE" if size is None else "AVAILABLE", "layerSize": size or 0}
        layers.append({"layerDigest": digest, **known})
    return {"layers": layers, "failures": failures}


HANDLERS: Mapping[str, Callable[[Images, str, Document], Document]] = {
    "InitiateLayerUpload": initiate_layer_upload,
    "UploadLayerPart": upload_layer_part,
    "CompleteLayerUpload": complete_layer_upload,
    "BatchCheckLayerAvailability": batch_check_layer_availability,
}
