"""Endpoints' files on this machine: a directory an endpoint, and in it one for each deployment."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from localaws.sagemaker.containers.beneath import remove

CONTAINERS = "containers"  # below a variant's directory: one for each of several containers


class EndpointFiles:
    """The directories below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def deployment(self, endpoint: str, identity: str) -> Path:
        """The directory of one deployment."""
        return self._root / endpoint / identity

    def deployments(self, endpoint: str) -> list[Path]:
        """The directories of an endpoint's deployments, those that are over included."""
        return _directories(self._root / endpoint)

    def remove(self, endpoint: str) -> None:
        """Remove everything of an endpoint."""
        remove(self._root / endpoint)

    def remove_instances(self, endpoint: str) -> None:
        """Remove what an endpoint's containers left that the server's end has cut off; what they were made of stays."""
        for places in ("i-*", f"{CONTAINERS}/*/i-*"):
            for directory in (self._root / endpoint).glob(f"*/*/{places}"):
                remove(directory)

    def remove_all_but(self, endpoints: Collection[str]) -> None:
        """Remove what endpoints left that aren't there any more."""
        for directory in _directories(self._root):
            if directory.name not in endpoints:
                remove(directory)


def _directories(parent: Path) -> list[Path]:
    return list(parent.iterdir()) if parent.is_dir() else []
