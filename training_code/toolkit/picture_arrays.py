"""Pictures with their labels as NumPy arrays in .npz files: `X` (n, height, width, 3), bytes, and `y` (n,)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from toolkit.errors import ToolkitError

PICTURES, LABELS = "X", "y"


class PicturesError(ToolkitError):
    """Something that holds no pictures as the network takes them."""


def load(folder: str | Path, size: int, *, besides: Sequence[str] = (), example: str) -> Mapping[str, np.ndarray]:
    """All .npz files of a channel, by their arrays' names: pictures as bytes, labels as texts.

    Args:
        size: pixels, of a picture's width and height.
        besides: names of arrays (n,) that either all files have, or none.
        example: the file that writes example data, for whoever has none.

    Raises:
        PicturesError: a file, or what is missing or wrong in it.
    """
    files = sorted(Path(folder).rglob("*.npz"))
    if not files:
        raise PicturesError(f"no .npz file in {folder}; {example} draws one")
    parts = [_arrays(path, size, besides) for path in files]
    for name in besides:
        there = [name in part for part in parts]
        if any(there) and not all(there):
            without = files[there.index(False)].name
            raise PicturesError(f"{without} has no array {name!r}, which other files have; all must have it, or none")
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _arrays(path: Path, size: int, besides: Sequence[str]) -> Mapping[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:  # pickles would run code
            found = {name: file[name] for name in (PICTURES, LABELS, *besides) if name in file.files}
    except (ValueError, OSError, EOFError, BadZipFile) as error:
        raise PicturesError(f"{path.name} can't be read: {error}") from error
    for name in (PICTURES, LABELS):
        if name not in found:
            raise PicturesError(f"{path.name} has no array {name!r}; X (n, {size}, {size}, 3) and y (n,) are needed")
    pictures = checked(found[PICTURES], size, path.name)
    for name in found.keys() - {PICTURES}:
        if found[name].shape != (len(pictures),):
            raise PicturesError(
                f"{path.name}: {name!r} has the shape {found[name].shape}; there are {len(pictures)} pictures"
            )
    return {**found, PICTURES: pictures, LABELS: found[LABELS].astype(str)}


def checked(pictures: np.ndarray, size: int, name: str) -> np.ndarray:
    """The pictures as bytes (n, size, size, 3); whole numbers of another type are taken too. Raises PicturesError."""
    if pictures.ndim != 4 or pictures.shape[1:] != (size, size, 3):
        raise PicturesError(f"{name} has pictures of shape {pictures.shape}; (n, {size}, {size}, 3) is needed")
    if not len(pictures):
        raise PicturesError(f"{name} has no pictures")
    if pictures.dtype.kind not in "uif" or not np.isfinite(pictures).all():
        raise PicturesError(f"{name} has pixels of type {pictures.dtype}, or ones that are no numbers")
    if pictures.min() < 0 or pictures.max() > 255:
        raise PicturesError(f"{name} has pixels from {pictures.min():g} to {pictures.max():g}; they go from 0 to 255")
    if pictures.dtype.kind == "f" and 0 < pictures.max() <= 1:
        raise PicturesError(f"{name} has pixels from 0 to 1; they go from 0 to 255")
    return pictures.astype(np.uint8)
