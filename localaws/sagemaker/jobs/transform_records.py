"""Records of a file, split and put together into requests' bodies while the file is read.

"SplitType also supports a number of record-oriented binary data formats ... padding is removed if the value of
BatchStrategy is set to SingleRecord. Padding is not removed if the value is set to MultiRecord." (TransformInput)
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

SINGLE, MULTI = "SingleRecord", "MultiRecord"

# Apache MXNet's RecordIO: a magic number, flags and a length, the payload, zeros up to a multiple of four.
_RECORDIO_HEAD = struct.Struct("<II")
_RECORDIO_MAGIC = 0xCED7230A
_RECORDIO_LENGTH = (1 << 29) - 1
# TensorFlow's TFRecord: a length and its checksum, the payload and its checksum.
_TFRECORD_HEAD = struct.Struct("<QI")
_TFRECORD_TAIL = 4

# A record as it is in the file, and its payload.
_Framed = tuple[bytes, bytes]


class RecordsError(Exception):
    """A file can't be split, or what the model answered can't be joined with it; the message says why."""


def bodies(stream: BinaryIO, split: str, strategy: str, limit: int) -> Iterator[bytes]:
    """The bodies of a file's requests, in order, of `limit` bytes at most. RecordsError."""
    if split == "None":
        yield from _whole(stream, limit)
    elif split == "Line":
        yield from (_lines if strategy == SINGLE else _many_lines)(stream, limit)
    elif strategy == SINGLE:
        yield from (_within(payload, limit) for _, payload in _FRAMES[split](stream, limit))
    else:
        yield from _packed((record for record, _ in _FRAMES[split](stream, limit)), limit)


def _whole(stream: BinaryIO, limit: int) -> Iterator[bytes]:
    content = stream.read(limit + 1)
    if content:
        yield _within(content, limit)


def _lines(stream: BinaryIO, limit: int) -> Iterator[bytes]:
    while line := stream.readline(limit + 1):
        yield _within(line, limit)


def _many_lines(stream: BinaryIO, limit: int) -> Iterator[bytes]:
    """As many lines as fit, without a look at each of them."""
    held = b""
    while chunk := stream.read(limit - len(held)):
        held += chunk
        if len(held) == limit:
            end = held.rfind(b"\n") + 1
            if end == 0:
                raise _too_large(limit)
            yield held[:end]
            held = held[end:]
    if held:
        yield held


def _packed(records: Iterator[bytes], limit: int) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for record in records:
        if held and size + len(record) > limit:
            yield b"".join(held)
            held, size = [], 0
        held.append(_within(record, limit))
        size += len(record)
    if held:
        yield b"".join(held)


def _recordio(stream: BinaryIO, limit: int) -> Iterator[_Framed]:
    while head := stream.read(_RECORDIO_HEAD.size):
        if len(head) < _RECORDIO_HEAD.size:
            raise RecordsError("The RecordIO file ends in the middle of a record.")
        magic, told = _RECORDIO_HEAD.unpack(head)
        if magic != _RECORDIO_MAGIC:
            raise RecordsError(f"The file isn't RecordIO: a record begins with {magic:#x}, not {_RECORDIO_MAGIC:#x}.")
        if told > _RECORDIO_LENGTH:
            raise RecordsError("A RecordIO record in several parts is not supported here.")
        padded = -(-told // 4) * 4
        content = _exactly(stream, padded, limit)
        yield head + content, content[:told]


def _tfrecord(stream: BinaryIO, limit: int) -> Iterator[_Framed]:
    while head := stream.read(_TFRECORD_HEAD.size):
        if len(head) < _TFRECORD_HEAD.size:
            raise RecordsError("The TFRecord file ends in the middle of a record.")
        told, _checksum = _TFRECORD_HEAD.unpack(head)
        content = _exactly(stream, told + _TFRECORD_TAIL, limit)
        yield head + content, content[:told]


_FRAMES: dict[str, Callable[[BinaryIO, int], Iterator[_Framed]]] = {"RecordIO": _recordio, "TFRecord": _tfrecord}


def _exactly(stream: BinaryIO, size: int, limit: int) -> bytes:
    if size > limit + _TFRECORD_TAIL:
        raise _too_large(limit)
    content = stream.read(size)
    if len(content) < size:
        raise RecordsError("The file ends in the middle of a record.")
    return content


def _within(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _too_large(limit: int) -> RecordsError:
    return RecordsError(
        f"A record, or a file that isn't split, is larger than MaxPayloadInMB={limit // (1024 * 1024)} lets a request "
        "be. Set SplitType, or a larger MaxPayloadInMB (100 at most)."
    )
