"""Which requests are a registry's: asked of every request that an AWS gets, so that it imports nothing."""

from __future__ import annotations

VERSION = "/v2"


def is_of_registry(path: str) -> bool:
    """Whether a path is one of the registry protocol's. Pure."""
    if not path.startswith(VERSION):
        return False
    if path.rstrip("/") in (VERSION, f"{VERSION}/_catalog"):
        return True
    return path.startswith(f"{VERSION}/") and (
        "/blobs/" in path or "/manifests/" in path or path.endswith("/tags/list")
    )
