"""Examples as columns: each named value of all examples, as numbers or texts, whatever kind of files they come from."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.held_out_tables import csv_fields
from toolkit.errors import ToolkitError
from toolkit.heldout.example import CSV, JSON_LINES, NPY, Example
from toolkit.heldout.pictures import TEXT

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

    Columns = dict[str, list[Any]]

# What a picture is made of here: enough to tell signs and digits apart, and what a page's thumbnail has.
SIDE = 32
# Numbers of one example; more are no table and no small picture.
MOST_NUMBERS = 16_384
_OWN = "write probabilities() in label_audit.py (docs/labels.md)"


def numbers(examples: Sequence[Example]) -> Array | None:
    """(n, m) of examples that are arrays or pictures; None of those that have columns.

    Raises:
        ToolkitError: they aren't alike, can't be read here, or are too large.
    """
    kinds = sorted({_kind(example) for example in examples})
    if len(kinds) > 1:
        raise ToolkitError(f"the channel holds examples of {len(kinds)} kinds ({', '.join(kinds)}); {_OWN}")
    if kinds[0] in (CSV, JSON_LINES, TEXT):
        return None
    import numpy as np

    rows = [_numbers(example) for example in examples]
    odd = next((index for index, row in enumerate(rows) if len(row) != len(rows[0])), None)
    if odd is not None:
        told = f"{examples[odd].place} has {len(rows[odd])} numbers, but {examples[0].place} has {len(rows[0])}"
        raise ToolkitError(f"{told}; a built-in learner takes examples of one size: {_OWN}")
    return np.stack(rows)


def columns(examples: Sequence[Example]) -> Columns:
    """Each column's values, None where an example has none.

    Raises:
        ToolkitError: an example has values that are no column's.
    """
    found: Columns = {}
    for index, example in enumerate(examples):
        for name, value in _values(example):
            found.setdefault(name, [None] * len(examples))[index] = value
    return found


def _kind(example: Example) -> str:
    """How an example is read, by its content type: all pictures alike."""
    return "image" if example.content_type.startswith("image/") else example.content_type


def _values(example: Example) -> Iterator[tuple[str, Any]]:
    text = str(example.body)
    if example.content_type == TEXT:
        yield "text", text
    elif example.content_type == CSV:
        yield from ((str(number), field) for number, field in enumerate(csv_fields(text)))
    else:
        yield from _flat("", json.loads(text), example.place)


def _flat(name: str, value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """A JSON document's values by their paths: `size.width`, `pixels.0`; words of a list are one text."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _flat(f"{name}.{key}" if name else str(key), each, place)
    elif isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        yield name, " ".join(value)
    elif isinstance(value, list):
        if len(value) > MOST_NUMBERS:
            raise ToolkitError(f"{place}: {name or 'it'!r} is a list of {len(value)}; at most {MOST_NUMBERS}: {_OWN}")
        for index, each in enumerate(value):
            yield from _flat(f"{name}.{index}" if name else str(index), each, place)
    else:
        yield name, value


def number(value: Any) -> float | None:
    """The finite number that a value is; None where it is none."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _numbers(example: Example) -> Array:
    """An array's or a picture's numbers, in one row."""
    import numpy as np

    if example.content_type == NPY:
        array = np.load(io.BytesIO(bytes(example.body)), allow_pickle=False)  # type: ignore[arg-type]
        if array.size > MOST_NUMBERS:
            raise ToolkitError(
                f"{example.place} has {array.size} numbers; a built-in learner takes {MOST_NUMBERS}: {_OWN}"
            )
        if array.dtype.kind not in "buif":
            raise ToolkitError(f"{example.place} holds {array.dtype}, no numbers; {_OWN}")
        return np.nan_to_num(array.reshape(-1).astype(np.float32))
    if _kind(example) == "image" and isinstance(example.content, Path):
        return _pixels(example.content, example.place)
    raise ToolkitError(f"{example.place} is {example.content_type}, which no built-in learner reads; {_OWN}")


def _pixels(path: Path, place: str) -> Array:
    import numpy as np

    try:
        from PIL import Image
    except ImportError as error:
        message = "pictures are read with Pillow, which the image lacks: put pillow into the model's requirements.txt"
        raise ToolkitError(f"{message}, or {_OWN}") from error
    try:
        with Image.open(path) as picture:
            small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            return np.asarray(small, dtype=np.float32).reshape(-1) / 255
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ToolkitError(f"{place} is no picture that can be read: {error}") from error
