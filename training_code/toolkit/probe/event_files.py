"""TensorBoard event files: scalars, histograms and images, without its packages, which the framework images lack.

A file is a row of records: length (uint64), its checksum, the bytes, their checksum (uint32 each, little-endian); a
checksum is CRC-32C, rotated by 15 bits, plus a constant (TensorFlow, tensorflow/core/lib/io/record_writer.h). A record
is a protocol buffer of type Event (tensorboard/compat/proto: event.proto, summary.proto, histogram.proto); the numbers
of the fields that are written here stand beside them.
"""

from __future__ import annotations

import functools
import os
import socket
import struct
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_POLYNOMIAL = 0x82F63B78  # of CRC-32C, reversed
_MASK = 0xA282EAD8
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# An overview needs no more; TensorBoard shows the strip as one image.
IMAGES_SHOWN = 8


class EventFile:
    """One run's file in TensorBoard's sense, created with the first event; `flush` writes.

    Args:
        folder: of the run. Raises OSError when it can't be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: Any = None
        self._unwritten: list[bytes] = []

    def add(self, step: int, at: float, values: Sequence[bytes]) -> None:
        """Takes an event with values made by `scalar`, `histogram` and `image`; at: seconds since 1970."""
        event = _double(1, at) + _integer(2, step) + _message(5, b"".join(_message(1, value) for value in values))
        self._unwritten.append(_record(event))

    def flush(self) -> None:
        """Appends to the file what was added."""
        records, self._unwritten = b"".join(self._unwritten), []
        if not records:
            return
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            # TensorBoard recognizes event files by "tfevents" in their names.
            name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}"
            self._file = (self._folder / name).open("ab", buffering=0)
            records = _record(_double(1, time.time()) + _message(3, b"brain.Event:2")) + records
        self._file.write(records)

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()


def scalar(tag: str, value: float) -> bytes:
    """A point of a curve."""
    return _scalar_of(tag) + struct.pack("<f", _as_float32(value))


@functools.lru_cache(maxsize=1024)
def _scalar_of(tag: str) -> bytes:
    """What comes before the number, the same at every step."""
    return _message(1, tag.encode()) + _key(2, _FIXED32)


def histogram(tag: str, edges: Sequence[float], counts: Sequence[float]) -> bytes:
    """A histogram of n bins between n + 1 edges."""
    middles = [(low + high) / 2 for low, high in zip(edges, edges[1:])]
    total = sum(count * middle for count, middle in zip(counts, middles))
    squares = sum(count * middle * middle for count, middle in zip(counts, middles))
    numbers = (edges[0], edges[-1], sum(counts), total, squares)
    body = b"".join(_double(field, number) for field, number in enumerate(numbers, start=1))
    body += _message(6, struct.pack(f"<{len(counts)}d", *edges[1:]))
    body += _message(7, struct.pack(f"<{len(counts)}d", *counts))
    return _message(1, tag.encode()) + _message(5, body)


def image(tag: str, pixels: np.ndarray[Any, Any]) -> bytes:
    """A picture: uint8 [height, width, 1 or 3]."""
    height, width, channels = pixels.shape
    body = _integer(1, height) + _integer(2, width) + _integer(3, channels) + _message(4, png(pixels))
    return _message(1, tag.encode()) + _message(4, body)


def strip(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
    """Up to 8 images side by side, their values spread over 0 to 255; None when they aren't images.

    Args:
        images: [n, height, width], [n, height, width, 1 or 3] or [n, 1 or 3, height, width], or one of those alone.
    """
    import numpy as np

    array = np.asarray(images)
    array = array[None] if array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in {1, 3}) else array
    array = array[..., None] if array.ndim == 3 else array
    if array.ndim != 4 or 0 in array.shape:
        return None
    if array.shape[-1] not in {1, 3}:
        array = np.moveaxis(array, 1, -1)
    if array.shape[-1] not in {1, 3} or array.shape[1] * array.shape[2] < 4:
        return None
    shown = np.nan_to_num(array[:IMAGES_SHOWN].astype(np.float64))
    low, high = shown.min(), shown.max()
    if array.dtype != np.uint8:
        shown = (shown - low) * (255 / (high - low) if high > low else 1)
    return np.concatenate(list(shown.astype(np.uint8)), axis=1)


def png(pixels: np.ndarray[Any, Any]) -> bytes:
    """A PNG file of uint8 [height, width, 1 or 3] (W3C, Portable Network Graphics, 8 bits, no filter)."""
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big") for kind, body in parts
    )


def _record(data: bytes) -> bytes:
    length = len(data).to_bytes(8, "little")
    return length + _checksum(length) + data + _checksum(data)


def _checksum(data: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((((crc >> 15) | (crc << 17)) + _MASK) & 0xFFFFFFFF).to_bytes(4, "little")


def _entry(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
    return value


_TABLE = [_entry(value) for value in range(256)]


def _key(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _integer(field: int, value: int) -> bytes:
    return _key(field, _VARINT) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _key(field, _FIXED64) + struct.pack("<d", value)


def _message(field: int, body: bytes) -> bytes:
    return _key(field, _BYTES) + _varint(len(body)) + body


def _as_float32(value: float) -> float:
    """The nearest number of single precision; infinite beyond its range."""
    try:
        struct.pack("<f", value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    return value
