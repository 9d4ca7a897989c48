"""model.tar.gz, opened without trusting it."""

from __future__ import annotations

import tarfile
from pathlib import Path, PurePosixPath

from toolkit.errors import ToolkitError


class ArchiveError(ToolkitError):
    """A model archive can't be opened, or holds what no model archive should; the message names the member."""


def extract(archive: Path, target: Path) -> Path:
    """The folder `target` with the archive's files and folders in it, and nothing written anywhere else.

    The rules are those of `tarfile`'s "data" filter (Python documentation, tarfile, "Extraction filters"), kept here
    because older framework images have a Python without it, and one is stricter: no links, which no model needs.

    Raises:
        ArchiveError: no gzipped tar, or a member that is absolute, leaves the folder, is a link or a device.
    """
    target.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive, "r:gz") as tar:
            members = tar.getmembers()
            for member in members:
                _check(archive, member)
            for member in members:
                _write(tar, member, target)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ArchiveError(f"{archive.name} can't be read as a gzipped tar archive: {error}") from error
    return target


def _check(archive: Path, member: tarfile.TarInfo) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise ArchiveError(f"{archive.name}: member {member.name!r} leads out of the model's folder (path traversal)")
    if member.issym() or member.islnk():
        raise ArchiveError(f"{archive.name}: member {member.name!r} is a link; only files and folders are allowed")
    if not (member.isfile() or member.isdir()):
        raise ArchiveError(f"{archive.name}: member {member.name!r} is neither a file nor a folder")


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    path = target / member.name
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    assert source is not None  # noqa: S101 - `_check` let only files and folders through
    with source, path.open("wb") as out:
        while block := source.read(1 << 20):
            out.write(block)
