"""`aws-chunked` bodies, decoded as they come: with a signature a chunk, with checksums behind them, or with both.

"Signature calculations for the Authorization header: transferring payload in multiple chunks" and "… including trailing
headers" (Amazon S3 API Reference).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from localaws.ministack_adapter.s3_large_bodies import BodyNotWholeError

_LONGEST_LINES = 16 * 1024  # bytes of a chunk's first line, and of all trailers
_HEAD = re.compile(r"([0-9A-Fa-f]{1,16})(?:;chunk-signature=([0-9a-f]+))?")
_END = b"\r\n"
_NOTHING = hashlib.sha256(b"").hexdigest()


class Chunk(NamedTuple):
    """What a chunk is signed with, and what its signature is of."""

    signature: str
    sha256: str


class Chunks:
    """A body's chunks. What they hold goes on at once; their signatures are kept."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._is_signed = headers.get("x-amz-content-sha256", "").startswith("STREAMING-AWS4-")
        self._waiting = bytearray()
        self._size = 0
        self._left = 0
        self._within = self._ended = False
        self._signature, self._hash = "", hashlib.sha256()
        self.signed: list[Chunk] = []

    def decoded(self, data: bytes) -> Iterator[bytes]:
        """What some more of the body holds. BodyNotWholeError."""
        self._waiting += data
        while not self._ended:
            held = bytes(self._waiting[: self._left])
            if held:
                del self._waiting[: len(held)]
                self._left -= len(held)
                if self._is_signed:
                    self._hash.update(held)
                yield held
            if self._left or not self._next():
                break
        if not self._left and len(self._waiting) > _LONGEST_LINES:
            raise BodyNotWholeError("The aws-chunked frame header or trailer section is too long")

    def finish(self, headers: dict[str, str]) -> None:
        """Put into a request's headers what its chunks end with. BodyNotWholeError where the body isn't whole."""
        if not self._ended:
            raise BodyNotWholeError("Missing aws-chunked terminating frame")
        trailers = _trailers(bytes(self._waiting))
        announced = {name.strip().lower() for name in headers.get("x-amz-trailer", "").split(",") if name.strip()}
        if not announced <= trailers.keys():
            raise BodyNotWholeError("Missing announced aws-chunked trailer")
        if headers.get("x-amz-decoded-content-length", str(self._size)).strip() != str(self._size):
            raise BodyNotWholeError("Decoded aws-chunked length mismatch")
        for name, text in trailers.items():
            headers.setdefault(name, text)
        encodings = [each.strip() for each in headers.pop("content-encoding", "").split(",")]
        if own := [each for each in encodings if each not in ("", "aws-chunked")]:
            headers["content-encoding"] = ", ".join(own)

    def are_signed(self, seed: str, signature: Any, key: bytes) -> bool:
        """Whether each chunk is signed, after the one before it; the first after the request's own signature."""
        scope = f"{signature.date_stamp}/{signature.region}/{signature.service}/aws4_request"
        previous = seed
        for chunk in self.signed:
            lines = ["AWS4-HMAC-SHA256-PAYLOAD", signature.amz_date, scope, previous, _NOTHING, chunk.sha256]
            previous = hmac.new(key, "\n".join(lines).encode(), hashlib.sha256).hexdigest()
            if not hmac.compare_digest(previous, chunk.signature):
                return False
        return True

    def _next(self) -> bool:
        """Go on to the next chunk; False where more has to come first."""
        if self._within:
            if len(self._waiting) < len(_END):
                return False
            if not self._waiting.startswith(_END):
                raise BodyNotWholeError("Truncated aws-chunked frame data")
            del self._waiting[: len(_END)]
            self._within = False
            self.signed.append(Chunk(self._signature, self._hash.hexdigest()))
        end = self._waiting.find(_END)
        if end < 0:
            return False
        head = _HEAD.fullmatch(self._waiting[:end].decode("latin-1").strip())
        if head is None:
            raise BodyNotWholeError("Invalid aws-chunked frame header")
        del self._waiting[: end + len(_END)]
        self._left, self._signature, self._hash = int(head[1], 16), head[2] or "", hashlib.sha256()
        self._size += self._left
        self._within = self._left > 0
        self._ended = not self._within
        if self._ended:
            self.signed.append(Chunk(self._signature, _NOTHING))
        return True


def _trailers(text: bytes) -> dict[str, str]:
    """The headers behind the last chunk. BodyNotWholeError."""
    if text == _END:
        return {}
    if not text.endswith(2 * _END):
        raise BodyNotWholeError("Incomplete aws-chunked trailer section")
    found: dict[str, str] = {}
    for line in text[: -2 * len(_END)].split(_END):
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if not colon or not name.strip():
            raise BodyNotWholeError("Invalid aws-chunked trailer")
        found.setdefault(name.strip().lower(), value.strip())
    return found
