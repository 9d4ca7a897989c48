"""SageMaker's RecordIO-protobuf (developer guide, "Common Data Formats for Training"): features and labels."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from sagemaker_containers.record_pb2 import Record
from scipy.sparse import csr_matrix, vstack

_MAGIC = 0xCED7230A
_HEAD = struct.Struct("<II")
_TENSORS = ("float32_tensor", "float64_tensor", "int32_tensor")
_VALUES = "values"


def read_recordio_protobuf(buf: bytes) -> tuple[Any, Any]:
    """Features, dense or sparse, and labels, None where there are none. ValueError for anything else."""
    records = list(_records(buf))
    features = [tensor for record in records if (tensor := _tensor(record.features)) is not None]
    if not features:
        raise ValueError("No records found in RecordIO-Protobuf data")
    labels = [np.array(tensor.values) for record in records if (tensor := _tensor(record.label)) is not None]
    if any(tensor.keys for tensor in features):
        rows = vstack([_sparse(tensor) for tensor in features]).tocsr()
    else:
        rows = np.vstack([np.array(tensor.values).reshape(1, -1) for tensor in features])
    return rows, np.concatenate(labels) if labels else None


def _records(buf: bytes) -> Iterator[Any]:
    offset = 0
    while offset + _HEAD.size <= len(buf):
        magic, length = _HEAD.unpack_from(buf, offset)
        start = offset + _HEAD.size
        if magic != _MAGIC:
            raise ValueError(f"Invalid RecordIO magic at offset {offset}")
        if start + length > len(buf):
            raise ValueError(f"Truncated record at offset {start}")
        record = Record()
        record.ParseFromString(buf[start : start + length])
        yield record
        offset = start + (length + 3) // 4 * 4


def _tensor(values: Any) -> Any:
    if _VALUES not in values:
        return None
    value = values[_VALUES]
    return next((getattr(value, name) for name in _TENSORS if value.HasField(name)), None)


def _sparse(tensor: Any) -> Any:
    keys = np.array(tensor.keys, dtype=np.int64)
    columns = tensor.shape[0] if tensor.shape else int(keys.max(initial=0)) + 1
    return csr_matrix((np.array(tensor.values), keys, [0, len(keys)]), shape=(1, columns))
