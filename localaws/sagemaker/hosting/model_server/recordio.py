"""SageMaker's RecordIO-protobuf (developer guide, "Common Data Formats for Training"), without protobuf.

A body is records: magic number, length, a protobuf message `Record`, filled up to four bytes. A message is fields
(protobuf.dev, "Encoding"): `Record` has maps `features` (1) and `label` (2) from a name to a `Value`, which is a tensor
of float32 (2), float64 (3) or int32 (7): `values` (1), `keys` (2) of a sparse one, `shape` (3).
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from .bodies import numpy

_MAGIC = 0xCED7230A
_FEATURES, _LABEL = 1, 2
_NAME, _VALUE = 1, 2  # of a map's entry
_VALUES, _KEYS, _SHAPE = 1, 2, 3
_TENSORS = {2: "<f4", 3: "<f8", 7: "<i4"}
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


class _Tensor(NamedTuple):
    values: Any
    keys: list[int]
    shape: list[int]


def features_of(body: bytes) -> tuple[Any, Any]:
    """(features, labels or None) of all records: a dense array, or a sparse matrix when one record is sparse."""
    records = list(_records(body))
    features = [tensor for record in records if (tensor := _tensor(record, _FEATURES)) is not None]
    if not features:
        raise ValueError("the body holds no records of RecordIO-protobuf")
    labels = [tensor.values for record in records if (tensor := _tensor(record, _LABEL)) is not None]
    return _matrix(features), numpy().concatenate(labels, axis=None) if labels else None


def _matrix(rows: list[_Tensor]) -> Any:
    if not any(row.keys for row in rows):
        return numpy().vstack([row.values.reshape(1, -1) for row in rows])
    sparse = importlib.import_module("scipy.sparse")
    return sparse.vstack([_sparse(sparse, row) for row in rows]).tocsr()


def _sparse(sparse: Any, row: _Tensor) -> Any:
    columns = row.shape[0] if row.shape else max(row.keys, default=0) + 1
    return sparse.csr_matrix((row.values, row.keys, [0, len(row.keys)]), shape=(1, columns))


def _records(body: bytes) -> Iterator[bytes]:
    offset = 0
    while offset + 8 <= len(body):
        magic, length = struct.unpack_from("<II", body, offset)
        end = offset + 8 + length
        if magic != _MAGIC or end > len(body):
            raise ValueError(f"no whole record of RecordIO at byte {offset}")
        yield body[offset + 8 : end]
        offset = end + -length % 4


def _tensor(record: bytes, member: int) -> _Tensor | None:
    """The tensor named `values` in one of a record's maps."""
    for field, entry in _fields(record):
        if field == member and isinstance(entry, bytes):
            parts = dict(_fields(entry))
            if parts.get(_NAME) == b"values":
                return _tensor_of(bytes(parts[_VALUE]))
    return None


def _tensor_of(value: bytes) -> _Tensor | None:
    for field, content in _fields(value):
        if field in _TENSORS and isinstance(content, bytes):
            return _read_tensor(content, _TENSORS[field])
    return None


def _read_tensor(content: bytes, kind: str) -> _Tensor:
    fields = list(_fields(content))
    numbers = [content for field, content in fields if field == _VALUES]
    if kind == "<i4":
        values = numpy().array(_varints(numbers), dtype="<i8").astype(kind)
    else:
        values = numpy().frombuffer(b"".join(map(bytes, numbers)), dtype=kind)
    keys, shape = (_varints([c for field, c in fields if field == which]) for which in (_KEYS, _SHAPE))
    return _Tensor(values, keys, shape)


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """(number, content) of a message's fields: an int of a varint, else bytes."""
    offset = 0
    while offset < len(message):
        tag, offset = _varint(message, offset)
        kind = tag & 7
        if kind == _VARINT:
            number, offset = _varint(message, offset)
            yield tag >> 3, number
            continue
        if kind == _LENGTH:
            size, offset = _varint(message, offset)
        else:
            size = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}[kind]
        yield tag >> 3, message[offset : offset + size]
        offset += size


def _varints(contents: list[bytes | int]) -> list[int]:
    """Repeated numbers, packed or one by one; negative int32 are written as 64 bits."""
    numbers: list[int] = []
    for content in contents:
        if isinstance(content, int):
            numbers.append(content)
            continue
        offset = 0
        while offset < len(content):
            number, offset = _varint(content, offset)
            numbers.append(number)
    return [number - (1 << 64) if number >> 63 else number for number in numbers]


def _varint(message: bytes, offset: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where the next field begins."""
    number = shift = 0
    while True:
        if offset >= len(message):
            raise ValueError("a record ends in the middle of a number")
        byte = message[offset]
        number |= (byte & 0x7F) << shift
        offset, shift = offset + 1, shift + 7
        if byte < 0x80:
            return number, offset
