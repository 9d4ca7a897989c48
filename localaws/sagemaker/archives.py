"""tar.gz files: made so that the same content gives the same bytes, taken apart so that nothing lands elsewhere."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

# Fast over small: an archive stays on this machine, and compression stands in every job's way.
_COMPRESSION = 1


class UnsafeArchiveError(Exception):
    """A member of an archive would land outside its directory, or isn't a file; the message names it."""


class BrokenArchiveError(Exception):
    """The file isn't a readable tar archive."""


def pack(directory: Path, archive: IO[bytes]) -> int:
    """Write the content of `directory` as tar.gz into `archive`; the number of files.

    Deterministic: sorted names, no times, no owners; symbolic links are followed, as SageMaker uploads content.
    """
    count = 0
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=archive, compresslevel=_COMPRESSION, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT, dereference=True) as tar,
    ):
        for path in files_below(directory):
            info = tar.gettarinfo(path, arcname=path.relative_to(directory).as_posix())
            info.mtime, info.uid, info.gid, info.uname, info.gname = 0, 0, 0, "", ""
            info.mode = 0o755 if info.mode & 0o100 else 0o644
            info.type = tarfile.REGTYPE  # a second name of the same file (hard link) carries the content again
            info.size = path.stat().st_size
            with path.open("rb") as content:
                tar.addfile(info, content)
            count += 1
    return count


def unpack(archive: Path, directory: Path) -> None:
    """Extract a tar (compressed or not) into `directory`.

    Raises UnsafeArchiveError for absolute paths, ``..``, links that leave the directory, and devices;
    BrokenArchiveError when it can't be read. All members are checked before the first is written, so that a refused
    archive leaves nothing. Owners and special modes are dropped.
    """
    try:
        with tarfile.open(archive) as tar:
            members = [_checked(member, directory) for member in tar.getmembers()]
            for member in members:
                tar.extract(member, directory, filter="data")
    except tarfile.FilterError as error:
        raise UnsafeArchiveError(f"{error.tarinfo.name!r} in {archive.name}: {error}") from error
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise BrokenArchiveError(f"{archive.name} is not a readable tar.gz: {error}") from error


def files_below(directory: Path) -> Iterator[Path]:
    """Regular files below `directory` in a fixed order; links that lead out of it or nowhere are left out."""
    root = directory.resolve()
    for path in sorted(directory.rglob("*")):
        if path.is_file() and path.resolve().is_relative_to(root):
            yield path


def _checked(member: tarfile.TarInfo, directory: Path) -> tarfile.TarInfo:
    if member.name.startswith("/") or ".." in Path(member.name).parts:
        raise UnsafeArchiveError(f"{member.name!r} would be written outside {directory.name}/")
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        raise UnsafeArchiveError(f"{member.name!r} is neither a file, a directory nor a link")
    return tarfile.data_filter(member, str(directory))
