"""RecordIO, in which a stream's records are wrapped (dmlc/recordio.h: magic number, flag and length, data, padding)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

MAGIC = struct.pack("<I", 0xCED7230A)
_LENGTH_BITS = 29
MOST = (1 << _LENGTH_BITS) - 1  # bytes of a record
_WHOLE, _BEGINNING, _MIDDLE, _END = range(4)


def wrapped(data: bytes) -> bytes:
    """A record. Where it holds the magic number itself, at a multiple of four bytes, it is cut, and that left out.

    Raises ValueError for more than `MOST` bytes.
    """
    if len(data) > MOST:
        raise ValueError(f"it has {len(data)} bytes, and a RecordIO record has {MOST} at most")
    parts = list(_parts(data))
    if len(parts) == 1:
        return _part(_WHOLE, data)
    middle = b"".join(_part(_MIDDLE, part) for part in parts[1:-1])
    return _part(_BEGINNING, parts[0]) + middle + _part(_END, parts[-1])


def _part(flag: int, data: bytes) -> bytes:
    return MAGIC + struct.pack("<I", flag << _LENGTH_BITS | len(data)) + data + bytes(-len(data) % 4)


def _parts(data: bytes) -> Iterator[bytes]:
    """What lies between the magic numbers."""
    start, look = 0, 0
    while (found := data.find(MAGIC, look)) >= 0:
        look = found + 1
        if found % 4 == 0:
            yield data[start:found]
            start = look = found + 4
    yield data[start:]
