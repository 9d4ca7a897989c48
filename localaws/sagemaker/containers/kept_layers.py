"""Layers that are kept: what a container has installed, under a name that tells everything it was made from.

Such a layer is made in a container of its own, which sees what its name tells and nothing else of the job: neither the
job's data, its role and its other variables, nor its script, which runs in another container afterwards. So nobody can
put anything into a layer that another job with the same requirements will use.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from localaws.sagemaker.containers import container
from localaws.sagemaker.containers.beneath import remove
from localaws.sagemaker.containers.container import Layer

_NOT_KEPT = ("pip.conf",)
_REQUIREMENTS = "requirements.txt"
_EDITABLE = re.compile(rb"^\s*(-e|--editable)\b", re.MULTILINE)
# ``-r more.txt``, ``-c limits.txt``, ``./thing.whl``, ``file:...``, ``thing @ file:...``
_REFERS_TO_FILES = re.compile(
    rb"^\s*(-r|-c|--requirement|--constraint|-f|--find-links|\.|/|file:|[^#\n]*@\s*file:|[^#\n]*\.(whl|tar\.gz|zip)\b)",
    re.MULTILINE,
)
# What is neither the code nor the image's: a channel's files, say.
_ELSEWHERE = re.compile(rb"/opt/ml/+(?!code\b)|(^|[\s/=:])\.\.(/|\s|$)", re.MULTILINE)
_PATH = re.compile(r"(^|\s)(\.|/|file:)|^[^:]*$")
_OF_PIP = re.compile(r"PIP_.*|.*_proxy", re.IGNORECASE)
# Where pip is told to leave packages elsewhere than in the environment.
_INSTALLS_ELSEWHERE = frozenset({"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_PYTHON"})
_NAME_DIGITS = 32
_LOOK_SECONDS = 0.1  # between two looks whether another has ended


@dataclass(frozen=True)
class Shared:
    """An installation whose result others may use.

    command: what installs. place: where its layer is kept. files: what of the code it sees. variables: those of the
    job's request it sees.
    """

    command: Sequence[str]
    place: Path
    files: Sequence[str]
    variables: Mapping[str, str]


def shared(
    environment: Path, command: Sequence[str], code: Path, variables: Mapping[str, str], network: str
) -> Shared | None:
    """What `command` makes over an environment for others too; None for what nobody else can use.

    code: the directory in which the command runs; variables: what the job's request adds to the container's own;
    network: the container's, since what is installed without one isn't there to be installed with one.
    """
    requirements = code / _REQUIREMENTS
    text = requirements.read_bytes() if requirements.is_file() else b""
    of_pip = {name: value for name, value in variables.items() if _OF_PIP.fullmatch(name)}
    told = "\n".join(["", *of_pip.values()]).encode("utf-8", "surrogateescape")
    if _EDITABLE.search(text) or _ELSEWHERE.search(text + told) or _INSTALLS_ELSEWHERE & of_pip.keys():
        return None  # it points into the code of the job that makes it, or to what only that job has
    builds = "." in command or bool(_REFERS_TO_FILES.search(text))
    all_files = builds or any(_may_be_path(value) for value in of_pip.values())
    given = variables if builds or b"${" in text else of_pip
    files = _names(code) if all_files else [_REQUIREMENTS] if requirements.is_file() else []
    contents = {name: _content(code / name) for name in files}
    key = json.dumps([network, list(command), contents, dict(given)], sort_keys=True)
    name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:_NAME_DIGITS]
    return Shared(command, environment.parent / f"{environment.name}+installed-{name}", files, given)


def copy(code: Path, files: Sequence[str], directory: Path) -> None:
    """Copy what an installation sees of the code."""
    directory.mkdir(parents=True)
    for name in files:
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(code / name, target, follow_symlinks=False)


@contextlib.contextmanager
def making(place: Path, patience: float = 0.0) -> Iterator[Path | None]:
    """A folder for making the layer that is to be kept at `place`; None where it is there, or can't be made now.

    It lies beside the place, since a layer can't be copied: that would lose what says that a file is gone.

    patience: seconds to wait for another who is at it.
    """
    if not os.access(place.parent, os.W_OK) or not container.can_lay_over(place.parent):
        yield None
        return
    folder = place.with_name(f".{place.name}.making")
    with place.with_name(f".{place.name}.lock").open("w") as lock:
        if not _has(lock, patience) or place.is_dir():
            yield None
            return
        remove(folder)  # a making that was cut off
        folder.mkdir()
        try:
            yield folder
        finally:
            remove(folder)


def _has(lock: IO[str], patience: float) -> bool:
    """Whether the lock is had in so many seconds."""
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOOK_SECONDS)
        else:
            return True


def keep(layer: Layer, place: Path) -> None:
    """Keep what a container that has ended has installed."""
    upper = layer.directory / "upper"
    for name in _NOT_KEPT:
        (upper / name).unlink(missing_ok=True)
    upper.rename(place)


def _may_be_path(value: str) -> bool:
    return bool(_PATH.search(value)) and not value.isdecimal()


def _names(directory: Path) -> list[str]:
    """Files and links below a directory that nothing changes now, by name."""
    found = []
    for folder, folders, names in os.walk(directory):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        found += [str(Path(folder, name).relative_to(directory)) for name in (*names, *links)]
    return sorted(found)


def _content(path: Path) -> list[str]:
    if path.is_symlink():
        return ["link", str(path.readlink())]
    with path.open("rb") as file:
        return [oct(path.stat().st_mode), hashlib.file_digest(file, "sha256").hexdigest()]
