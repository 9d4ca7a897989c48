"""tar.gz files: made so that the same content gives the same bytes, taken apart so that nothing lands elsewhere."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, NoReturn

from localaws.sagemaker.containers.beneath import File
from localaws.sagemaker.containers.limits import KEPT_FREE

# Fast over small: an archive stays on this machine, and compression stands in every job's way.
_COMPRESSION = 1
_GZIP = b"\x1f\x8b"
# What else people upload, by its first bytes.
_OTHERS = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "a zip file", b"(\xb5/\xfd": "zstd"}
_BLOCK = 256 * 1024  # that are read of a stream at once
_TAR_MAGIC = slice(257, 262)
_HEAD_BYTES = 512
# Headers that tarfile reads into memory whole.
_EXTENSIONS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME,
               tarfile.GNUTYPE_LONGLINK)  # fmt: skip
_MAX_EXTENSION = 1024 * 1024
_MAX_MEMBERS, _MAX_NAMES = 200_000, 64 * 1024 * 1024


class UnsafeArchiveError(Exception):
    """A member of an archive would land outside its directory, or isn't a file; the message names it."""


class BrokenArchiveError(Exception):
    """The file isn't a readable tar archive."""


def pack(files: Iterable[File], archive: IO[bytes]) -> int:
    """Write files of containers' folders as a tar.gz; their number.

    Deterministic: sorted names, no times, no owners; symbolic links are followed, as SageMaker uploads content, and a
    second name of the same file (hard link) carries the content again.
    """
    count = 0
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=archive, compresslevel=_COMPRESSION, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for file in files:
            with contextlib.suppress(FileNotFoundError), file.open() as content:
                status = os.fstat(content.fileno())
                info = tarfile.TarInfo(file.name)
                info.mode = 0o755 if status.st_mode & 0o100 else 0o644
                info.size = status.st_size
                tar.addfile(info, content)
                count += 1
    return count


class _Header(tarfile.TarInfo):
    """A header that is read without more memory than names need; sparse files, whose maps have any size, are none."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        header = super().frombuf(buf, encoding, errors)
        if header.type in _EXTENSIONS and header.size > _MAX_EXTENSION:
            raise UnsafeArchiveError(f"a header of {header.size} bytes is larger than any name needs")
        return header

    def _proc_sparse(self, *_: object) -> NoReturn:
        raise UnsafeArchiveError(f"{self.name!r} is a sparse file; put it into the archive as it is read")

    _proc_gnusparse_10 = _proc_sparse


@contextlib.contextmanager
def opened(archive: Path) -> Iterator[tarfile.TarFile]:
    """A tar, compressed or not, whose headers cost no more memory than they need."""
    with tarfile.open(archive, tarinfo=_Header) as tar:
        yield tar


@contextlib.contextmanager
def streamed(file: IO[bytes]) -> Iterator[tarfile.TarFile]:
    """A tar that is read once, from its beginning to its end; see `opened`."""
    with tarfile.open(fileobj=file, mode="r|", bufsize=_BLOCK, tarinfo=_Header) as tar:
        yield tar


def members(tar: tarfile.TarFile, room: int) -> Iterator[tarfile.TarInfo]:
    """The members of a tar, one after another. UnsafeArchiveError for too many, or for more than `room` bytes."""
    size = names = 0
    for count, member in enumerate(tar, start=1):
        size += max(member.size, 0)
        if size > room:
            raise UnsafeArchiveError(f"it unpacks to more than the {room} bytes that there is room for")
        names += len(member.name) + len(member.linkname) + sum(map(len, member.pax_headers.values()))
        if count > _MAX_MEMBERS or names > _MAX_NAMES:
            raise UnsafeArchiveError(
                f"it has more than {_MAX_MEMBERS} members, or names of more than {_MAX_NAMES} bytes"
            )
        yield member


def unpack(archive: Path, directory: Path, room: int) -> None:
    """Extract a tar (compressed or not) into `directory`, at most `room` bytes and what the disk has.

    The rules are those of `tarfile`'s "data" filter (Python documentation, tarfile, "Extraction filters"), which the
    first releases of Python 3.11 don't have. Owners and special modes are dropped.

    Raises UnsafeArchiveError for absolute paths, ``..``, links that leave the directory, devices, and more than there
    is room for; BrokenArchiveError when it can't be read. All members are checked before the first is written, so that
    a refused archive leaves nothing; what only its links together would do is found when it is written.
    """
    try:
        with opened(archive) as tar:
            found = []
            for member in members(tar, min(room, free(directory))):
                _check(member, directory)
                found.append(member)
            made: set[Path] = set()
            for member in found:
                _write(tar, member, directory, made)
    except (tarfile.TarError, EOFError, zlib.error, OSError, KeyError, ValueError) as error:
        raise BrokenArchiveError(f"{archive.name} is not a readable tar.gz: {error}") from error


def free(directory: Path) -> int:
    """Bytes that may be written there, with room left for the server itself."""
    there = next(folder for folder in (directory, *directory.parents) if folder.exists())
    found = os.statvfs(there)
    free = found.f_bavail * found.f_frsize
    return max(free - KEPT_FREE, free // 2)


def why_no_gzip(archive: Path) -> str | None:
    """A sentence on a file that isn't compressed with gzip; None for one that is."""
    with archive.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(_GZIP):
        return None
    if not head:
        return "it is empty"
    if head[_TAR_MAGIC] == b"ustar":
        return "it is a tar that isn't compressed with gzip"
    kind = next((name for magic, name in _OTHERS.items() if head.startswith(magic)), None)
    return f"it is {kind}, not gzip" if kind else "it isn't compressed with gzip"


def _check(member: tarfile.TarInfo, directory: Path) -> None:
    if member.name.startswith("/") or ".." in Path(member.name).parts:
        raise UnsafeArchiveError(f"{member.name!r} would be written outside {directory.name}/")
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        raise UnsafeArchiveError(f"{member.name!r} is neither a file, a directory nor a link")
    if member.issym() or member.islnk():
        # A symbolic link's target is as seen from its own place, a hard link's is another member's name.
        base = PurePosixPath(member.name).parent if member.issym() else PurePosixPath()
        target = os.path.normpath(base / member.linkname)
        if PurePosixPath(member.linkname).is_absolute() or target.split("/")[0] == "..":
            raise UnsafeArchiveError(f"{member.name!r} is a link to {member.linkname!r}, outside {directory.name}/")


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, directory: Path, made: set[Path]) -> None:
    """Write a member. `made`: folders that are there, and inside the directory."""
    path = directory / member.name
    folder = path if member.isdir() else path.parent
    if folder not in made:
        _stay_inside(member, folder, directory)
        folder.mkdir(parents=True, exist_ok=True)
        made.add(folder)
    if member.issym():
        _stay_inside(member, path.parent / member.linkname, directory)
        path.unlink(missing_ok=True)
        path.symlink_to(member.linkname)
        made.clear()  # a folder may lead elsewhere now
    elif not member.isdir():
        _write_file(tar, member, path)


def _write_file(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    content = tar.extractfile(member)  # of a hard link, what it is linked to
    if content is None:
        raise UnsafeArchiveError(f"{member.name!r} is a link to {member.linkname!r}, which is no file")
    with content, _new(path) as file:
        shutil.copyfileobj(content, file)
        os.fchmod(file.fileno(), 0o755 if member.mode & 0o100 else 0o644)


def _new(path: Path) -> BinaryIO:
    """A new file, in the place of one that is there."""
    try:
        return path.open("xb")
    except FileExistsError:
        path.unlink()
        return path.open("xb")


def _stay_inside(member: tarfile.TarInfo, path: Path, directory: Path) -> None:
    """Refuse a path that leaves the directory through links that were written before."""
    if not path.resolve().is_relative_to(directory.resolve()):
        raise UnsafeArchiveError(f"{member.name!r} would be written outside {directory.name}/, through links before it")
