"""The images that the embedded AWS keeps warm, and what memory each holds, read from this machine's processes.

An interpreter that has imported an image's framework is a process of the server's (docs/containers.md, Warm), as are
those that it was forked into, each at the head of a container.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_ITS_PROGRAM = b"localaws.confinement.warm_interpreter"
_IMPORTS = 5  # of its arguments
_HASH = 12  # letters behind an environment's name
_NAMESPACES = ("pid", "pid_for_children")
_PSS = "Pss:"  # memory of its own, and its part of what it shares with its containers


@dataclass(frozen=True)
class WarmImage:
    """An image with an interpreter that has imported its framework, or nothing yet, and that interpreter's memory."""

    name: str
    mebibytes: int


def warm_images(server: int, proc: Path = _PROC) -> list[WarmImage]:
    """The warm images of the server with this process id, by name; none where there is no /proc."""
    images = (_warm_image(proc / process, proc / str(server)) for process in _children(proc, server))
    found = [image for image in images if image is not None]
    return sorted(found, key=lambda image: image.name)


def _children(proc: Path, process: int) -> Iterator[str]:
    for children in sorted((proc / str(process) / "task").glob("*/children")):
        try:
            yield from children.read_text(encoding="ascii").split()
        except OSError:  # the thread has ended meanwhile
            continue


def _warm_image(process: Path, server: Path) -> WarmImage | None:
    """None for any other process, and for one that has ended meanwhile."""
    try:
        arguments = (process / "cmdline").read_bytes().split(b"\0")
        if len(arguments) <= _IMPORTS or _ITS_PROGRAM not in arguments[2] or _is_in_container(process, server):
            return None
        interpreter = Path(arguments[0].decode("utf-8", "replace"))
        alone = "" if arguments[_IMPORTS] else ", Python alone"
        return WarmImage(_image_name(interpreter.parents[1].name) + alone, _kibibytes(process) // 1024)
    except (OSError, IndexError):
        return None


def _is_in_container(process: Path, server: Path) -> bool:
    """Whether it has a namespace of processes that isn't the server's, or will have one."""
    return any((process / "ns" / name).readlink() != (server / "ns/pid").readlink() for name in _NAMESPACES)


def _kibibytes(process: Path) -> int:
    lines = (process / "smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(_PSS))


def _image_name(folder: str) -> str:
    """An environment's folder is named after the image, with a hash of what is in it behind."""
    name, _, content = folder.rpartition("-")
    return name if name and len(content.partition("+")[0]) == _HASH else folder
