"""The table of images (`image_table.json`): the environment that stands for each, and where the two differ."""

from __future__ import annotations

import functools
import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from localaws.sagemaker.core import errors
from localaws.server_file import ACCOUNT

_PYTHON = (sys.version_info.major, sys.version_info.minor)
_TABLE = Path(__file__).with_suffix(".json")
_URI = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.[a-z0-9-]+\.[a-z0-9.-]+/(?P<repository>[^:@]+)(:(?P<tag>[^:@]+))?")


Start = Literal["direct", "shell", "module"]


class ImageNotFoundError(Exception):
    """The image isn't in the table, so it can't be pulled. The message names it."""


@dataclass(frozen=True)
class Image:
    """An image of the table: name and pins of its environment, and the versions that the real image holds.

    start: how its toolkit starts a script: itself ("direct"), by a shell that takes the arguments apart once more
    ("shell": sagemaker-training before 5.1.3 where it reads the script's errors, as PyTorch's and TensorFlow's images
    have it), or as a module ("module": sagemaker-containers).
    from_source: pins of the toolkits that are taken from their sources; of_ours: packages that are ours.
    imports: modules of its framework that a warm interpreter imports.
    """

    uri: str
    environment: str
    start: Start
    packages: tuple[str, ...]
    from_source: tuple[str, ...]
    of_ours: tuple[str, ...]
    holds: Mapping[str, str]
    variables: Mapping[str, str]
    imports: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for every version in which the environment differs from the image."""
        here = dict(package.split("==") for package in [*self.packages, *self.from_source])
        here["python"] = ".".join(map(str, _PYTHON))
        return tuple(
            f"Image {self.uri.rpartition('/')[2]} holds {name} {version}; here it is {here[name]}."
            for name, version in self.holds.items()
            if here[name] != version and not here[name].startswith(f"{version}.")
        )


def find(image_uri: str) -> Image:
    """The table's image for a URI ``<account>.dkr.ecr.<region>.<domain>/<repository>:<tag>``.

    Raises ImageNotFoundError for any other; also for one of this AWS's own account, whatever its name: there are no
    images of AWS's.
    """
    parts = _URI.fullmatch(image_uri)
    if parts is not None and parts["account"] != ACCOUNT:
        table = _table()
        for line in table["images"]:
            tag = re.fullmatch(line["tag"], parts["tag"] or "latest")
            if tag and re.fullmatch(line["repository"], parts["repository"]):
                toolkits = table["toolkits"][line["environment"]]
                return Image(
                    uri=image_uri,
                    environment=line["environment"],
                    start=line["start"],
                    packages=pins(table["environments"][line["environment"]], _PYTHON),
                    from_source=tuple(toolkits["from_source"]),
                    of_ours=tuple(toolkits["of_ours"]),
                    holds={**line["holds"], **_held_by_tag(tag.groupdict())},
                    variables=line["variables"],
                    imports=tuple(table["warm"].get(line["environment"].rpartition("-")[0], ())),
                )
    raise ImageNotFoundError(image_uri)


def pins(lines: Iterable[str], python: tuple[int, int]) -> tuple[str, ...]:
    """The pins of an environment that hold for a Python; a line's marker is ``python_version`` with ``<`` or ``>=``."""
    found = []
    for line in lines:
        pin, _, marker = line.partition("; python_version ")
        comparison, _, version = marker.partition(" ")
        bound = tuple(int(part) for part in version.strip("'").split(".")) if version else python
        if {"": True, "<": python < bound, ">=": python >= bound}[comparison]:
            found.append(pin)
    return tuple(found)


def is_own(image_uri: str) -> bool:
    """Whether an image is none of AWS's frameworks, but one of one's own, or of nobody's."""
    try:
        find(image_uri)
    except ImageNotFoundError:
        return True
    return False


def refuse_unknown(image_uri: str) -> None:
    """Refuse a request for an image that can't be pulled, since the table hasn't got it."""
    try:
        find(image_uri)
    except ImageNotFoundError as error:
        raise errors.validation(f"Requested image {image_uri} not found.") from error


def training_module(image_uri: str) -> str | None:
    """SAGEMAKER_TRAINING_MODULE of an image of the table; None for any other."""
    try:
        return find(image_uri).variables.get("SAGEMAKER_TRAINING_MODULE")
    except ImageNotFoundError:
        return None


def repository(image_uri: str) -> str:
    """The repository that a URI names, without registry and tag. Raises ImageNotFoundError for one that isn't ECR's."""
    parts = _URI.fullmatch(image_uri)
    if parts is None:
        raise ImageNotFoundError(image_uri)
    return parts["repository"]


def _held_by_tag(groups: Mapping[str, str | None]) -> dict[str, str]:
    """The versions that a tag names: ``py310`` is Python 3.10, the torch version stands first."""
    held = {name: text for name, text in groups.items() if text}
    if python := held.get("python"):
        held["python"] = f"{python[0]}.{python[1:]}"
    return held


@functools.cache
def _table() -> Any:
    return json.loads(_TABLE.read_text(encoding="utf-8"))
