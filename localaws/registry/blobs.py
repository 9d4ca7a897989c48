"""What images are made of, on disk: a file a blob, named by its SHA-256, and uploads on their way to be one.

An upload grows in a file of its own and becomes a blob by a rename, when its content is what its digest says. Nothing
is held in memory but what is being written. Thread-safe.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHUNK = 1 << 19
ABANDONED_SECONDS = 24 * 3600.0
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class UploadGoneError(LookupError):
    """There is no such upload, or no longer: another request has ended it."""


class DigestMismatchError(ValueError):
    """An upload isn't what its digest says. `found` is what it is."""

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found


class OutOfOrderError(ValueError):
    """A piece of an upload doesn't begin where the last one ended. `size` is where that was."""

    def __init__(self, size: int) -> None:
        super().__init__(str(size))
        self.size = size


@dataclass
class _Upload:
    repository: str
    size: int = 0
    digest: Any = field(default_factory=hashlib.sha256)
    lock: Any = field(default_factory=threading.Lock)
    grew_at: float = field(default_factory=time.monotonic)


class Blobs:
    """The blobs below a folder."""

    def __init__(self, folder: Path) -> None:
        self._blobs = folder / "sha256"
        self._incoming = folder / "uploads"
        self._uploads: dict[str, _Upload] = {}
        self._unsynced: set[Path] = set()

    def begin(self, repository: str) -> str:
        """Begin an upload to a repository; its id. Those that nobody has gone on with for a day are let go of."""
        for abandoned, upload in list(self._uploads.items()):
            if time.monotonic() - upload.grew_at > ABANDONED_SECONDS:
                self.cancel(abandoned)
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = str(uuid.uuid4())
        (self._incoming / name).touch(mode=0o600)
        self._uploads[name] = _Upload(repository)
        return name

    def size(self, upload: str, repository: str) -> int | None:
        """How much of an upload has come; None where the repository has no such upload."""
        found = self._uploads.get(upload)
        return found.size if found is not None and found.repository == repository else None

    def append(self, upload: str, pieces: Iterable[bytes], first_byte: int | None = None) -> int:
        """Add to an upload, which begins at `first_byte` where that is said; how much has come.

        Raises OutOfOrderError, UploadGoneError or OSError; what was written of these pieces then doesn't count.
        """
        with self._going(upload) as going, (self._incoming / upload).open("r+b") as file:
            if first_byte is not None and first_byte != going.size:
                raise OutOfOrderError(going.size)
            file.seek(going.size)
            digest, size = going.digest.copy(), going.size
            for piece in pieces:
                file.write(piece)
                digest.update(piece)
                size += len(piece)
            file.truncate()
            file.flush()
            going.digest, going.size, going.grew_at = digest, size, time.monotonic()
            return size

    @contextlib.contextmanager
    def _going(self, upload: str) -> Iterator[_Upload]:
        """An upload, which nobody else adds to or ends meanwhile. Raises UploadGoneError."""
        going = self._uploads.get(upload)
        if going is None:
            raise UploadGoneError(upload)
        with going.lock:
            if self._uploads.get(upload) is not going:
                raise UploadGoneError(upload)
            yield going

    def finish(self, upload: str, digest: str) -> int:
        """Make an upload the blob of this digest; its size.

        Raises UploadGoneError, or DigestMismatchError, and the upload is gone.
        """
        with self._going(upload) as going:
            del self._uploads[upload]
            found = f"sha256:{going.digest.hexdigest()}"
            if found != digest:
                (self._incoming / upload).unlink()
                raise DigestMismatchError(found)
            target = self.path(digest)
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._unsynced.add(target)
            (self._incoming / upload).replace(target)
            return going.size

    def cancel(self, upload: str) -> None:
        """Let go of an upload."""
        with contextlib.suppress(UploadGoneError), self._going(upload):
            del self._uploads[upload]
            (self._incoming / upload).unlink(missing_ok=True)

    def path(self, digest: str) -> Path:
        """Where the blob of a digest is, or would be."""
        name = digest.removeprefix("sha256:")
        return self._blobs / name[:2] / name

    def delete(self, digest: str) -> None:
        """Delete a blob; who has it open reads on."""
        self.path(digest).unlink(missing_ok=True)

    def sync(self) -> None:
        """Bring what was written onto the disk itself."""
        while self._unsynced:
            path = self._unsynced.pop()
            for place in (path, path.parent):
                with contextlib.suppress(FileNotFoundError):
                    _sync(place)

    def sweep(self, named: set[str]) -> None:
        """Delete what no record names: at the start, when nothing is on its way."""
        for path in [*self._incoming.glob("*"), *self._blobs.glob("*/*")]:
            if f"sha256:{path.name}" not in named:
                path.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
