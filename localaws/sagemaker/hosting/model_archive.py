"""A model's archive, unpacked as hosting does it: a gzip-compressed tar of files and directories, or a failure."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

from localaws.sagemaker.containers.archives import (
    BrokenArchiveError,
    UnsafeArchiveError,
    members,
    opened,
    unpack,
    why_no_gzip,
)
from localaws.sagemaker.containers.instance_sizes import GIB
from localaws.sagemaker.hosting.model_data import ModelDataError

# An instance's volume, where the endpoint's configuration names none.
ROOM = 30 * GIB


def unpack_model(archive: Path, directory: Path, uri: str) -> None:
    """Extract a model.tar.gz. ModelDataError, in AWS's words and with the cause, for one that AWS doesn't extract."""
    refusal = _refusal(archive, directory, why_members)
    if refusal is not None:
        raise ModelDataError(
            f'Failed to extract model data archive for container "container_1" from URL "{uri}". '
            f"Please ensure that the object located at the URL is a valid tar.gz archive: {refusal}."
        )


def unpack_source(archive: Path, directory: Path, uri: str) -> None:
    """Extract the code that SAGEMAKER_SUBMIT_DIRECTORY names, links included, as the toolkits do. ModelDataError."""
    refusal = _refusal(archive, directory, lambda _archive: None)
    if refusal is not None:
        raise ModelDataError(f"The container can't extract SAGEMAKER_SUBMIT_DIRECTORY {uri}: {refusal}.")


def _refusal(archive: Path, directory: Path, why_content: Callable[[Path], str | None]) -> str | None:
    """Extract an archive; a sentence on one that is refused."""
    directory.mkdir(parents=True, exist_ok=True)
    try:
        refusal = why_no_gzip(archive) or why_content(archive)
        if refusal is None:
            unpack(archive, directory, ROOM)
    except (UnsafeArchiveError, BrokenArchiveError) as error:
        return str(error)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, OSError) as error:
        return f"it ends early or is damaged: {error}"
    return refusal


def why_members(archive: Path) -> str | None:
    """A sentence on the first member that isn't a file or a directory, or on an archive without any; else None."""
    count = 0
    with opened(archive) as tar:
        for count, member in enumerate(members(tar, ROOM), start=1):  # noqa: B007 - how many there are
            if member.issym() or member.islnk():
                kind = "symbolic" if member.issym() else "hard"
                link = f"{member.name!r} is a {kind} link to {member.linkname!r}"
                return f"{link}; put the file itself into the archive"
    return None if count else "it holds nothing"
