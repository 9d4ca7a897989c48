"""Which pictures show the same sign by the road, and a split that keeps those together.

A car that drives by a sign takes dozens of pictures of it. Where some of them are learned and others judge, what is
judged is memory. Data that know their tracks say so (`track` in pictures.py); in others, pictures of a class that are
nearly the same are taken for one track: a lower bound, since the pictures of a track may differ by more than those of
two signs do.
"""

import numpy as np

# The correlation from which two pictures of a class count as one track's. Only what is of one class is compared; of
# other classes it can be counted how often two signs look so alike: see `twins` in bench/traffic_signs_seed.py.
ALIKE = 0.9


def features(pictures):
    """Pictures, uint8 (n, 32, 32, 3) -> (n, 768) of mean 0 and length 1, so that light hardly counts."""
    small = pictures.astype(np.float32).reshape(len(pictures), 16, 2, 16, 2, 3).mean((2, 4))
    flat = (small - small.mean((1, 2), keepdims=True)).reshape(len(pictures), -1)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


def found(pictures, labels, alike=ALIKE):
    """A track's number for each picture, (n,): pictures of a class that are alike, or alike to one that is, are one."""
    near, track = features(pictures), np.arange(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        linked = near[members] @ near[members].T > alike
        for one, other in np.argwhere(np.triu(linked, 1)):
            old, new = track[members[other]], track[members[one]]
            if old != new:
                track[members[track[members] == old]] = new
    return np.unique(track, return_inverse=True)[1]


def split(labels, track, *, validation, seed):
    """(training, validation) indices; about `validation` (0 to 1) of every class, in whole tracks.

    A track that is more than twice that is learned, and so is the last one of a class: a class of few tracks may have
    nothing to judge it by.
    """
    random = np.random.default_rng(seed)
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = labels == label
        wanted = validation * members.sum()
        of_class = random.permutation(np.unique(track[members]))
        for one in of_class[:-1]:
            whole = members & (track == one)
            if (held & members).sum() < wanted and (held & members).sum() + whole.sum() <= 2 * wanted + 1:
                held |= whole
    return np.flatnonzero(~held), np.flatnonzero(held)
