"""An own image's file system as a container gets it: as whom its program runs, and the files that Docker writes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

# Docker's, for a container with a name of its own; what the server can look up itself is the container's, too.
_HOSTS = (
    ("127.0.0.1", "localhost"),
    ("::1", "localhost ip6-localhost ip6-loopback"),
    ("fe00::0", "ip6-localnet"),
    ("ff00::0", "ip6-mcastprefix"),
    ("ff02::1", "ip6-allnodes"),
    ("ff02::2", "ip6-allrouters"),
)
_SHARED_WITH_IMAGE = "processing"
_RESOLVER = Path("/etc/resolv.conf")


@dataclass(frozen=True)
class User:
    """As whom a program runs: numbers of the image's /etc/passwd and /etc/group."""

    user: int = 0
    group: int = 0
    groups: Sequence[int] = ()


@dataclass(frozen=True)
class ImageRoot:
    """An unpacked image as one container's root.

    directory: the image's files, kept and never written to; or a copy of the container's own, where `upper` is None.
    upper: a folder with `upper` and `work`, to keep what the container writes.
    files: what appears, writable, at a path of its own instead of the image's: hosts, resolv.conf, hostname.
    """

    directory: Path
    upper: Path | None
    user: User = field(default_factory=User)
    files: Mapping[str, Path] = field(default_factory=dict)

    @property
    def written(self) -> list[Path]:
        """The folders in which what the container writes lies, its /etc/hosts and their like too."""
        return [self.upper or self.directory, *dict.fromkeys(path.parent for path in self.files.values())]

    @property
    def options(self) -> list[str]:
        """What the container's first process is told, see confinement/options.py."""
        ids = [self.user.user, self.user.group, *self.user.groups]
        said = ["--root", str(self.directory), str(self.upper or "")]
        said += ["--user", ":".join(map(str, ids))]
        for place, path in self.files.items():
            said += ["--bind", str(path), place]
        return said


def write_files(folder: Path, hostname: str, hosts: Mapping[str, str], *, has_network: bool) -> dict[str, Path]:
    """Write what Docker writes for a container; by their places. hosts: addresses by names, its own's too."""
    named = [*_HOSTS, *((address, name) for name, address in {hostname: "127.0.0.1", **hosts}.items())]
    texts = {
        "hosts": "".join(f"{address}\t{names}\n" for address, names in named),
        "hostname": f"{hostname}\n",
        "resolv.conf": _RESOLVER.read_text(encoding="utf-8") if has_network and _RESOLVER.exists() else "",
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o644)
    return {f"/etc/{name}": folder / name for name in texts}


def ml_folders(base_dir: Path) -> list[Path]:
    """The folders of /opt/ml that are SageMaker's; an image may have others beside them: AWS's own examples copy the
    code to /opt/ml/code, and what a processing job runs to /opt/ml/processing."""
    found = sorted(path for path in base_dir.iterdir() if path.is_dir())
    inside = [path for path in found if path.name == _SHARED_WITH_IMAGE]
    return [path for path in found if path not in inside] + [
        below for path in inside for below in sorted(path.iterdir())
    ]


@contextmanager
def in_memory(variables: Mapping[str, str]) -> Iterator[int]:
    """A program's variables in a file that has no name; its descriptor, for the first process to read.

    In that process's own environment they would act on this machine's Python, and on its loader: LD_PRELOAD of an
    image names a file of the image's.
    """
    descriptor = os.memfd_create("variables", 0)
    try:
        lines = (f"{name}={value}\0" for name, value in variables.items())
        with open(descriptor, "wb", closefd=False) as file:
            file.write("".join(lines).encode("utf-8", "surrogateescape"))
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
