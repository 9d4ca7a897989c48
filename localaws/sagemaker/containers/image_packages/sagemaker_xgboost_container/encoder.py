"""Bodies of requests as a DMatrix, and answers as JSON lines (aws/sagemaker-xgboost-container, encoder.py)."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import xgboost as xgb
from sagemaker_containers import _content_types, _errors
from sagemaker_xgboost_container.constants import xgb_content_types
from sagemaker_xgboost_container.content_type import parse
from sagemaker_xgboost_container.recordio_protobuf import read_recordio_protobuf

_SNIFFED = 512  # characters of the first line that tell the delimiter


def csv_to_dmatrix(input: str | bytes, dtype: Any = None) -> xgb.DMatrix:  # noqa: A002 - AWS's name
    """Lines without a header; the delimiter is found out from the first, and an empty field is a missing value."""
    lines = (input.decode() if isinstance(input, bytes) else input).split("\n")
    sniffed = csv.Sniffer().sniff(lines[0][:_SNIFFED]).delimiter
    delimiter = "," if sniffed.isalnum() else sniffed
    rows = [[field or "nan" for field in line.split(delimiter)] for line in lines]
    return xgb.DMatrix(np.array(rows).astype(dtype))


def libsvm_to_dmatrix(string_like: str | bytes) -> xgb.DMatrix:
    """``label index:value`` lines, whose indices begin at 0 or at 1; the labels are passed over."""
    text = string_like if isinstance(string_like, str) else bytes(string_like).decode("utf-8")
    rows = [dict(_entries(line)) for line in text.strip().split("\n")]
    indices = [index for row in rows for index in row]
    if not indices:
        return xgb.DMatrix(np.empty((0, 0)))
    first = 1 if min(indices) >= 1 else 0
    data = np.zeros((len(rows), max(indices) - first + 1))
    for number, row in enumerate(rows):
        for index, value in row.items():
            data[number, index - first] = value
    return xgb.DMatrix(data)


def recordio_protobuf_to_dmatrix(string_like: bytes) -> xgb.DMatrix:
    """Records of SageMaker's protobuf, with their labels."""
    features, labels = read_recordio_protobuf(bytes(string_like))
    return xgb.DMatrix(features, label=labels)


_DECODERS = {
    _content_types.CSV: csv_to_dmatrix,
    xgb_content_types.LIBSVM: libsvm_to_dmatrix,
    xgb_content_types.X_LIBSVM: libsvm_to_dmatrix,
    xgb_content_types.X_RECORDIO_PROTOBUF: recordio_protobuf_to_dmatrix,
}


def decode(obj: Any, content_type: str) -> xgb.DMatrix:
    """A body of one of the content types above; sagemaker-containers' UnsupportedFormatError for any other."""
    kind, _ = parse(content_type)
    if kind not in _DECODERS:
        raise _errors.UnsupportedFormatError(kind)
    return _DECODERS[kind](obj)


def json_to_jsonlines(json_data: dict[str, Any] | str) -> bytes:
    """A JSON object with one list, its entries a line each. ValueError for one with several members."""
    content = json_data if isinstance(json_data, dict) else json.loads(json_data)
    if len(content) != 1:
        raise ValueError("JSON response is not compatible for conversion to jsonlines.")
    (entries,) = content.values()
    return "".join(f"{json.dumps(entry)}\n" for entry in entries).encode()


def _entries(line: str) -> Iterator[tuple[int, float]]:
    for token in line.split():
        index, colon, value = token.partition(":")
        if colon:
            yield int(index), float(value)
