"""The XGBoost image's functions in script mode (aws/sagemaker-xgboost-container, `serving.py` and `encoder.py`)."""

from __future__ import annotations

import csv
import importlib
from typing import Any

from . import sklearn_functions
from .bodies import CSV, Decoders, decoded, numpy
from .functions import Functions, no_model_fn
from .recordio import features_of

_SNIFFED = 512  # characters of the first line that tell the delimiter


def _dmatrix(data: Any, **more: Any) -> Any:
    return importlib.import_module("xgboost").DMatrix(data, **more)


def decode_csv(body: str | bytes) -> Any:
    """Lines without a header; the delimiter is found out from the first, and an empty field is a missing value."""
    lines = (body.decode() if isinstance(body, bytes) else body).split("\n")
    sniffed = csv.Sniffer().sniff(lines[0][:_SNIFFED]).delimiter
    delimiter = "," if sniffed.isalnum() else sniffed
    rows = [[field or "nan" for field in line.split(delimiter)] for line in lines]
    return _dmatrix(numpy().array(rows).astype(float))


def decode_libsvm(body: str | bytes) -> Any:
    """`label index:value …` lines, whose indices begin at 0 or at 1; the labels are passed over."""
    text = body if isinstance(body, str) else bytes(body).decode()
    rows = [dict(_entries(line)) for line in text.strip().split("\n")]
    if not any(rows):
        return _dmatrix(numpy().empty((0, 0)))
    first = 1 if min(min(row) for row in rows if row) >= 1 else 0
    data = numpy().zeros((len(rows), max(max(row) for row in rows if row) - first + 1))
    for number, row in enumerate(rows):
        for index, value in row.items():
            data[number, index - first] = value
    return _dmatrix(data)


def _entries(line: str) -> list[tuple[int, float]]:
    pairs = [token.split(":", 1) for token in line.split() if ":" in token]
    return [(int(index), float(value)) for index, value in pairs]


def decode_recordio(body: bytes) -> Any:
    """Records of SageMaker's protobuf, with their labels."""
    features, labels = features_of(bytes(body))
    return _dmatrix(features, label=labels)


_DECODERS: Decoders = {
    CSV: decode_csv,
    "text/libsvm": decode_libsvm,
    "text/x-libsvm": decode_libsvm,
    "application/x-recordio-protobuf": decode_recordio,
}


def read(body: Any, content_type: str) -> Any:
    """CSV, LIBSVM and RecordIO as a DMatrix; a content type may have parameters here."""
    return decoded(_DECODERS, body, content_type.partition(";")[0].strip())


def predict(data: Any, model: Any) -> Any:
    """The booster's prediction; columns have no names."""
    return model.predict(data, validate_features=False)


FUNCTIONS = Functions(model_fn=no_model_fn, input_fn=read, predict_fn=predict, output_fn=sklearn_functions.write)
