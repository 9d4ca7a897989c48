"""Pictures with their labels as NumPy arrays in .npz files, and as what the network takes."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from network import SIZE

SHAPE = (SIZE, SIZE, 3)
PICTURES, LABELS, TRACKS = "X", "y", "track"


class PicturesError(Exception):
    """Something that holds no pictures as the network takes them."""


def load(folder):
    """All .npz files of a channel -> pictures (n, 32, 32, 3) as bytes, labels (n,) as texts, tracks (n,) or None.

    A track is one sign by the road: a car that drives by takes several pictures of it.

    Raises:
        PicturesError: a file, or what is missing or wrong in it.
    """
    files = sorted(Path(folder).rglob("*.npz"))
    if not files:
        raise PicturesError(f"no .npz file in {folder}; signs.py draws one")
    parts = [_arrays(path) for path in files]
    with_tracks = [TRACKS in part for part in parts]
    if any(with_tracks) and not all(with_tracks):
        without = files[with_tracks.index(False)].name
        raise PicturesError(f"{without} has no array {TRACKS!r}, which other files have; tracks must be known of all")
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return joined[PICTURES], joined[LABELS], joined.get(TRACKS)


def _arrays(path):
    try:
        with np.load(path, allow_pickle=False) as file:  # pickles would run code
            found = {name: file[name] for name in (PICTURES, LABELS, TRACKS) if name in file.files}
    except (ValueError, OSError, EOFError, BadZipFile) as error:
        raise PicturesError(f"{path.name} can't be read: {error}") from error
    for name in (PICTURES, LABELS):
        if name not in found:
            raise PicturesError(f"{path.name} has no array {name!r}; X (n, 32, 32, 3) and y (n,) are needed")
    checked(found[PICTURES], path.name)
    for name in found.keys() - {PICTURES}:
        if found[name].shape != (len(found[PICTURES]),):
            raise PicturesError(
                f"{path.name}: {name!r} has the shape {found[name].shape}; there are {len(found[PICTURES])} pictures"
            )
    return {**found, LABELS: found[LABELS].astype(str)}


def checked(pictures, name):
    """The pictures, uint8 (n, 32, 32, 3); whole numbers of another type are taken too. Raises PicturesError."""
    if pictures.ndim != 4 or pictures.shape[1:] != SHAPE:
        raise PicturesError(f"{name} has pictures of shape {pictures.shape}; (n, {SIZE}, {SIZE}, 3) is needed")
    if not len(pictures):
        raise PicturesError(f"{name} has no pictures")
    if pictures.dtype.kind not in "uif" or not np.isfinite(pictures).all():
        raise PicturesError(f"{name} has pixels of type {pictures.dtype}, or ones that are no numbers")
    if pictures.min() < 0 or pictures.max() > 255:
        raise PicturesError(f"{name} has pixels from {pictures.min():g} to {pictures.max():g}; they go from 0 to 255")
    if pictures.dtype.kind == "f" and 0 < pictures.max() <= 1:
        raise PicturesError(f"{name} has pixels from 0 to 1; they go from 0 to 255")
    return pictures.astype(np.uint8)


def tensor(pictures):
    """Pictures as bytes -> (n, 3, 32, 32), about -2 to 2."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div_(63.75).sub_(2.0).contiguous()
