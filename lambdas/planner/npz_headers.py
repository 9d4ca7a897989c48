"""The arrays' shapes of an npz file, and its labels where they are few: by ranged reads, without NumPy.

Sources: NumPy's reference, numpy.lib.format (".npy format"), and the array interface's typestr.
"""

from __future__ import annotations

import ast
import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from contract import held_out_arrays, held_out_bytes
from contract.held_out import HeldOutError, Reading
from contract.held_out_labels import Label

# A request gets so much: a file that is no longer is read at once.
_AT_ONCE = 1 << 16
MAXIMUM_LABEL_BYTES = 1 << 20
# Of an archive with more members only a person can say what it is.
MAXIMUM_ARRAYS = 32
_MAGIC = b"\x93NUMPY"
_ENDING = ".npy"
_TYPE = re.compile(r"([<>|=])([biufUS])(\d+)")
_CODES = {"b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q"}
_CODES |= {"f2": "e", "f4": "f", "f8": "d"}
_OBJECTS = "write it with numpy.savez(file, X=…, y=…), without Python objects"
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)

# (from which byte, how many) -> these bytes of the file
Part = Callable[[int, int], bytes]


@dataclass(frozen=True)
class Header:
    """An array's type, as NumPy writes it ("<f8"), and its shape."""

    type: str
    shape: tuple[int, ...]


def labels(name: str, size: int, part: Part, how: Reading) -> tuple[list[Label], bool]:
    """A file's labels, and whether they were read.

    Raises:
        HeldOutError: it is no npz, or its arrays aren't features and labels.
    """
    if not size:
        raise HeldOutError(f"{name} is empty; {_OBJECTS}")
    try:
        with zipfile.ZipFile(_opened(size, part)) as archive:
            return _labels(name, archive, how)
    except _DAMAGE as error:
        raise HeldOutError(f"{name} {_no_archive(part(0, min(size, held_out_bytes.ENOUGH)), error)}") from error


def _opened(size: int, part: Part) -> IO[bytes]:
    if size <= _AT_ONCE:
        return io.BytesIO(part(0, size))
    return io.BufferedReader(_Parts(size, part), _AT_ONCE)


def _no_archive(head: bytes, error: Exception) -> str:
    if head.startswith(b"PK"):
        return f"is damaged or cut off: {error}; upload it again"
    seeming = held_out_bytes.seeming(head)
    return f"is no npz but {seeming.what}; {seeming.remedy}" if seeming else f"is no npz; {_OBJECTS}"


def _labels(name: str, archive: zipfile.ZipFile, how: Reading) -> tuple[list[Label], bool]:
    members = archive.namelist()
    if len(members) > MAXIMUM_ARRAYS:
        return [], False
    headers = {member.removesuffix(_ENDING): _header(name, archive, member) for member in members}
    shapes = {key: header.shape for key, header in headers.items()}
    feature, key = held_out_arrays.which(name, shapes, how)
    held_out_arrays.check_shapes(name, (feature, key), shapes, how)
    if len(shapes[key]) > 1 and shapes[key][1:] != (1,):
        return [], False  # a label is a list
    with archive.open(key + _ENDING) as member:
        _read_header(name, member)
        values = _values(member, headers[key]) if math.prod(shapes[key][1:]) == 1 else None
    return [Label(f"{name}:{index}", value) for index, value in enumerate(values or [])], values is not None


def _header(name: str, archive: zipfile.ZipFile, member: str) -> Header:
    with archive.open(member) as content:
        return _read_header(f"{name} ({member})", content)


def _read_header(name: str, content: IO[bytes]) -> Header:
    """The header, after which the values begin."""
    start = content.read(len(_MAGIC) + 2)
    if not start.startswith(_MAGIC) or len(start) < len(_MAGIC) + 2:
        raise HeldOutError(f"{name} holds no array; {_OBJECTS}")
    length = 2 if start[len(_MAGIC)] == 1 else 4
    text = content.read(min(int.from_bytes(content.read(length), "little"), _AT_ONCE)).decode("latin-1")
    try:
        told = ast.literal_eval(text)
        type_, shape = told["descr"], tuple(map(int, told["shape"]))
    except (ValueError, SyntaxError, KeyError, TypeError, RecursionError, MemoryError) as error:
        raise HeldOutError(f"{name} holds no array that can be read; {_OBJECTS}") from error
    if "|O" in str(type_):
        raise HeldOutError(f"{name} holds Python objects; {_OBJECTS}")
    return Header(str(type_), shape)


def _values(content: IO[bytes], header: Header) -> list[str] | None:
    """The labels as texts, as the evaluation has them; None where they are many, or of another type."""
    found = _TYPE.fullmatch(header.type)
    count = math.prod(header.shape)
    if not found:
        return None
    order, kind, width = found[1], found[2], int(found[3]) * (4 if found[2] == "U" else 1)
    if count * width > MAXIMUM_LABEL_BYTES:
        return None
    data = content.read(count * width)
    if len(data) < count * width:
        raise EOFError("an array has no end")
    if kind in "US":
        encoding = "latin-1" if kind == "S" else "utf-32-be" if order == ">" else "utf-32-le"
        rows = [data[at : at + width] for at in range(0, len(data), width)] if width else [b""] * count
        return [row.decode(encoding, "replace").rstrip("\0") for row in rows]
    code = _CODES.get(f"{kind}{found[3]}")
    if code is None:
        return None
    values = struct.unpack(f"{'>' if order == '>' else '<'}{count}{code}", data)
    return [f"{value:.7g}" if code in "ef" else str(value) for value in values]


class _Parts(io.RawIOBase):
    """A file of which each read is a request."""

    def __init__(self, size: int, part: Part) -> None:
        super().__init__()
        self._size, self._part, self._at = size, part, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if self._at < 0:
            raise OSError("before the beginning")
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        size = max(0, min(len(buffer), self._size - self._at))
        buffer[:size] = self._part(self._at, size) if size else b""
        self._at += size
        return size
