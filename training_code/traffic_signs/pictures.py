"""Pictures with their labels as NumPy arrays in .npz files, and as what the network takes."""

import torch
from network import SIZE

from toolkit import picture_arrays
from toolkit.picture_arrays import LABELS, PICTURES

TRACKS = "track"


def load(folder):
    """All .npz files of a channel -> pictures (n, 32, 32, 3) as bytes, labels (n,) as texts, tracks (n,) or None.

    A track is one sign by the road: a car that drives by takes several pictures of it. Raises PicturesError.
    """
    found = picture_arrays.load(folder, SIZE, besides=[TRACKS], example="signs.py")
    return found[PICTURES], found[LABELS], found.get(TRACKS)


def checked(pictures, name):
    """The pictures, uint8 (n, 32, 32, 3). Raises PicturesError."""
    return picture_arrays.checked(pictures, SIZE, name)


def tensor(pictures):
    """Pictures as bytes -> (n, 3, 32, 32), about -2 to 2."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div_(63.75).sub_(2.0).contiguous()
