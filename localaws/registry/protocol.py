"""The registry protocol, version 2, as docker, podman and buildah speak it: what a request asks for.

Source: opencontainers/distribution-spec, spec.md. Each request is one of ECR's operations to IAM ("Actions, resources,
and condition keys for Amazon Elastic Container Registry"; "Pushing a Docker image", required IAM permissions).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from localaws.registry import references
from localaws.registry.paths import VERSION

_ROUTES = (
    # The operation that each asks IAM for; what it does here; method; the path below the repository.
    ("BatchGetImage", "read_manifest", "GET HEAD", r"manifests/(?P<reference>[^/]+)"),
    ("PutImage", "write_manifest", "PUT", r"manifests/(?P<reference>[^/]+)"),
    ("BatchCheckLayerAvailability", "find_blob", "HEAD", r"blobs/(?P<reference>sha256:[0-9a-f]+)"),
    ("GetDownloadUrlForLayer", "read_blob", "GET", r"blobs/(?P<reference>sha256:[0-9a-f]+)"),
    ("InitiateLayerUpload", "begin_upload", "POST", r"blobs/uploads/?(?P<reference>)"),
    ("UploadLayerPart", "append_upload", "PATCH", r"blobs/uploads/(?P<reference>[0-9a-f-]+)"),
    ("UploadLayerPart", "tell_upload", "GET", r"blobs/uploads/(?P<reference>[0-9a-f-]+)"),
    ("UploadLayerPart", "cancel_upload", "DELETE", r"blobs/uploads/(?P<reference>[0-9a-f-]+)"),
    ("CompleteLayerUpload", "finish_upload", "PUT", r"blobs/uploads/(?P<reference>[0-9a-f-]+)"),
    ("ListImages", "list_tags", "GET", r"tags/list(?P<reference>)"),
)
_PATTERNS = tuple(
    (action, does, methods.split(), re.compile(rf"{VERSION}/(?P<repository>{references.REPOSITORY})/{rest}"))
    for action, does, methods, rest in _ROUTES
)


@dataclass(frozen=True)
class Call:
    """What a request asks for: `action` is ECR's name of it for IAM, `does` what is done."""

    action: str
    does: str
    repository: str
    reference: str


def is_ping(path: str) -> bool:
    """Whether a path asks whether there is a registry, and who one is. Pure."""
    return path.rstrip("/") == VERSION


def call_of(method: str, path: str) -> Call | None:
    """What a request asks for; None for what ECR's registries don't do, such as deletions and the catalog. Pure."""
    for action, does, methods, pattern in _PATTERNS:
        found = pattern.fullmatch(path)
        if found is not None and method in methods:
            return Call(action, does, found["repository"], found["reference"])
    return None
