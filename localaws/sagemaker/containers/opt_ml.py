"""/opt/ml: the directory through which a container and SageMaker speak, and where it lies on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from localaws.sagemaker.core import errors

OPT_ML = "/opt/ml/"


def located(path: str, ml: Path) -> Path:
    """Where a path below /opt/ml lies on this machine; `ml` is the directory that the container sees as /opt/ml."""
    return ml / PurePosixPath(path).relative_to(OPT_ML)  # a second slash doesn't make it a path of this machine


def refuse_outside(path: str, member: str) -> None:
    """Raise "not supported here" for a LocalPath where a job's container has nothing of its own."""
    if not path.startswith(OPT_ML) or ".." in path.split("/"):
        raise errors.not_supported(f"{member} outside /opt/ml: {path}")


def make_directories(ml: Path, names: Iterable[str]) -> None:
    """Make the directories of the contract that must be there before the container looks."""
    for name in names:
        (ml / name).mkdir(parents=True, exist_ok=True)


def write_json(path: Path, document: Any) -> None:
    """Write a configuration file of the contract."""
    path.write_text(json.dumps(document), encoding="utf-8")
