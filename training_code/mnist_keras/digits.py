"""Digits in files: CSV without a header, a digit a line, its label and 28 x 28 numbers from 0 to 255, row by row."""

from __future__ import annotations

import warnings
from io import StringIO
from pathlib import Path

import numpy as np

SIZE, CLASSES = 28, 10
PIXELS = SIZE * SIZE


class DigitsError(Exception):
    """Something that holds no digits; the message says where, and what would be right."""


def load(folder):
    """All CSV files of a channel -> pictures, float32 (n, 28, 28, 1), and labels, int64 (n,).

    Raises:
        DigitsError: there is none, or one can't be used.
    """
    files = sorted(Path(folder).rglob("*.csv"))
    if not files:
        raise DigitsError(f"no CSV file in {folder}; example_digits.py writes some")
    labels, digits = (np.concatenate(arrays) for arrays in zip(*map(_from_csv, files), strict=True))
    return scaled(digits), labels


def scaled(digits):
    """Digits as bytes, (n, 28, 28) -> what the network takes, float32 (n, 28, 28, 1) from 0 to 1."""
    return digits[..., None].astype("float32") / 255


def shaped(numbers, where):
    """Numbers (n, 784) or (n, 28, 28) -> digits as bytes, (n, 28, 28).

    Args:
        where: what the numbers are called in an error.

    Raises:
        DigitsError: another shape, no digit at all, or what is no pixel.
    """
    if numbers.dtype.kind not in "iuf":
        raise DigitsError(f"{where} holds {numbers.dtype} where pixels are numbers from 0 to 255")
    if numbers.ndim not in (2, 3) or numbers.shape[1:] not in ((PIXELS,), (SIZE, SIZE)) or not len(numbers):
        raise DigitsError(f"{where} has the shape {numbers.shape}; digits are (n, {PIXELS}) or (n, {SIZE}, {SIZE})")
    whole = numbers.reshape(len(numbers), PIXELS)
    outside = ~((whole >= 0) & (whole <= 255))  # NaN, too
    if outside.any():
        row, pixel = np.argwhere(outside)[0]
        raise DigitsError(f"{where}: pixel {pixel} of digit {row + 1} is {whole[row, pixel]:g}; a pixel has 0 to 255")
    if whole.max() <= 1 and (whole % 1).any():
        raise DigitsError(f"{where} holds numbers from 0 to 1; a pixel has 0 to 255: multiply by 255")
    return whole.round().astype(np.uint8).reshape(-1, SIZE, SIZE)


def table(text, where):
    """CSV without a header -> float64 (lines, columns). Raises DigitsError, which names the line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a text without a line, which has no digits either
            found = np.loadtxt(StringIO(text.lstrip("\ufeff")), delimiter=",", ndmin=2)
    except ValueError as error:
        raise DigitsError(f"{where} can't be read: {str(error).partition(';')[0]}; a line is numbers alone") from error
    if not len(found):
        raise DigitsError(f"{where} has no line")
    return found


def csv_text(labels, pictures):
    """Labels (n,) and pictures (n, 28, 28), bytes, as a channel's CSV file."""
    rows = np.concatenate([np.asarray(labels)[:, None], np.asarray(pictures).reshape(len(labels), PIXELS)], axis=1)
    return "".join(",".join(map(str, row)) + "\n" for row in rows.tolist())


def _from_csv(path):
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DigitsError(f"{path.name} is no text in UTF-8: {error.reason} at byte {error.start}") from error
    found = table(text, path.name)
    if found.shape[1] != 1 + PIXELS:
        raise DigitsError(f"{path.name} has {found.shape[1]} columns; a label and {PIXELS} pixels are {1 + PIXELS}")
    return _labels(found[:, 0], path.name), shaped(found[:, 1:], path.name)


def _labels(numbers, where):
    wrong = np.flatnonzero(~np.isin(numbers, np.arange(10)))
    if len(wrong):
        raise DigitsError(f"{where}: the label of digit {wrong[0] + 1} is {numbers[wrong[0]]}; labels are 0 to 9")
    return numbers.astype(np.int64)
