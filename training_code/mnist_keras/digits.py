"""Digits as CSV: a label and 28 x 28 numbers from 0 to 255 a line, row by row. train.py and serve.py read them."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np

SIZE, CLASSES = 28, 10
PIXELS = SIZE * SIZE


class DigitsError(Exception):
    """Something that holds no digits."""


def load(folder):
    """All CSV files of a channel -> pictures (n, 28, 28, 1), labels (n,)."""
    files = sorted(Path(folder).rglob("*.csv"))
    if not files:
        raise DigitsError(f"no CSV file in {folder}")
    table = np.concatenate([_table(path.read_text(encoding="utf-8-sig"), path.name, 1 + PIXELS) for path in files])
    labels = table[:, 0]
    wrong = sorted({float(label) for label in labels} - set(range(CLASSES)))
    if wrong:
        raise DigitsError(f"a label is {wrong[0]:g} in {folder}; labels are the digits 0 to {CLASSES - 1}")
    return shaped(table[:, 1:]), labels.astype(np.int64)


def parse(text):
    """Lines without labels -> pictures (n, 28, 28, 1)."""
    return shaped(_table(text.lstrip("\ufeff"), "the request", PIXELS))


def shaped(numbers):
    """Numbers (n, 784), (n, 28, 28) or (n, 28, 28, 1), 0 to 255 -> pictures (n, 28, 28, 1), 0 to 1.

    Raises:
        DigitsError: another shape, no numbers, or one outside of 0 to 255.
    """
    if numbers.shape[1:] not in ((PIXELS,), (SIZE, SIZE), (SIZE, SIZE, 1)) or not len(numbers):
        raise DigitsError(f"numbers of shape {numbers.shape}; digits are (n, {PIXELS}) or (n, {SIZE}, {SIZE})")
    if numbers.dtype.kind not in "uif":
        raise DigitsError(f"numbers of type {numbers.dtype}; pixels are whole or floating-point numbers")
    if not (numbers.min() >= 0 and numbers.max() <= 255):
        raise DigitsError(f"numbers from {numbers.min():g} to {numbers.max():g}; a pixel has 0 to 255")
    return numbers.reshape(-1, SIZE, SIZE, 1).astype("float32") / 255


def csv_text(labels, pictures):
    """Labels (n,) and pictures (n, 28, 28), bytes, as a channel's CSV file."""
    rows = np.concatenate([np.asarray(labels)[:, None], np.asarray(pictures).reshape(len(labels), PIXELS)], axis=1)
    return "".join(",".join(map(str, row)) + "\n" for row in rows.tolist())


def _table(text, name, columns):
    try:
        table = np.loadtxt(StringIO(text), delimiter=",", ndmin=2, dtype=np.float32)
    except ValueError as error:
        raise DigitsError(f"{name} can't be read: {error}") from error
    if table.shape[1] != columns:
        raise DigitsError(f"{name} has {table.shape[1]} columns; {columns} are needed")
    return table
