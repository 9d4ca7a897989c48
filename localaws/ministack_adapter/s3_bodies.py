"""Bodies of S3's objects and parts: files that are written once, under names of their own, and never changed.

A body is on disk before anything names it. What names it is a record of the journal (`s3_state`), whose commit is the
one step in which an object comes, is replaced or goes; what no record names is swept at the next start. An object made
of parts names the parts' bodies, in order: nothing is copied when an upload is completed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import uuid
import zlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence, Set
from pathlib import Path

from localaws.ministack_adapter.s3_contents import Content, Span
from localaws.ministack_adapter.s3_digests import CRC32, Digests
from localaws.ministack_adapter.s3_large_bodies import CHUNK

logger = logging.getLogger(__name__)

# The name of no bytes, which need no file.
EMPTY = ""
_BETWEEN = ","
_UNFINISHED = ".part"


class DamagedBodyError(OSError):
    """A body isn't on disk as it was written."""


class Bodies:
    """The bodies of one state folder, by names that carry their checksums."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unsynced: deque[str] = deque()
        self._lock = threading.RLock()
        self._held: Counter[str] = Counter()
        self._doomed: set[str] = set()
        # Written by a request, and kept for nobody yet.
        self._loose: set[str] = set()
        # The files that were written or read through as they are now: when they were changed last.
        self._checked: dict[str, int] = {}
        self._checking = threading.Lock()

    def write(self, body: bytes) -> str:
        """Keep a body; its name. Raises OSError, and leaves nothing, where the disk doesn't take it."""
        if not body:
            return EMPTY
        name = _name(uuid.uuid4().hex, len(body), zlib.crc32(body))
        path = self.path(name)
        try:
            descriptor = created(path)
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                write_all(file.fileno(), body)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        self._unsynced.append(name)
        return name

    def keep(self, body: bytes | Content) -> str:
        """Keep what a request brought or copies; its name. Raises OSError."""
        if not isinstance(body, Content):
            return self.write(body)
        if any((span.start, span.size) != (0, size_of(span.name)) for span in body.spans):
            with Sink(self, []) as sink:
                sink.write(body.chunks())
                body = sink.finish()
        names = [span.name for span in body.spans]
        with self._lock:
            self._loose.difference_update(names)
        return joined(names)

    def content(self, name: str) -> Content:
        return Content(self, [Span(each, 0, size_of(each)) for each in names_in(name)])

    def read(self, name: str) -> bytes:
        """A body. Raises DamagedBodyError where it isn't there as it was written."""
        return b"".join(map(self._read, names_in(name)))

    def chunks(self, span: Span) -> Iterator[bytes]:
        """A stretch of a body. Raises OSError."""
        with self.path(span.name).open("rb", buffering=0) as file:
            file.seek(span.start)
            left = span.size
            while left and (chunk := file.read(min(left, CHUNK))):
                left -= len(chunk)
                yield chunk
        if left:
            raise DamagedBodyError(f"{self.path(span.name)}, an object's content, lacks {left} bytes")

    def check(self, name: str) -> None:
        """Raises DamagedBodyError where a body isn't there as it was written; read through when it has changed."""
        if self._is_checked(name):
            return
        with self._checking:  # the others that ask for it wait, instead of reading it too
            if not self._is_checked(name):
                changed = self._changed(name)
                size, checksum = 0, 0
                for chunk in self._whole(name):
                    size, checksum = size + len(chunk), zlib.crc32(chunk, checksum)
                self._check(name, size, checksum)
                self._checked[name] = changed

    def _is_checked(self, name: str) -> bool:
        return self._checked.get(name) == self._changed(name)

    def _changed(self, name: str) -> int:
        try:
            return self.path(name).stat().st_mtime_ns
        except OSError as error:
            raise self._unreadable(name, error) from None

    def finished(self, unfinished: Path, name: str) -> None:
        """Give a body that is written its name. Raises OSError."""
        path = self.path(name)
        unfinished.rename(path)
        with self._lock:
            self._loose.add(name)
            self._checked[name] = path.stat().st_mtime_ns
        self._unsynced.append(name)

    def drop(self, content: Content) -> None:
        """Let go of what was written and then kept for nobody."""
        with self._lock:
            unused = [span.name for span in content.spans if span.name in self._loose]
            self._loose.difference_update(unused)
        self.remove(unused)

    def hold(self, names: Sequence[str]) -> None:
        """Keep bodies on disk that are being read, whatever becomes of their objects."""
        with self._lock:
            self._held.update(names)

    def release(self, names: Sequence[str]) -> None:
        with self._lock:
            self._held.subtract(names)
            free = [name for name in names if self._held[name] <= 0]
            for name in free:
                del self._held[name]
            doomed = self._doomed.intersection(free)
            self._doomed -= doomed
        self.remove(doomed)

    def remove(self, names: Iterable[str]) -> None:
        with self._lock:
            names = {name for name in names if name != EMPTY}
            held = {name for name in names if name in self._held}
            self._doomed |= held
            for name in names - held:
                self._checked.pop(name, None)
        for name in names - held:
            with contextlib.suppress(OSError):  # the next start sweeps it
                self.path(name).unlink()

    def sync(self) -> None:
        """Bring what was written onto the disk itself: before the records that name it."""
        folders = set()
        while self._unsynced:
            path = self.path(self._unsynced.popleft())
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

    def path(self, name: str) -> Path:
        return self._folder / name[:2] / name

    def _read(self, name: str) -> bytes:
        body = b"".join(self._whole(name)) if name else b""
        if name:
            self._check(name, len(body), zlib.crc32(body))
        return body

    def _whole(self, name: str) -> Iterator[bytes]:
        """All that a body's file holds now."""
        try:
            with self.path(name).open("rb", buffering=0) as file:
                while chunk := file.read(CHUNK):
                    yield chunk
        except OSError as error:
            raise self._unreadable(name, error) from None

    def _unreadable(self, name: str, error: OSError) -> DamagedBodyError:
        return DamagedBodyError(f"{self.path(name)}, an object's content, can't be read: {error.strerror}")

    def _check(self, name: str, size: int, checksum: int) -> None:
        if (size, f"{checksum:08x}") != (size_of(name), name.rpartition("-")[2]):
            raise DamagedBodyError(
                f"{self.path(name)}, an object's content, isn't what was written: {size} bytes where "
                f"{size_of(name)} were. Put the file back from a copy, or write the object again"
            )


class Sink:
    """A body on its way onto the disk; it has no name before it is whole, and leaves nothing where it isn't."""

    def __init__(self, bodies: Bodies, algorithms: Iterable[str]) -> None:
        self._bodies = bodies
        self._identity = uuid.uuid4().hex
        self._path = bodies.path(f"{self._identity}{_UNFINISHED}")
        self._descriptor = created(self._path)
        self._size = 0
        self._digests = Digests({CRC32, *algorithms})

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._descriptor)
        self._path.unlink(missing_ok=True)

    def write(self, pieces: Iterable[bytes]) -> None:
        """Raises OSError."""
        for piece in pieces:
            write_all(self._descriptor, piece)
            self._digests.update(piece)
            self._size += len(piece)

    def finish(self) -> Content:
        """What was written, kept for nobody yet. Raises OSError."""
        digests = self._digests.values()
        if not self._size:
            return Content(self._bodies, [], digests)
        name = _name(self._identity, self._size, int.from_bytes(digests[CRC32], "big"))
        self._bodies.finished(self._path, name)
        return Content(self._bodies, [Span(name, 0, self._size)], digests)


def names_in(name: str) -> list[str]:
    """The bodies that an object's name of its content means, in order. Pure."""
    return [each for each in name.split(_BETWEEN) if each != EMPTY]


def joined(names: Iterable[str]) -> str:
    """The name of what these bodies hold, one after the other. Pure."""
    return _BETWEEN.join(each for each in names if each != EMPTY)


def size_of(name: str) -> int:
    """The bytes of a body, by its name. Pure."""
    return int(name.split("-")[1], 16)


def write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _name(identity: str, size: int, checksum: int) -> str:
    return f"{identity}-{size:x}-{checksum:08x}"


def created(path: Path) -> int:
    """A new file to write to. Raises OSError."""
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
