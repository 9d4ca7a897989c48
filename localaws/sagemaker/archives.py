"""Unpacking archives that users made: `model.tar.gz` and `sourcedir.tar.gz`.

An archive may only put regular files and directories below the directory that it is unpacked into. Everything else
(absolute paths, `..`, links, devices) is refused before anything is written, so that a refused archive leaves nothing.
"""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath


class ArchiveError(Exception):
    """The archive can't be unpacked, or not safely; the message names the archive, the member and what is wrong."""


def extract(archive: Path, directory: Path, *, shown_as: str | None = None) -> None:
    """Unpack a (compressed) tar file into `directory`, which is made. ArchiveError.

    `shown_as` names the archive in messages (its S3 URI, which its user knows, rather than a path of ours).
    """
    name = shown_as or archive.name
    try:
        with tarfile.open(archive) as tar:
            members = [_checked(name, member) for member in tar.getmembers()]
            directory.mkdir(parents=True, exist_ok=True)
            for member in members:
                _write(tar, member, directory)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ArchiveError(f"{name} is not a readable .tar.gz archive: {error}") from error


def _checked(archive: str, member: tarfile.TarInfo) -> tarfile.TarInfo:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise ArchiveError(f"{archive}: {member.name!r} points outside the directory that it is unpacked into")
    if member.issym() or member.islnk():
        raise ArchiveError(f"{archive}: {member.name!r} is a link to {member.linkname!r}; only files are unpacked")
    if not (member.isfile() or member.isdir()):
        raise ArchiveError(f"{archive}: {member.name!r} is a device or a pipe; only files are unpacked")
    return member


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, directory: Path) -> None:
    target = directory / member.name
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    if source is None:
        return
    with source, target.open("wb") as file:
        shutil.copyfileobj(source, file, 1024 * 1024)
    target.chmod(0o755 if member.mode & 0o100 else 0o644)
