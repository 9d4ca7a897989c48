"""Bodies of requests and answers, as the framework containers read and write them."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Callable
from typing import Any

from .errors import ModelServerError

CSV, JSON, NPY = "text/csv", "application/json", "application/x-npy"


def media_type(header: str) -> str:
    """`text/csv; charset=utf-8` -> `text/csv`."""
    return header.partition(";")[0].strip().lower()


def as_received(body: bytes, content_type: str) -> str | bytes:
    """The body as the framework containers hand it to `input_fn`: CSV and JSON as text, anything else as bytes.

    Source: `transformer.py` of the SageMaker Inference Toolkit, which decodes `content_types.UTF8_TYPES`.
    """
    if media_type(content_type) not in {CSV, JSON}:
        return body
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelServerError(400, f"The body is not valid {media_type(content_type)}: {error}") from error


def decode(body: str | bytes, content_type: str) -> Any:
    """A request body as a numpy array, exactly as the framework containers' default does it (`decoder.py`).

    CSV has no header, and one line gives one dimension; JSON is a (nested) list; both become float32. NPY is taken
    as it is, but without pickles, which would run the caller's code.
    """
    decoder = _DECODERS.get(media_type(content_type))
    if decoder is None:
        known = ", ".join(_DECODERS)
        raise ModelServerError(415, f"Content type {content_type!r} is not supported here; it can be one of {known}.")
    try:
        return decoder(body)
    except (ValueError, TypeError, EOFError, OSError) as error:
        raise ModelServerError(400, f"The body is not valid {media_type(content_type)}: {error}") from error


def _numpy() -> Any:
    """The image's numpy, imported only when a default needs it."""
    return importlib.import_module("numpy")


def _decode_csv(body: str | bytes) -> Any:
    text = body if isinstance(body, str) else body.decode("utf-8")
    if not text.strip():
        raise ValueError("it is empty")
    return _numpy().genfromtxt(io.StringIO(text), delimiter=",", dtype="float32")


def _decode_json(body: str | bytes) -> Any:
    return _numpy().array(json.loads(body), dtype="float32")


def _decode_npy(body: str | bytes) -> Any:
    content = body.encode("latin-1") if isinstance(body, str) else body
    return _numpy().load(io.BytesIO(content), allow_pickle=False)


def encode(prediction: Any, accept: str) -> tuple[bytes, str]:
    """A prediction as (body, content type): the first type of `accept` that is known; JSON for `*/*` or nothing."""
    for wanted in accept.split(","):
        kind = media_type(wanted)
        encoder = _ENCODERS.get(JSON if kind in {"", "*/*", "application/*"} else kind)
        if encoder is not None:
            return encoder(prediction)
    raise ModelServerError(406, f"Accept {accept!r} is not supported here; it can be one of {', '.join(_ENCODERS)}.")


def _plain(value: Any) -> Any:
    """Arrays and tensors as lists, for JSON."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return value.tolist() if hasattr(value, "tolist") else value


def _encode_json(prediction: Any) -> tuple[bytes, str]:
    return json.dumps(_plain(prediction), default=_plain).encode(), JSON


def _encode_csv(prediction: Any) -> tuple[bytes, str]:
    """One example a line, numbers as they print themselves."""
    values = prediction.detach().cpu().numpy() if hasattr(prediction, "detach") else prediction
    rows = values if _is_sequence(values) else [values]
    lines = [",".join(map(str, row)) if _is_sequence(row) else str(row) for row in rows]
    return ("\n".join(lines) + "\n").encode(), CSV


def _is_sequence(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str) and getattr(value, "ndim", 1) > 0


def _encode_npy(prediction: Any) -> tuple[bytes, str]:
    numpy = _numpy()
    buffer = io.BytesIO()
    numpy.save(buffer, numpy.asarray(_plain(prediction)), allow_pickle=False)
    return buffer.getvalue(), NPY


_DECODERS: dict[str, Callable[[str | bytes], Any]] = {CSV: _decode_csv, JSON: _decode_json, NPY: _decode_npy}
_ENCODERS: dict[str, Callable[[Any], tuple[bytes, str]]] = {JSON: _encode_json, CSV: _encode_csv, NPY: _encode_npy}
