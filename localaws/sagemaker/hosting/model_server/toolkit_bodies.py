"""Bodies as the SageMaker Inference Toolkit reads and writes them (`decoder.py`, `encoder.py`): PyTorch's image."""

from __future__ import annotations

import importlib
import io
from typing import Any

from .bodies import CSV, JSON, NPY, NPZ, Decoders, Encoders, decode_json, decode_npy, encode_json, encode_npy, numpy


def decode_csv(text: str) -> Any:
    """Lines without a header; columns of different types make a structured array."""
    return numpy().genfromtxt(io.StringIO(text), dtype=None, delimiter=",")


def decode_npz(body: bytes) -> Any:
    """A sparse matrix, as scipy.sparse.save_npz writes it."""
    return importlib.import_module("scipy.sparse").load_npz(io.BytesIO(body))


def encode_csv(prediction: Any) -> str:
    """One example a line."""
    stream = io.StringIO()
    numpy().savetxt(stream, prediction, delimiter=",", fmt="%s")
    return stream.getvalue()


DECODERS: Decoders = {NPY: decode_npy, CSV: decode_csv, JSON: decode_json, NPZ: decode_npz}
ENCODERS: Encoders = {NPY: encode_npy, CSV: encode_csv, JSON: encode_json}
