"""Whether latents tell digits apart, though no label was learned from: by their neighbours, and by clusters."""

from __future__ import annotations

import numpy as np

NEIGHBOURS = 5
STARTS, MOVES = 10, 100  # of k-means


def knn_accuracy(known, known_labels, asked, asked_labels, neighbours=NEIGHBOURS):
    """The share of the asked points whose label most of their nearest known points have; of a tie the nearest's."""
    right = 0
    for start in range(0, len(asked), 500):
        part = asked[start : start + 500]
        nearest = np.argsort(_squared_distances(part, known), axis=1, kind="stable")[:, :neighbours]
        votes = known_labels[nearest]
        # Each neighbour counts one for its label, and the nearer a little more.
        counts = (votes[:, :, None] == votes[:, None, :]).sum(axis=2) - np.arange(votes.shape[1]) / 100
        chosen = votes[np.arange(len(votes)), counts.argmax(axis=1)]
        right += int((chosen == asked_labels[start : start + 500]).sum())
    return right / len(asked)


def purity(points, labels, seed=0):
    """The share of points that have their cluster's most frequent label; clusters are k-means', as many as labels."""
    names, numbers = np.unique(labels, return_inverse=True)
    clusters = kmeans(points, len(names), seed)
    table = np.zeros((len(names), len(names)), int)
    np.add.at(table, (clusters, numbers), 1)
    return float(table.max(axis=1).sum() / len(points))


def kmeans(points, count, seed=0):
    """Each point's cluster, (n,): the best of ten starts by k-means++ (Arthur and Vassilvitskii 2007)."""
    random = np.random.default_rng(seed)
    found = [_moved(points, _spread(points, count, random)) for _ in range(STARTS)]
    return min(found, key=lambda each: each[0])[1]


def _spread(points, count, random):
    """Centres among the points, drawn by their squared distance from those before."""
    centres = points[random.integers(len(points))][None]
    while len(centres) < count:
        far = _squared_distances(points, centres).min(axis=1)
        drawn = random.choice(len(points), p=far / far.sum()) if far.sum() > 0 else random.integers(len(points))
        centres = np.concatenate([centres, points[drawn][None]])
    return centres


def _moved(points, centres):
    """What is left of squared distances, and each point's cluster, once no centre moves any more (Lloyd 1982)."""
    for _ in range(MOVES):
        nearest = _squared_distances(points, centres).argmin(axis=1)
        members = [points[nearest == number] for number in range(len(centres))]
        moved = np.array(
            [own.mean(axis=0) if len(own) else centre for own, centre in zip(members, centres, strict=True)]
        )
        if np.allclose(moved, centres):
            break
        centres = moved
    distances = _squared_distances(points, centres)
    return distances.min(axis=1).sum(), distances.argmin(axis=1)


def _squared_distances(points, others):
    """(n, m), by the binomial formula: the differences themselves would take too much memory."""
    found = (points**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * points @ others.T
    return np.maximum(found, 0)
