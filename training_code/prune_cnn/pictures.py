"""Pictures as CSV: a label and size x size x 3 numbers from 0 to 255 a line, row by row, red, green and blue."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np
import torch

CHANNELS = 3


class PicturesError(Exception):
    """Something that holds no pictures of the right size."""


def load(folder, size):
    """All CSV files of a channel -> labels (n,), pictures (n, size, size, 3) as bytes."""
    files = sorted(Path(folder).rglob("*.csv"))
    if not files:
        raise PicturesError(f"no CSV file in {folder}")
    tables = [_table(path.read_text(encoding="utf-8-sig"), path.name, 1 + size * size * CHANNELS) for path in files]
    table = np.concatenate(tables)
    return table[:, 0].astype(np.int64), shaped(table[:, 1:], size)


def parse(text, size):
    """Lines without labels -> pictures (n, size, size, 3) as bytes."""
    return shaped(_table(text.lstrip("\ufeff"), "the request", size * size * CHANNELS), size)


def shaped(numbers, size):
    """Numbers (n, size * size * 3) -> pictures. Raises PicturesError for another count, or one outside 0 to 255."""
    if numbers.ndim != 2 or numbers.shape[1] != size * size * CHANNELS:
        raise PicturesError(f"numbers of shape {numbers.shape}; a picture has {size} x {size} x {CHANNELS}")
    if numbers.min() < 0 or numbers.max() > 255:
        raise PicturesError(f"numbers from {numbers.min():g} to {numbers.max():g}; a pixel has 0 to 255")
    return numbers.astype(np.uint8).reshape(-1, size, size, CHANNELS)


def _table(text, name, columns):
    try:
        table = np.loadtxt(StringIO(text), delimiter=",", ndmin=2, dtype=np.float32)
    except ValueError as error:
        raise PicturesError(f"{name} can't be read: {error}") from error
    if table.shape[1] != columns:
        raise PicturesError(f"{name} has {table.shape[1]} columns; {columns} are needed")
    return table


def split(labels, *, validation, seed):
    """(training, validation) indices; `validation` (0 to 1) of every class, the same for the same seed and labels."""
    order = np.random.default_rng(seed).permutation(len(labels))
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        held[members[: max(1, round(validation * len(members)))]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def tensor(pictures):
    """Pictures as bytes -> (n, 3, size, size), about -2 to 2."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div_(63.75).sub_(2.0).contiguous()


def moves(count, random):
    """By how far to move so many pictures, at random: (count, 2), 0 to 4; 2 leaves one where it is."""
    return random.integers(0, 5, (count, 2))


def shifted(batch, moves):
    """The pictures, each moved by up to two pixels; what leaves on one side is filled with the edge."""
    padded = torch.nn.functional.pad(batch, (2, 2, 2, 2), mode="replicate")
    size = batch.shape[2]
    return torch.stack([padded[i, :, y : y + size, x : x + size] for i, (y, x) in enumerate(moves)])
