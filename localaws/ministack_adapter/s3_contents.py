"""Objects too large for memory, in MiniStack's hands: it passes them on, and asks for lengths, ranges and digests.

A `Content` is no `bytes`: what would need them in memory fails, instead of going on with something else.
"""

from __future__ import annotations

import base64
import hashlib
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from localaws.ministack_adapter.s3_digests import MD5, Digests


@dataclass(frozen=True)
class Span:
    """A stretch of one body."""

    name: str
    start: int
    size: int


class Files(Protocol):
    """The bodies' files."""

    def hold(self, names: Sequence[str]) -> None: ...

    def release(self, names: Sequence[str]) -> None: ...

    def chunks(self, span: Span) -> Iterator[bytes]: ...

    def check(self, name: str) -> None: ...


class Content:
    """What some stretches of bodies hold, one after the other. Its bodies stay while it is looked at."""

    def __init__(self, bodies: Files, spans: Iterable[Span], digests: Mapping[str, bytes] | None = None) -> None:
        self.spans = tuple(spans)
        self._bodies = bodies
        self._size = sum(span.size for span in self.spans)
        self._digests = dict(digests or {})
        names = tuple({span.name for span in self.spans})
        bodies.hold(names)
        weakref.finalize(self, bodies.release, names).atexit = False

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> Content:
        start, end, _ = part.indices(self._size)
        return Content(self._bodies, _cut(self.spans, start, max(start, end)))

    def chunks(self) -> Iterator[bytes]:
        """The bytes, at most CHUNK at a time. Raises OSError."""
        for span in self.spans:
            yield from self._bodies.chunks(span)

    def check(self) -> None:
        """Raises DamagedBodyError where one of the bodies isn't as it was written."""
        for span in self.spans:
            self._bodies.check(span.name)

    def digest(self, algorithm: str) -> bytes:
        """A digest by S3's name of it. Raises OSError."""
        if algorithm not in self._digests:
            digests = Digests([algorithm])
            for chunk in self.chunks():
                digests.update(chunk)
            self._digests.update(digests.values())
        return self._digests[algorithm]

    def checksum(self, algorithm: str) -> str:
        """A digest as S3's headers have it."""
        return base64.b64encode(self.digest(algorithm)).decode()


class PartMark(bytes):
    """Stands for a part's bytes while MiniStack joins them: the name of its body, and as long as the part."""

    size: int
    md5: bytes

    @classmethod
    def of(cls, body_name: str, size: int, etag: str) -> PartMark:
        mark = cls(f"{body_name}{_END}".encode())
        mark.size, mark.md5 = size, bytes.fromhex(etag.strip('"'))
        return mark

    def __len__(self) -> int:
        return self.size


_END = "\n"


def joined_names(marks: bytes) -> list[str]:
    """The names of the bodies whose marks were joined. Pure."""
    return marks.decode().split(_END)[:-1]


class _Digest(Protocol):
    def digest(self) -> bytes: ...

    def hexdigest(self) -> str: ...


class KnownDigests:
    """`hashlib`, as far as MiniStack's S3 uses it, for contents as well as for bytes."""

    def __getattr__(self, name: str) -> Any:
        return getattr(hashlib, name)

    def md5(self, data: bytes | Content = b"") -> _Digest:
        if isinstance(data, Content):
            return _Known(data.digest(MD5))
        if isinstance(data, PartMark):
            return _Known(data.md5)
        return hashlib.md5(data, usedforsecurity=False)


class _Known:
    def __init__(self, value: bytes) -> None:
        self._value = value

    def digest(self) -> bytes:
        return self._value

    def hexdigest(self) -> str:
        return self._value.hex()


def _cut(spans: Iterable[Span], start: int, end: int) -> Iterator[Span]:
    """What lies from `start` to `end`. Pure."""
    offset = 0
    for span in spans:
        first, last = max(start, offset), min(end, offset + span.size)
        if first < last:
            yield Span(span.name, span.start + first - offset, last - first)
        offset += span.size
