"""Digits in files: CSV without a header, a digit a line, its label and 28 x 28 numbers from 0 to 255, row by row; or
npz with the arrays `x`, (n, 28, 28), and `y`, (n,)."""

from __future__ import annotations

import warnings
import zipfile
from io import StringIO
from pathlib import Path

import numpy as np

SIZE = 28
PIXELS = SIZE * SIZE


class DigitsError(Exception):
    """Something that holds no digits; the message says where, and what would be right."""


def load(folder):
    """All CSV and npz files of a channel -> labels, int64 (n,), and digits, uint8 (n, 28, 28).

    Raises:
        DigitsError: there is none, or one can't be used.
    """
    files = sorted(path for path in Path(folder).rglob("*") if path.suffix in (".csv", ".npz"))
    if not files:
        raise DigitsError(f"no CSV or npz file in {folder}; digits.py draws some")
    parts = [(_from_csv if path.suffix == ".csv" else _from_npz)(path) for path in files]
    labels, digits = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return labels, digits


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


def _from_csv(path):
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DigitsError(f"{path.name} is no text in UTF-8: {error.reason} at byte {error.start}") from error
    found = table(text, path.name)
    if found.shape[1] != 1 + PIXELS:
        raise DigitsError(f"{path.name} has {found.shape[1]} columns; a label and {PIXELS} pixels are {1 + PIXELS}")
    return _labels(found[:, 0], path.name), shaped(found[:, 1:], path.name)


def _from_npz(path):
    try:
        # Without pickles: reading data must not run code.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            missing = [name for name in ("x", "y") if name not in arrays]
            if missing:
                raise DigitsError(
                    f"{path.name} has no array {' and no '.join(missing)}, only {', '.join(arrays) or 'none'}; write "
                    "it with numpy.savez(file, x=digits, y=labels)"
                )
            digits, labels = arrays["x"], arrays["y"]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DigitsError(f"{path.name} can't be read as npz: {error}") from error
    if labels.shape != digits.shape[:1]:
        raise DigitsError(f"{path.name} has {len(digits)} digits in x, but y of the shape {labels.shape}")
    return _labels(labels, path.name), shaped(digits, f"x of {path.name}")


def _labels(numbers, where):
    wrong = np.flatnonzero(~np.isin(numbers, np.arange(10)))
    if len(wrong):
        raise DigitsError(f"{where}: the label of digit {wrong[0] + 1} is {numbers[wrong[0]]}; labels are 0 to 9")
    return numbers.astype(np.int64)


def split(labels, *, validation, seed):
    """(training, validation) indices; `validation` (0 to 1) of every digit, the same for the same seed and labels."""
    order = np.random.default_rng(seed).permutation(len(labels))
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        held[members[: max(1, round(validation * len(members)))]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)
