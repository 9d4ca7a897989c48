"""What both serving toolkits of AWS read and write alike: JSON, NPY, and the words for their types."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

CSV, JSON, NPY, NPZ = "text/csv", "application/json", "application/x-npy", "application/x-npz"
ANY = "*/*"
# Bodies of exactly these types reach the functions as text, all others as bytes: `text/csv; charset=utf-8` is bytes.
TEXT_TYPES = (JSON, CSV)

Decoders = Mapping[str, Callable[[Any], Any]]
Encoders = Mapping[str, Callable[[Any], str | bytes]]


class UnsupportedFormatError(Exception):
    """A content type that the container's default functions don't know."""

    def __init__(self, content_type: str, known: Mapping[str, Any]) -> None:
        super().__init__(
            f"Content type {content_type} is not supported by this framework.\nIt has {', '.join(known)}; write an "
            "input_fn for other requests, an output_fn for other answers."
        )


def decoded(decoders: Decoders, body: Any, content_type: str) -> Any:
    """A body by the decoder of its type, which must be named exactly. UnsupportedFormatError."""
    if content_type not in decoders:
        raise UnsupportedFormatError(content_type, decoders)
    return decoders[content_type](body)


def encoded(encoders: Encoders, prediction: Any, content_type: str) -> str | bytes:
    """A prediction by the encoder of a type, which must be named exactly. UnsupportedFormatError."""
    if content_type not in encoders:
        raise UnsupportedFormatError(content_type, encoders)
    return encoders[content_type](prediction)


def numpy() -> Any:
    """The image's numpy, imported only when a default needs it."""
    return importlib.import_module("numpy")


def decode_json(body: str | bytes) -> Any:
    """A (nested) list as an array of what it holds."""
    return numpy().array(json.loads(body))


def decode_npy(body: bytes) -> Any:
    """An array as it was saved; without pickles, which would run the caller's code."""
    return numpy().load(io.BytesIO(body), allow_pickle=False)


def encode_json(prediction: Any) -> str:
    """JSON, with arrays and their like as lists."""
    return json.dumps(prediction, default=_as_list)


def _as_list(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def encode_npy(prediction: Any) -> bytes:
    """NPY, as numpy.save writes it."""
    buffer = io.BytesIO()
    numpy().save(buffer, prediction)
    return buffer.getvalue()
