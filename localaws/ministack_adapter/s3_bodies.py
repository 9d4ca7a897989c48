"""Bodies of S3's objects and parts: files that are written once, under names of their own, and never changed.

A body is on disk before anything names it. What names it is a record of the journal (`s3_state`), whose commit is the
one step in which an object comes, is replaced or goes; what no record names is swept at the next start.
"""

from __future__ import annotations

import contextlib
import logging
import os
import uuid
import zlib
from collections import deque
from collections.abc import Iterable, Set
from pathlib import Path

logger = logging.getLogger(__name__)

# The name of no bytes, which need no file.
EMPTY = ""


class DamagedBodyError(OSError):
    """A body isn't on disk as it was written."""


class Bodies:
    """The bodies of one state folder, by names that carry their checksums."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unsynced: deque[str] = deque()

    def write(self, body: bytes) -> str:
        """Keep a body; its name. Raises OSError, and leaves nothing, where the disk doesn't take it."""
        if not body:
            return EMPTY
        name = f"{uuid.uuid4().hex}-{len(body):x}-{zlib.crc32(body):08x}"
        path = self._path(name)
        try:
            descriptor = _created(path)
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                view = memoryview(body)
                while view:
                    view = view[file.write(view) :]
        except OSError:
            path.unlink(missing_ok=True)
            raise
        self._unsynced.append(name)
        return name

    def read(self, name: str) -> bytes:
        """A body. Raises DamagedBodyError where it isn't there as it was written."""
        if name == EMPTY:
            return b""
        try:
            body = self._path(name).read_bytes()
        except OSError as error:
            raise DamagedBodyError(
                f"{self._path(name)}, an object's content, can't be read: {error.strerror}"
            ) from None
        _, size, checksum = name.split("-")
        if len(body) != int(size, 16) or zlib.crc32(body) != int(checksum, 16):
            raise DamagedBodyError(
                f"{self._path(name)}, an object's content, isn't what was written: {len(body)} bytes where "
                f"{int(size, 16)} were. Put the file back from a copy, or write the object again"
            )
        return body

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            if name != EMPTY:
                with contextlib.suppress(OSError):  # the next start sweeps it
                    self._path(name).unlink()

    def sync(self) -> None:
        """Bring what was written onto the disk itself: before the records that name it."""
        folders = set()
        while self._unsynced:
            path = self._path(self._unsynced.popleft())
            with contextlib.suppress(FileNotFoundError):  # replaced or deleted meanwhile
                _sync(path)
                folders.add(path.parent)
        for folder in folders:
            _sync(folder)

    def sweep(self, named: Set[str]) -> None:
        """Delete what no record names, and say of what is missing."""
        present = {path.name for path in self._folder.glob("??/*")}
        self.remove(present - named)
        missing = named - present - {EMPTY}
        if missing:
            logger.error(
                "%s: the content of %d objects, versions or parts is missing; reading one is an InternalError",
                self._folder,
                len(missing),
            )

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name


def _created(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(path, flags, 0o600)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
