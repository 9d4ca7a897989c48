"""Layers that are kept: what a container has installed, under a name that tells everything it was made from."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from localaws.sagemaker.containers.container import Layer

DONE = ".installed"  # in the environment: made by the container once it has installed everything
_NOT_KEPT = (DONE, "pip.conf")
_EDITABLE = re.compile(rb"^\s*(-e|--editable)\b", re.MULTILINE)
# ``-r more.txt``, ``-c limits.txt``, ``./thing.whl``, ``file:...``, ``thing @ file:...``
_REFERS_TO_FILES = re.compile(
    rb"^\s*(-r|-c|--requirement|--constraint|-f|--find-links|\.|/|file:|[^#\n]*@\s*file:|[^#\n]*\.(whl|tar\.gz|zip)\b)",
    re.MULTILINE,
)
_OF_PIP = re.compile(r"PIP_.*|.*_proxy", re.IGNORECASE)


def place(
    environment: Path, command: Sequence[str], code: Path, variables: Mapping[str, str], network: str
) -> Path | None:
    """Where the layer is kept that `command` makes over an environment; None for one that nobody else can use.

    code: the directory in which the command runs; variables: what the job's request adds to the container's own;
    network: the container's, since what is installed without one isn't there to be installed with one.
    """
    requirements = code / "requirements.txt"
    text = requirements.read_bytes() if requirements.is_file() else b""
    if _EDITABLE.search(text):
        return None  # it points into the code of the job that made it
    everything = "." in command
    files = _contents(code) if everything or _REFERS_TO_FILES.search(text) else [hashlib.sha256(text).hexdigest()]
    all_count = everything or b"${" in text
    given = {name: value for name, value in variables.items() if all_count or _OF_PIP.fullmatch(name)}
    told = "\n".join([network, *command, *files, *(f"{name}={value}" for name, value in sorted(given.items()))])
    return environment.parent / f"{environment.name}+installed-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def keep(layer: Layer) -> None:
    """Keep what a container that has ended has installed, unless anything was changed after that.

    On another file system than the environments it isn't kept: a copy would lose what says that a file is gone.
    """
    upper = layer.directory / "upper"
    if layer.kept_at is None or not (upper / DONE).exists():
        return
    done = (upper / DONE).stat().st_ctime_ns
    if any(path.lstat().st_ctime_ns > done for path in upper.rglob("*")):
        return
    for name in _NOT_KEPT:
        (upper / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # another job was first
        upper.rename(layer.kept_at)


def _contents(directory: Path) -> list[str]:
    return [
        f"{path.relative_to(directory)} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    ]
