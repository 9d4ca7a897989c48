"""The digests that S3 takes of an object, part by part as it comes."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from typing import Protocol

MD5, CRC32, SHA256 = "MD5", "CRC32", "SHA256"
# The header of a body's hash, which a request's signature covers; or it says why there is none.
SIGNED_HASH = "x-amz-content-sha256"
_HASHES = {MD5: "md5", "SHA1": "sha1", SHA256: "sha256"}


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


class _TableCrc:
    """A reflected CRC of all ones, by its table of bytes."""

    def __init__(self, table: Sequence[int], size: int) -> None:
        self._table, self._size, self._ones = table, size, (1 << 8 * size) - 1
        self._value = self._ones

    def update(self, data: bytes, /) -> None:
        value, table = self._value, self._table
        for byte in data:
            value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
        self._value = value

    def digest(self) -> bytes:
        return (self._value ^ self._ones).to_bytes(self._size, "big")


class Digests:
    """An object's digests, by S3's names of the algorithms."""

    def __init__(self, algorithms: Iterable[str]) -> None:
        self._hashes = {each: _hash(each) for each in algorithms}

    def update(self, data: bytes) -> None:
        for each in self._hashes.values():
            each.update(data)

    def values(self) -> dict[str, bytes]:
        return {name: each.digest() for name, each in self._hashes.items()}


def is_known(algorithm: str) -> bool:
    """Whether there is such a digest. Pure."""
    return algorithm in {*_HASHES, CRC32, "CRC32C", "CRC64NVME"}


def is_sha256(text: str) -> bool:
    """Whether a text is a hash, and not a word in its place. Pure."""
    return len(text) == 64 and text.isalnum()


def _hash(algorithm: str) -> _Hash:
    if algorithm in _HASHES:
        return hashlib.new(_HASHES[algorithm], usedforsecurity=False)
    if algorithm == CRC32:
        return _Crc32()
    from ministack.services import s3

    return _TableCrc(*{"CRC32C": (s3._CRC32C_TABLE, 4), "CRC64NVME": (s3._CRC64NVME_TABLE, 8)}[algorithm])
