"""Layers that are kept: what a container has installed, under a name that tells everything it was made from.

Such a layer is made in a container of its own, which sees what its name tells and nothing else of the job: neither the
job's data, its role and its other variables, nor its script, which runs in another container afterwards. So nobody can
put anything into a layer that another job with the same requirements will use.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class Shared:
    """An installation whose result others may use.

    place: where its layer is kept. files: what of the code it sees. variables: those of the job's request it sees.
    """

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
    return Shared(environment.parent / f"{environment.name}+installed-{name}", files, given)


def copy(code: Path, files: Sequence[str], directory: Path) -> None:
    """Copy what an installation sees of the code."""
    directory.mkdir(parents=True)
    for name in files:
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(code / name, target, follow_symlinks=False)


def keep(layer: Layer, place: Path) -> Path:
    """Keep what a container that has ended has installed; where it is from now on.

    On another file system than the environments it stays where it was made, for this job alone: a copy would lose what
    says that a file is gone.
    """
    upper = layer.directory / "upper"
    for name in _NOT_KEPT:
        (upper / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # another job was first
        upper.rename(place)
    return place if place.is_dir() else upper


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
