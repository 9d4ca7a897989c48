"""What a page shows of an example: its text, and its picture where it is one."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract import label_audits
from contract.held_out_tables import csv_fields
from toolkit.errors import ToolkitError
from toolkit.heldout.example import CSV, NPY, Example
from toolkit.labels.columns import number
from toolkit.views import png, to_pixels

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

# What every browser shows.
_SHOWN = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp")
_PNG = "image/png"
# Of a picture that is too large as it is.
_THUMBNAIL = 256
# An array with fewer rows or columns is a list of numbers; with more, no page's.
_LEAST_SIDE, _MOST_SIDE = 4, 512


def shown(
    example: Example, picture: tuple[int, int] | None = None, room: int = label_audits.PICTURES_BYTES
) -> dict[str, Any]:
    """`text` and, where it is a picture that can be shown, `picture`, as contract.label_audits has them.

    picture: (height, width) where a row's numbers are a picture's. room: bytes that a picture may take, as text.
    """
    if isinstance(example.content, Path):
        text, content = example.content.name, _of_file(example.content, example.content_type)
    elif isinstance(example.content, bytes):
        text, content = _of_bytes(example)
    else:
        text = example.content
        pixels = _of_row(example, picture) if picture and example.content_type == CSV else None
        content = None if pixels is None else (_PNG, png(pixels))
    told = {"text": text[: label_audits.TEXT_LENGTH]}
    if content is None or len(content[1]) > label_audits.PICTURE_BYTES:
        return told
    encoded = base64.b64encode(content[1]).decode()
    if len(encoded) > room:
        return told
    return {**told, "picture": {"content_type": content[0], "base64": encoded}}


def _of_file(path: Path, content_type: str) -> tuple[str, bytes] | None:
    """As it is where a browser shows it and it is small, else smaller; None where that can't be made."""
    if content_type in _SHOWN and path.stat().st_size <= label_audits.PICTURE_BYTES:
        return content_type, path.read_bytes()
    try:
        from PIL import Image
    except ImportError:
        return None
    try:
        with Image.open(path) as whole:
            small = whole.convert("RGB")
            small.thumbnail((_THUMBNAIL, _THUMBNAIL))
            body = io.BytesIO()
            small.save(body, "PNG")
            return _PNG, body.getvalue()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _of_bytes(example: Example) -> tuple[str, tuple[str, bytes] | None]:
    import numpy as np

    if example.content_type != NPY:
        return example.content_type, None
    array = np.load(io.BytesIO(bytes(example.content)), allow_pickle=False)[0]  # type: ignore[arg-type]
    text = np.array2string(array.reshape(-1), threshold=50, separator=", ")
    return f"{array.dtype} {array.shape}: {text}", _of_array(array)


def _of_array(array: Array) -> tuple[str, bytes] | None:
    """An array that has the shape of a picture, black where it is least and white where it is greatest."""
    sides = [side for side in array.shape if side not in (1, 3)]
    if len(sides) != 2 or not all(_LEAST_SIDE <= side <= _MOST_SIDE for side in sides):
        return None
    try:
        squeezed = array.reshape(sides) if 3 not in array.shape else array
        return _PNG, png(to_pixels(squeezed))
    except ToolkitError:
        return None


def _of_row(example: Example, picture: tuple[int, int]) -> Array | None:
    """A row's numbers as a picture; None where they aren't as many."""
    import numpy as np

    found: Sequence[float | None] = [number(field) for field in csv_fields(str(example.content))]
    if None in found or len(found) != picture[0] * picture[1]:
        return None
    return to_pixels(np.array(found, dtype=float).reshape(picture))
