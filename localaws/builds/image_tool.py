"""The programs of a machine that can build images here: buildah, and podman, which builds by the same code.

What they have in common is docker_service's; a tool says what it has of its own: how its store is named, and how it
tells of an image. Docker is none of them: its daemon keeps images of its own and builds outside of the container that
holds a build here.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Document = dict[str, Any]

_CHROOT = ("--isolation", "chroot", "--format", "docker")


@dataclass(frozen=True)
class ImageTool:
    """A program that builds, pulls and pushes images.

    build: its options for images as Docker's, kept by layers. described: an image in Docker's terms but for its names,
    by what `inspect` says; names: those of an image, by its id and what `images` says.
    """

    program: str
    own: Callable[[Path], tuple[str, ...]]
    build: tuple[str, ...]
    inspect: tuple[str, ...]
    images: tuple[str, ...]
    described: Callable[[str], Document]
    names: Callable[[str, str], list[str]]

    def command(self, images: Path, folder: Path, arguments: Sequence[str]) -> list[str]:
        """A command line, whose images are in one folder and what goes with the build in another."""
        storage = ["--storage-driver", "vfs", "--root", f"{images}/storage", "--runroot", f"{folder}/run"]
        # An ordinary user is root of its own namespace there, with one id: who owns what can't be kept.
        storage += [] if os.geteuid() == 0 else ["--storage-opt", "vfs.ignore_chown_errors=true"]
        return [self.program, *storage, *self.own(folder), *arguments]


def _of_buildah(text: str) -> Document:
    found = json.loads(text)
    docker: Mapping[str, Any] = found.get("Docker") or {}
    return {
        "Id": f"sha256:{found.get('FromImageID', '')}",
        "Created": docker.get("created", ""),
        "Author": docker.get("author", ""),
        "Architecture": docker.get("architecture", ""),
        "Os": docker.get("os", ""),
        "Config": docker.get("config") or {},
        "RootFS": {"Type": "layers", "Layers": (docker.get("rootfs") or {}).get("diff_ids", [])},
    }


# What docker says of a setting that an image hasn't, which podman leaves out.
_UNSET = {"User": "", "Env": None, "Cmd": None, "Volumes": None, "WorkingDir": "", "Entrypoint": None, "Labels": None}


def _of_podman(text: str) -> Document:
    [found] = json.loads(text)
    same = {name: found.get(name, "") for name in ("Created", "Author", "Architecture", "Os")}
    checked = {"Healthcheck": found["Healthcheck"]} if found.get("Healthcheck") else {}
    config = {**_UNSET, **(found.get("Config") or {}), **checked}
    return {"Id": f"sha256:{found.get('Id', '')}", **same, "Config": config, "RootFS": found.get("RootFS") or {}}


def _named(id_key: str, names_key: str) -> Callable[[str, str], list[str]]:
    def names(text: str, image_id: str) -> list[str]:
        listed = [each for each in json.loads(text or "[]") if each[id_key].removeprefix("sha256:") == image_id]
        return [name.removeprefix("localhost/") for each in listed for name in each.get(names_key) or []]

    return names


BUILDAH = ImageTool(
    program="buildah",
    own=lambda _folder: (),
    build=(*_CHROOT, "--layers"),
    inspect=("inspect", "--type", "image"),
    images=("images", "--json", "--no-trunc"),
    described=_of_buildah,
    names=_named("id", "names"),
)
# Its containers' engine is to ask for no cgroups, journal or folder of this machine's. Layers are kept unless --squash
# is said; it takes no --layers with that.
PODMAN = ImageTool(
    program="podman",
    own=lambda folder: (
        *("--tmpdir", f"{folder}/podman"),
        *("--cgroup-manager", "cgroupfs"),
        *("--events-backend", "none"),
    ),
    build=_CHROOT,
    inspect=("image", "inspect"),
    images=("images", "--format", "json", "--no-trunc"),
    described=_of_podman,
    names=_named("Id", "Names"),
)
TOOLS = (BUILDAH, PODMAN)
_INSTALL = "install buildah or podman (apt-get install buildah, dnf install buildah)"
NONE_HERE = f"no container tool is on this machine: {_INSTALL}, by which the embedded CodeBuild builds images"
DOCKER_ALONE = (
    "docker is on this machine, but its daemon keeps images of its own and builds outside of the container that holds "
    f"a build here: {_INSTALL}, by which the embedded CodeBuild builds images"
)


def here() -> ImageTool | None:
    """The tool of this machine."""
    return next((tool for tool in TOOLS if shutil.which(tool.program)), None)


def missing() -> str | None:
    """What to install, in a sentence, on a machine without such a tool."""
    if here() is not None:
        return None
    return NONE_HERE if shutil.which("docker") is None else DOCKER_ALONE
