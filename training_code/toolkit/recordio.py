"""RecordIO, in which SageMaker wraps what it streams, so that a reader finds where a record ends.

A record is the magic number, a word, and the data, which zeros fill up to a multiple of four bytes. The word's upper
three bits say whether it is whole (0) or the beginning (1), the middle (2) or the end (3) of one that holds the magic
number itself, at which it was cut; the other 29 bits are its length (dmlc/recordio.h, "recordio format").
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from toolkit.errors import ToolkitError

MAGIC = struct.pack("<I", 0xCED7230A)
_LENGTH_BITS = 29
_WHOLE, _BEGINNING, _MIDDLE, _END = range(4)
_HEADER = 8


class RecordIOError(ToolkitError):
    """A stream isn't RecordIO, or ends within a record."""


def read(stream: BinaryIO) -> Iterator[bytes]:
    """The records of a stream, to its end.

    Raises:
        RecordIOError: it isn't RecordIO, or ends within a record.
    """
    while True:
        part = _part(stream)
        if part is None:
            return
        flag, data = part
        if flag == _WHOLE:
            yield data
        elif flag == _BEGINNING:
            yield MAGIC.join(_parts(stream, data))
        else:
            raise RecordIOError(f"is a record's part number {flag}, without its beginning")


def _parts(stream: BinaryIO, first: bytes) -> list[bytes]:
    """The parts of a record that was cut where it holds the magic number."""
    parts = [first]
    while True:
        part = _part(stream)
        if part is None:
            raise RecordIOError("is truncated: the stream ends after a part of it")
        flag, data = part
        if flag not in (_MIDDLE, _END):
            raise RecordIOError("has a beginning, and then another record's")
        parts.append(data)
        if flag == _END:
            return parts


def _part(stream: BinaryIO) -> tuple[int, bytes] | None:
    """The flag and the data of what comes next; None at the stream's end."""
    header = stream.read(_HEADER)
    if not header:
        return None
    if len(header) < _HEADER:
        raise RecordIOError(f"is truncated: of its header's {_HEADER} bytes there are {len(header)}")
    if header[:4] != MAGIC:
        raise RecordIOError(f"begins with {header[:4].hex()}, not with RecordIO's magic number {MAGIC.hex()}")
    (word,) = struct.unpack("<I", header[4:])
    flag, length = word >> _LENGTH_BITS, word & ((1 << _LENGTH_BITS) - 1)
    if flag > _END:
        raise RecordIOError(f"has the flag {flag}, but a record's is 0 to {_END}")
    data = stream.read(length + -length % 4)
    if len(data) < length + -length % 4:
        raise RecordIOError(f"is truncated: of its {length} bytes there are {min(len(data), length)}")
    return flag, data[:length]
