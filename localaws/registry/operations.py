"""ECR's operations on images: a request's members to an answer's.

Sources: botocore's model of ECR, and the API reference of each operation. What a request may not have is ECR's
InvalidParameterException.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from localaws.registry import layers, manifests, references, refusals
from localaws.registry.images import Images
from localaws.registry.refusals import RegistryError, invalid

Document = dict[str, Any]

_TAG = re.compile(references.TAG)
_DIGEST = r"[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+"
_USUAL, _MOST = 100, 1000


def answer(images: Images, operation: str, request: Document) -> Document | None:
    """The answer to a request; None for an operation that isn't one on images. Raises RegistryError."""
    handler = _HANDLERS.get(operation)
    if handler is None:
        return None
    registry = request.get("registryId", images.registry)
    name = str(request.get("repositoryName", ""))
    if registry != images.registry:
        raise refusals.no_repository(name, str(registry))
    images.repository(name)
    return handler(images, name, request)


def _identified(images: Images, name: str) -> Document:
    return {"registryId": images.registry, "repositoryName": name}


def put_image(images: Images, name: str, request: Document) -> Document:
    tag, wanted = request.get("imageTag"), request.get("imageDigest")
    if tag is not None:
        check_tag(str(tag))
    text = str(request.get("imageManifest", "")).encode()
    digest = manifests.read(text, request.get("imageManifestMediaType")).digest
    if wanted and wanted != digest:
        told = f"Image digest '{wanted}' does not match the digest of the image manifest, '{digest}'"
        raise RegistryError("ImageDigestDoesNotMatchException", told)
    images.put(name, text, request.get("imageManifestMediaType"), tag)
    _, image = images.require(name, {"imageDigest": digest})
    return {"image": _image(images, name, {"imageDigest": digest, **({"imageTag": tag} if tag else {})}, image)}


def _image(images: Images, name: str, image_id: Document, image: Document) -> Document:
    return {
        **_identified(images, name),
        "imageId": image_id,
        "imageManifest": image["manifest"],
        "imageManifestMediaType": image["mediaType"],
    }


def batch_get_image(images: Images, name: str, request: Document) -> Document:
    found, failures = [], []
    for asked in _image_ids(request):
        problem = _problem(images, name, asked)
        if problem:
            failures.append({"imageId": asked, **problem})
            continue
        digest, image = images.require(name, asked)
        images.pulled(image)
        found.append(_image(images, name, {**asked, "imageDigest": digest}, image))
    return {"images": found, "failures": failures}


def batch_delete_image(images: Images, name: str, request: Document) -> Document:
    deleted, failures = list[Document](), []
    for asked in _image_ids(request):
        problem = _problem(images, name, asked)
        gone = None if problem else images.delete(name, asked)
        if gone is None:
            named = _failure("ImageReferencedByManifestList", "Requested image referenced by manifest list")
            failures.append({"imageId": asked, **(problem or named)})
        deleted += gone or []
    return {"imageIds": deleted, "failures": failures}


def _image_ids(request: Document) -> list[Document]:
    found = request.get("imageIds")
    if not isinstance(found, list) or not 1 <= len(found) <= 100 or not all(isinstance(each, dict) for each in found):
        raise invalid("imageIds", "must have length between 1 and 100")
    return found


def _problem(images: Images, name: str, asked: Mapping[str, str]) -> Document | None:
    """Why an image that is asked for can't be had, as the answer's failures say it."""
    digest, tag = asked.get("imageDigest"), asked.get("imageTag")
    if not digest and not tag:
        return _failure("MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null")
    if digest and not re.fullmatch(_DIGEST, digest):
        told = f"Invalid request parameters: image digest should satisfy the regex '{_DIGEST}'"
        return _failure("InvalidImageDigest", told)
    if images.find(name, asked) is None:
        return _failure("ImageNotFound", "Requested image not found")
    if digest and tag and tag not in images.require(name, asked)[1]["tags"]:
        return _failure("ImageTagDoesNotMatchDigest", "Requested image tag does not match the digest")
    return None


def _failure(code: str, reason: str) -> Document:
    return {"failureCode": code, "failureReason": reason}


def list_images(images: Images, name: str, request: Document) -> Document:
    ids = [
        {"imageDigest": digest, **({"imageTag": tag} if tag else {})}
        for digest, image in _filtered(images, name, request)
        for tag in image["tags"] or [None]
    ]
    return _page("imageIds", ids, request)


def describe_images(images: Images, name: str, request: Document) -> Document:
    if "imageIds" in request:
        asked = [images.require(name, image_id) for image_id in _image_ids(request)]
        return {"imageDetails": [_detail(images, name, *each) for each in dict(asked).items()]}
    details = [_detail(images, name, *each) for each in _filtered(images, name, request)]
    return _page("imageDetails", details, request)


def _filtered(images: Images, name: str, request: Document) -> Iterator[tuple[str, Document]]:
    wanted = (request.get("filter") or {}).get("tagStatus", "ANY")
    for digest, image in images.images(name):
        if wanted == "ANY" or (wanted == "TAGGED") == bool(image["tags"]):
            yield digest, image


def _detail(images: Images, name: str, digest: str, image: Document) -> Document:
    scan = {"imageScanStatus": image["scan"]} if "scan" in image else {}
    pulled = {"lastRecordedPullTime": image["pulledAt"]} if "pulledAt" in image else {}
    return {
        **_identified(images, name),
        "imageDigest": digest,
        **({"imageTags": list(image["tags"])} if image["tags"] else {}),
        "imageSizeInBytes": image["size"],
        "imagePushedAt": image["pushedAt"],
        "imageManifestMediaType": image["mediaType"],
        "artifactMediaType": image["artifact"],
        **scan,
        **pulled,
    }


def _page(member: str, found: list[Document], request: Document) -> Document:
    most, token = request.get("maxResults", _USUAL), request.get("nextToken")
    if not isinstance(most, int) or not 1 <= most <= _MOST:
        raise invalid("maxResults", f"must be between 1 and {_MOST}")
    start = _start(token) if token else 0
    more = start + most < len(found)
    following = {"nextToken": base64.b64encode(json.dumps(start + most).encode()).decode()} if more else {}
    return {member: found[start : start + most], **following}


def _start(token: str) -> int:
    try:
        return max(0, int(base64.b64decode(token, validate=True)))
    except ValueError:
        raise invalid("nextToken", "must be a token of an earlier answer") from None


def start_image_scan(images: Images, name: str, request: Document) -> Document:
    image_id = request.get("imageId") or {}
    digest, image = images.require(name, image_id)
    images.scan(image)
    status = {"imageScanStatus": {"status": "IN_PROGRESS"}}
    return {**_identified(images, name), "imageId": {**image_id, "imageDigest": digest}, **status}


def describe_image_scan_findings(images: Images, name: str, request: Document) -> Document:
    image_id = request.get("imageId") or {}
    digest, image = images.require(name, image_id)
    if "scan" not in image:
        raise refusals.no_scan({**image_id, "imageDigest": digest}, name, images.registry)
    scan = {"imageScanStatus": image["scan"]}
    return {**_identified(images, name), "imageId": {**image_id, "imageDigest": digest}, **scan}


def check_tag(tag: str) -> None:
    """Refuse what can't be a tag. Raises RegistryError."""
    if not _TAG.fullmatch(tag):
        raise invalid("imageTag", f"must satisfy regular expression '{references.TAG}'")


_HANDLERS: Mapping[str, Callable[[Images, str, Document], Document]] = {
    "PutImage": put_image,
    "BatchGetImage": batch_get_image,
    "BatchDeleteImage": batch_delete_image,
    "ListImages": list_images,
    "DescribeImages": describe_images,
    "StartImageScan": start_image_scan,
    "DescribeImageScanFindings": describe_image_scan_findings,
    **layers.HANDLERS,
}
