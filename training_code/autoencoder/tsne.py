"""t-SNE, exactly: points on a plane so that neighbours stay neighbours (van der Maaten and Hinton 2008).

For a few hundred points; each step compares every pair. scikit-learn has it faster for many, but the framework's images
have no scikit-learn. Nothing in it is drawn at random: the same points and the same start give the same picture.
"""

from __future__ import annotations

import numpy as np

# Gao et al. and the paper's own code: for a while everything attracts more, so that clusters can pass each other.
EXAGGERATION, EXAGGERATED = 12.0, 100
STEPS = 400
MOMENTUM, LATE_MOMENTUM = 0.5, 0.8
LEAST_GAIN = 0.01


def layout(points, start, *, perplexity=30.0, steps=STEPS, exaggerated=EXAGGERATED):
    """Places on a plane, (n, 2), around the origin with a mean distance of 1 from it.

    Args:
        points: (n, dimensions), more than three times the perplexity.
        start: (n, 2), where the points begin: their principal components, or where an earlier layout has left them.
        perplexity: about how many neighbours a point has.
        steps: of gradient descent; during the first `exaggerated` ones everything attracts more.

    Raises:
        ValueError: too few points for the perplexity.
    """
    if not 1 < perplexity < len(points) / 3:
        raise ValueError(
            f"perplexity is {perplexity:g}; of {len(points)} points it lies between 1 and {len(points) / 3:g}"
        )
    joint = _affinities(np.asarray(points, np.float64), perplexity).astype(np.float32)
    places = (1e-4 * _scaled(np.asarray(start, np.float64))).astype(np.float32)
    moves, gains = np.zeros_like(places), np.ones_like(places)
    rate = len(points) / EXAGGERATION  # Belkina et al. 2019
    for step in range(steps):
        early = step < exaggerated
        gradient = _gradient(joint * EXAGGERATION if early else joint, places)
        # Delta-bar-delta (Jacobs 1988), as in the paper.
        gains = np.where(np.sign(gradient) != np.sign(moves), gains + 0.2, gains * 0.8).clip(LEAST_GAIN)
        moves = (MOMENTUM if early else LATE_MOMENTUM) * moves - max(rate, 50.0) * gains * gradient
        places += moves
    return _scaled(places.astype(np.float64))


def principal(points):
    """The points' two principal components, (n, 2); each to the side on which its largest entry is positive."""
    centred = points - points.mean(axis=0)
    _, _, directions = np.linalg.svd(np.asarray(centred, np.float64), full_matrices=False)
    found = centred @ directions[:2].T
    return found * np.sign(found[np.abs(found).argmax(axis=0), [0, 1]])


def _scaled(places):
    centred = places - places.mean(axis=0)
    return centred / (np.hypot(*centred.T).mean() or 1.0)


def _affinities(points, perplexity):
    """How likely two points are neighbours, (n, n), all together 1."""
    squares = (points**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0)
    np.fill_diagonal(distances, np.inf)
    chances = _neighbours(distances, np.log(perplexity))
    return np.maximum((chances + chances.T) / (2 * len(points)), 1e-12)


def _neighbours(distances, entropy):
    """Each point's chances of its neighbours, (n, n): a bell just so wide that they have this entropy; by bisection."""
    nearest = distances.min(axis=1, keepdims=True)
    low, high = np.zeros((len(distances), 1)), np.full((len(distances), 1), np.inf)
    narrow = 1 / np.maximum(np.median(distances, axis=1, keepdims=True) - nearest, 1e-12)
    for _ in range(50):
        weights = np.exp(-(distances - nearest) * narrow)
        total = weights.sum(axis=1, keepdims=True)
        chances = weights / total
        finite = np.where(np.isfinite(distances), distances - nearest, 0)
        found = np.log(total) + narrow * (finite * chances).sum(axis=1, keepdims=True)
        wide = found > entropy
        low, high = np.where(wide, narrow, low), np.where(wide, high, narrow)
        narrow = np.where(np.isfinite(high), (low + high) / 2, 2 * narrow)
    return chances


def _gradient(joint, places):
    squares = (places**2).sum(axis=1)
    closeness = 1 / (1 + np.maximum(squares[:, None] + squares - 2 * places @ places.T, 0))
    np.fill_diagonal(closeness, 0)
    forces = (joint - closeness / closeness.sum()) * closeness
    return 4 * (forces.sum(axis=1)[:, None] * places - forces @ places)
