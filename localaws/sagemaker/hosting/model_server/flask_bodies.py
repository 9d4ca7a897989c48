"""Bodies as `sagemaker_containers` reads and writes them (its `_encoders.py`): scikit-learn's and XGBoost's images."""

from __future__ import annotations

import csv
import io
from typing import Any

from .bodies import CSV, JSON, NPY, Decoders, Encoders, decode_json, decode_npy, encode_json, encode_npy, numpy


def decode_csv(text: str) -> Any:
    """Lines without a header as an array; one line, or one column, has one dimension."""
    rows = list(csv.reader(io.StringIO(text), strict=True))
    array = numpy().array(rows).squeeze()
    try:
        return array.astype(float)
    except ValueError:  # texts stay texts
        return array


def encode_csv(prediction: Any) -> str:
    """One example a line."""
    array = numpy().array(prediction)
    rows = array.reshape(-1, 1) if array.ndim == 1 else array
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n", strict=True).writerows(rows)
    return stream.getvalue()


DECODERS: Decoders = {CSV: decode_csv, JSON: decode_json, NPY: decode_npy}
ENCODERS: Encoders = {JSON: encode_json, CSV: encode_csv, NPY: encode_npy}
