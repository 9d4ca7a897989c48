"""The model of the Bayesian strategy: a program that runs in the tuner's own environment, with NumPy and SciPy.

It reads a line of JSON, a question as `bayesian.question` makes it, and answers with a line, {"places": [[coordinates],
…]}, the best first, or {"error": what went wrong}; until its input ends. It keeps nothing between questions: the same
question has the same answer.

A Gaussian process is fitted to the scores, which are brought nearer to a normal distribution first. Its kernel has two
scales, a smooth and a rough one. The smooth one (Matérn 5/2) has a length a hyperparameter (automatic relevance
determination). The rough one (Matérn 3/2) is as short in all of them: it is the luck of a place, which its neighbours
share, such as that of a forest with a certain number of trees. The level of the scores is unknown to it, too: the mean
of those that it has would say more and more, as the search comes to where they are good, that they are good elsewhere.

Trials that are still running count with what the model expects of them (the "kriging believer" of Ginsbourger et al.,
2010), so that parallel trials keep apart. The next trial is where the expected improvement is largest, by more than a
margin: without it the search stays beside a lucky place once it has found one, and tries its neighbours, which are all
as good.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize
from scipy.special import ndtr, ndtri

# The fit is cubic in the number of scores: beyond these the best and the newest are kept.
MOST_POINTS = 240
# Steps of the fit of the kernel's parameters: more change little and cost half a millisecond each.
_FIT_STEPS = 25
_SPREAD, _AROUND, _NEIGHBOURS, _OTHERS = 1000, 6, 60, 200
# How far neighbours lie, in shares of a coordinate's range: at all distances first, then beside the best of those.
_NEAREST, _FARTHEST, _BESIDE = 0.01, 0.5, 0.02
# In standard deviations: a score as bad as these is bad enough.
_WORST = 3
# What an improvement must be to count as one, in standard deviations of the scores.
_MARGIN = 0.3
# The kernel's parameters as logarithms: what is usual, how far off that may well be, the least and the largest.
# Variances are in those of the scores, lengths in a hyperparameter's range.
_SMOOTH = (0.0, 1.0, -2.3, 3.0)
_ROUGH = (-2.0, 1.0, -9.0, 1.0)
_NOISE = (-7.0, 2.0, -11.5, 0.0)
_REACH = (-2.5, 0.5, -4.0, 0.5)
_LENGTH = (0.0, 1.0, -3.0, 3.0)
# The variance of the scores' level.
_LEVEL = 4.0
# Added to the noise, so that places that are nearly the same can be told apart in floating-point numbers.
_JITTER = 1e-8

Array = Any
Worth = Callable[[Array], Array]


@dataclass(frozen=True)
class Kernel:
    """How alike the scores of two places are, by how far they lie apart.

    smooth, rough, noise: variances.
    reach: the rough part's length, in all hyperparameters; lengths: the smooth part's, one a hyperparameter.
    """

    smooth: float
    rough: float
    noise: float
    reach: float
    lengths: Array

    def parts(self, far: Array, near: Array) -> tuple[Array, Array]:
        """The smooth and the rough part at distances: both squared, in lengths and in reaches."""
        far, near = np.sqrt(5 * far), np.sqrt(3 * near)
        return self.smooth * (1 + far + far**2 / 3) * np.exp(-far), self.rough * (1 + near) * np.exp(-near)

    def slopes(self, far: Array, near: Array) -> tuple[Array, Array]:
        """By how much both change with squared distances."""
        far, near = np.sqrt(5 * far), np.sqrt(3 * near)
        return -5 / 6 * self.smooth * (1 + far) * np.exp(-far), -3 / 2 * self.rough * np.exp(-near)


class Process:
    """A Gaussian process: what known scores say of other places. Places are columns as `_columns` makes them."""

    def __init__(self, kernel: Kernel, columns: Array, owners: Array, values: Array) -> None:
        self._kernel, self._columns, self._lengths = kernel, columns, kernel.lengths[owners]
        covariance = self._covariance(columns) + (kernel.noise + _JITTER) * np.eye(len(columns))
        self._factor = cho_factor(covariance, lower=True)
        self._solved = cho_solve(self._factor, values)

    def expected(self, columns: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the scores at other places, the noise left out."""
        covariance = self._covariance(columns)
        explained = solve_triangular(self._factor[0], covariance.T, lower=True, check_finite=False)
        variance = self._kernel.smooth + self._kernel.rough + _LEVEL - (explained**2).sum(axis=0)
        return covariance @ self._solved, np.sqrt(np.maximum(variance, 1e-12))

    def _covariance(self, columns: Array) -> Array:
        far, near = (_squares(columns / unit, self._columns / unit) for unit in (self._lengths, self._kernel.reach))
        smooth, rough = self._kernel.parts(far, near)
        return smooth + rough + _LEVEL


def answer(question: dict[str, Any]) -> list[list[float]]:
    """Places for the next trial, the best first."""
    axes = question["axes"]
    draw = np.random.default_rng(question["seed"])
    points, scores = _kept(np.array(question["points"], float), np.array(question["scores"], float))
    values = learnable(scores)
    columns, owners = _columns(points, axes)
    kernel = fitted(columns, owners, values)
    model = Process(kernel, columns, owners, values)
    if question["pending"]:
        pending = np.array(question["pending"], float)
        values = np.append(values, model.expected(_columns(pending, axes)[0])[0])
        points = np.vstack([points, pending])
        model = Process(kernel, _columns(points, axes)[0], owners, values)
    best = points[np.argsort(-values, kind="stable")[:_AROUND]]
    distances = np.exp(draw.uniform(np.log(_NEAREST), np.log(_FARTHEST), (len(best) * _NEIGHBOURS, 1)))
    places = snapped(np.vstack([draw.random((_SPREAD, len(axes))), _around(best, distances, axes, draw)]), axes)
    worth = _improvement(model, points, axes)
    others = _in_order(_new(places, points), worth)[:_OTHERS]
    first = others[:1]
    nearer = snapped(np.vstack([first, _around(first, _BESIDE, axes, draw)]), axes)
    # The first ones may all be rounded to values that a trial has had.
    return [*_in_order(_new(nearer, points), worth).tolist(), *others.tolist()]


def fitted(columns: Array, owners: Array, values: Array) -> Kernel:
    """The most probable kernel for scores."""
    squares = (columns[:, None, :] - columns[None, :, :]) ** 2
    squares = np.stack([squares[:, :, owners == owner].sum(axis=2) for owner in range(owners[-1] + 1)])
    usual = np.array([_SMOOTH, _ROUGH, _NOISE, _REACH, *[_LENGTH] * len(squares)])

    def loss(logarithms: Array) -> tuple[float, Array]:
        unlikely, slope = _misfit(_kernel(logarithms), squares, values)
        off = (logarithms - usual[:, 0]) / usual[:, 1]
        return unlikely + (off**2).sum() / 2, slope + off / usual[:, 1]

    options = {"maxiter": _FIT_STEPS}
    found = minimize(loss, usual[:, 0], jac=True, bounds=usual[:, 2:], method="L-BFGS-B", options=options)
    return _kernel(found.x)


def _kernel(logarithms: Array) -> Kernel:
    smooth, rough, noise, reach, *lengths = np.exp(logarithms)
    return Kernel(smooth, rough, noise, reach, np.array(lengths))


def _misfit(kernel: Kernel, squares: Array, values: Array) -> tuple[float, Array]:
    """The negative logarithm of how likely scores are with a kernel, and its slope by the parameters' logarithms."""
    far, near = np.tensordot(1 / kernel.lengths**2, squares, 1), squares.sum(axis=0) / kernel.reach**2
    smooth, rough = kernel.parts(far, near)
    one = np.eye(len(values))
    factor = cho_factor(smooth + rough + _LEVEL + (kernel.noise + _JITTER) * one, lower=True)
    solved = cho_solve(factor, values)
    pull = (cho_solve(factor, one) - np.outer(solved, solved)) / 2
    by_far, by_near = kernel.slopes(far, near)
    lengths = np.tensordot(squares, pull * by_far, 2) * -2 / kernel.lengths**2
    variances = (pull * smooth).sum(), (pull * rough).sum(), kernel.noise * np.trace(pull)
    slope = np.array([*variances, -2 * (pull * by_near * near).sum(), *lengths])
    return values @ solved / 2 + np.log(np.diag(factor[0])).sum(), slope


def _squares(these: Array, those: Array) -> Array:
    """Squared distances of rows."""
    squares = (these**2).sum(axis=1)[:, None] + (those**2).sum(axis=1) - 2 * these @ those.T
    return np.maximum(squares, 0)


def learnable(scores: Array) -> Array:
    """Scores as the model learns them: half by their ranks as quantiles of the normal distribution, half as they are.

    Ranks alone make much of tiny differences, and scores alone are ruled by the few that are very bad.
    """
    order = np.sort(scores)
    ranks = (np.searchsorted(order, scores, "left") + np.searchsorted(order, scores, "right")) / 2
    quantiles = ndtri(np.clip(ranks / len(scores), 0.5 / len(scores), 1 - 0.5 / len(scores)))
    standard = (scores - scores.mean()) / (scores.std() or 1)
    values = (quantiles + np.clip(standard, -_WORST, _WORST)) / 2
    return values - values.mean()


def snapped(places: Array, axes: list[dict[str, Any]]) -> Array:
    """Places moved to the nearest ones that are values of their hyperparameters."""
    moved = np.clip(places, 0, 1)
    for column, axis in enumerate(axes):
        if axis["kind"] != "range":
            allowed = np.array(axis["places"])
            middles = (allowed[1:] + allowed[:-1]) / 2
            moved[:, column] = allowed[np.searchsorted(middles, moved[:, column])]
    return moved


def _kept(points: Array, scores: Array) -> tuple[Array, Array]:
    if len(scores) <= MOST_POINTS:
        return points, scores
    best = np.argsort(-scores, kind="stable")[: MOST_POINTS // 2]
    rest = np.setdiff1d(np.arange(len(scores)), best)[-(MOST_POINTS - len(best)) :]
    chosen = np.sort(np.concatenate([best, rest]))
    return points[chosen], scores[chosen]


def _columns(places: Array, axes: list[dict[str, Any]]) -> tuple[Array, Array]:
    """Places as the model sees them, and which axis each column is of: a category is a column of its own, all of an
    axis equally far from each other."""
    columns, owners = [], []
    for index, axis in enumerate(axes):
        place = places[:, index]
        is_category = axis["kind"] == "categories"
        made = [np.isclose(place, each) * np.sqrt(0.5) for each in axis["places"]] if is_category else [place]
        columns += made
        owners += [index] * len(made)
    return np.column_stack(columns), np.array(owners)


def _improvement(model: Process, points: Array, axes: list[dict[str, Any]]) -> Worth:
    """The logarithm of the expected improvement: over the best place that is known, as the model sees it, by more than
    a margin."""
    best = model.expected(_columns(_inside(points), axes)[0])[0].max() + _MARGIN

    def expected(places: Array) -> Array:
        mean, deviation = model.expected(_columns(places, axes)[0])
        return np.log(deviation) + _log_gain((mean - best) / deviation)

    return expected


def _log_gain(gain: Array) -> Array:
    """The logarithm of a standard normal variable's expected improvement, which is no number where it is tiny."""
    near = np.maximum(gain, -6)
    density = np.exp(-(near**2) / 2) / np.sqrt(2 * np.pi)
    far = np.minimum(gain, -6)
    tail = -(far**2) / 2 - np.log(np.sqrt(2 * np.pi) * far**2) + np.log1p(-3 / far**2 + 15 / far**4)
    return np.where(gain > -6, np.log(density + near * ndtr(near)), tail)


def _inside(points: Array) -> Array:
    """Those in the unit cube; a parent's may lie outside. All of them where none is."""
    inside = ((points >= 0) & (points <= 1)).all(axis=1)
    return points[inside] if inside.any() else points


def _around(places: Array, distances: Any, axes: list[dict[str, Any]], draw: np.random.Generator) -> Array:
    """Neighbours of places: some coordinates moved, others as they are. A category's neighbours are all others."""
    repeated = np.repeat(places, _NEIGHBOURS, axis=0)
    steps = np.array([1 / len(axis["places"]) if axis["kind"] == "values" else 0.0 for axis in axes])
    moved = repeated + draw.normal(size=repeated.shape) * np.maximum(distances, steps)
    is_category = np.array([axis["kind"] == "categories" for axis in axes])
    moved = np.where(is_category, draw.random(repeated.shape), moved)
    return np.where(draw.random(repeated.shape) < max(0.5, 1 / len(axes)), moved, repeated)


def _new(places: Array, known: Array) -> Array:
    """Those that no trial has had; all of them where there are no others."""
    distances = np.abs(places[:, None, :] - known[None, :, :]).max(axis=2).min(axis=1)
    return places[distances > 1e-9] if (distances > 1e-9).any() else places


def _in_order(places: Array, worth: Worth) -> Array:
    """The best first."""
    return places[np.argsort(-worth(places), kind="stable")]


def main() -> None:
    """Answers questions until there are no more."""
    for line in sys.stdin:
        try:
            said: dict[str, Any] = {"places": answer(json.loads(line))}
        except Exception:  # noqa: BLE001 - told to the one who asked
            said = {"error": traceback.format_exc(limit=-3)}
        print(json.dumps(said), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
