"""t-SNE, exactly: points on a plane so that neighbours stay neighbours (van der Maaten and Hinton 2008).

For a few hundred points; each step compares every pair. scikit-learn has it faster for many, but the framework's images
have no scikit-learn. Nothing in it is drawn at random: the same points and the same start give the same picture.
"""

from __future__ import annotations

import numpy as np

# Steps of gradient descent, and how many of them, at first, everything attracts so many times more: by that clusters
# find together (the paper's "early exaggeration"). From an earlier layout it takes less, and keeps the arrangement.
STEPS, EXAGGERATED, EXAGGERATION = 400, 100, 12.0
MORE_STEPS, MORE_EXAGGERATED, MORE_EXAGGERATION = 230, 30, 4.0
MOMENTUM, LATE_MOMENTUM = 0.5, 0.8
LEAST_GAIN = 0.01
LEAST_RATE = 50.0


def layout(points, *, perplexity=30.0, start=None):
    """Places on a plane, (n, 2), around the origin.

    Args:
        points: (n, dimensions), more than three times the perplexity.
        perplexity: about how many neighbours a point has.
        start: a layout of the same points when they lay elsewhere: this one will resemble it. Without, it begins with
            their principal components.

    Raises:
        ValueError: too few points for the perplexity.
    """
    if not 1 < perplexity < len(points) / 3:
        limit = f"{len(points) / 3:g}"
        raise ValueError(f"perplexity is {perplexity:g}; of {len(points)} points it lies between 1 and {limit}")
    joint = _affinities(np.asarray(points, np.float64), perplexity).astype(np.float32)
    if start is None:
        begin = 1e-4 * normalised(_principal(points))
        return _descended(joint, begin, STEPS, EXAGGERATED, EXAGGERATION)
    return _descended(joint, start, MORE_STEPS, MORE_EXAGGERATED, MORE_EXAGGERATION)


def normalised(places):
    """The places around the origin, with a mean distance of 1 from it."""
    centred = places - places.mean(axis=0)
    return centred / (np.hypot(*centred.T).mean() or 1.0)


def _descended(joint, start, steps, exaggerated, exaggeration):
    """Where points come to from `start`, by gradients of the divergence with momentum and gains (Jacobs 1988)."""
    places = np.array(start, np.float32)
    moves, gains = np.zeros_like(places), np.ones_like(places)
    rate = max(len(places) / EXAGGERATION, LEAST_RATE)  # Belkina et al. 2019
    for step in range(steps):
        early = step < exaggerated
        gradient = _gradient(joint * exaggeration if early else joint, places)
        gains = np.where(np.sign(gradient) != np.sign(moves), gains + 0.2, gains * 0.8).clip(LEAST_GAIN)
        moves = (MOMENTUM if early else LATE_MOMENTUM) * moves - rate * gains * gradient
        places += moves
    return (places - places.mean(axis=0)).astype(np.float64)


def _principal(points):
    """The points' two principal components, (n, 2); each to the side on which its largest entry is positive."""
    centred = np.asarray(points, np.float64) - np.mean(points, axis=0)
    directions = np.linalg.svd(centred, full_matrices=False)[2][:2]
    found = centred @ directions.T
    return found * np.sign(found[np.abs(found).argmax(axis=0), [0, 1]])


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
