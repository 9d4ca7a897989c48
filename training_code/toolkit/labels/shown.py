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


def shown(example: Example, picture: tuple[int, int] | None = None) -> dict[str, Any]:
    """`text` and, where it is a picture that can be shown, `picture`, as contract.label_audits has them.

    picture: (height, width) where a row's numbers are a picture's.
    """
    if isinstance(example.content, Path):
        content = _of_file(example.content, example.content_type)
        return {"text": example.content.name, **_told(content)}
    if isinstance(example.content, bytes):
        return _of_bytes(example)
    text = example.content[: label_audits.TEXT_LENGTH]
    pixels = _of_row(example, picture) if picture and example.content_type == CSV else None
    return {"text": text, **_told(None if pixels is None else (_PNG, png(pixels)))}


def _told(content: tuple[str, bytes] | None) -> dict[str, Any]:
    if content is None or len(content[1]) > label_audits.PICTURE_BYTES:
        return {}
    return {"picture": {"content_type": content[0], "base64": base64.b64encode(content[1]).decode()}}


def _of_file(path: Path, content_type: str) -> tuple[str, bytes] | None:
    if content_type in _SHOWN and path.stat().st_size <= label_audits.PICTURE_BYTES:
        return content_type, path.read_bytes()
    try:
        from PIL import Image

        with Image.open(path) as whole:
            small = whole.convert("RGB")
            small.thumbnail((_THUMBNAIL, _THUMBNAIL))
            body = io.BytesIO()
            small.save(body, "PNG")
            return _PNG, body.getvalue()
    except (ImportError, OSError, ValueError, SyntaxError):
        return None  # its name stands for it


def _of_bytes(example: Example) -> dict[str, Any]:
    import numpy as np

    if example.content_type != NPY:
        return {"text": example.content_type}
    array = np.load(io.BytesIO(bytes(example.content)), allow_pickle=False)[0]  # type: ignore[arg-type]
    text = np.array2string(array.reshape(-1), threshold=50, separator=", ")[: label_audits.TEXT_LENGTH]
    return {"text": f"{array.dtype} {array.shape}: {text}", **_told(_of_array(array))}


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
