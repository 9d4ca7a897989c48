"""The body of a request, as `input_fn` gets it, read as what its content type says.

if content_type == "application/json":
    return request_body.document(body)
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from toolkit.errors import ToolkitError

if TYPE_CHECKING:
    import numpy as np


class RequestError(ToolkitError):
    """A request that can't be answered; the message says what would be right."""


def text(body: str | bytes) -> str:
    """A request's text. Raises RequestError."""
    try:
        return body if isinstance(body, str) else body.decode()
    except UnicodeDecodeError as error:
        raise RequestError(f"the request isn't UTF-8: {error.reason} at byte {error.start}") from error


def document(body: str | bytes, where: str = "the request") -> Any:
    """A request's JSON, or that of a part of it. Raises RequestError."""
    try:
        return json.loads(text(body))
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{where} is no JSON: {error}") from error


def array(body: bytes) -> np.ndarray[Any, Any]:
    """A request's array, in NPY. One of pickles is refused: a request must not be able to run code.

    Raises:
        RequestError: it is no such array.
    """
    import numpy as np

    try:
        return np.lib.format.read_array(io.BytesIO(body), allow_pickle=False)
    except (ValueError, OSError, EOFError, MemoryError) as error:
        raise RequestError(f"the request is no array in NPY: {error}") from error
