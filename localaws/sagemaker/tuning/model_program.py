"""The model of the Bayesian strategy: a program that runs in the tuner's own environment, with scikit-learn.

It reads a line of JSON, a question as `bayesian.question` makes it, and answers with a line, {"place": [coordinates]}
or {"error": what went wrong}; until its input ends. It keeps nothing between questions: the same question has the same
answer.

A Gaussian process with a Matérn 5/2 kernel and a length a coordinate (automatic relevance determination) is fitted to
the scores, which are brought nearer to a normal distribution first. Trials that are still running count with what the
model expects of them (the "kriging believer" of Ginsbourger et al., 2010), so that parallel trials keep apart. The next
trial is where the expected improvement is largest.
"""

from __future__ import annotations

import json
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import ndtr, ndtri
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Kernel, Matern, WhiteKernel

# The fit is cubic in the number of scores: beyond these the best and the newest are kept.
MOST_POINTS = 240
# Steps of the fit of the kernel's parameters: more change little and cost a millisecond each.
_FIT_STEPS = 25
_SPREAD, _AROUND, _NEIGHBOURS = 1000, 6, 60
# How far neighbours lie, in shares of a coordinate's range.
_FAR, _NEAR = 0.1, 0.02
# In standard deviations: a score as bad as these is bad enough.
_FARTHEST = 3

Array = Any


def answer(question: dict[str, Any]) -> list[float]:
    """The place of the next trial."""
    axes = question["axes"]
    draw = np.random.default_rng(question["seed"])
    points, scores = _kept(np.array(question["points"], float), np.array(question["scores"], float))
    values = learnable(scores)
    pending = np.array(question["pending"], float).reshape(-1, len(axes))
    model = _fitted(_encoded(points, axes), values)
    if len(pending):
        points = np.vstack([points, pending])
        values = np.append(values, model.predict(_encoded(pending, axes)))
        model = GaussianProcessRegressor(model.kernel_, optimizer=None).fit(_encoded(points, axes), values)
    best = points[np.argsort(-values, kind="stable")[:_AROUND]]
    places = snapped(np.vstack([draw.random((_SPREAD, len(axes))), _around(best, _FAR, axes, draw)]), axes)
    improvement = _improvement(model, _encoded(_inside(points), axes))
    first = _best_of(_new(places, points), improvement, axes)
    nearer = snapped(np.vstack([first, _around(first, _NEAR, axes, draw)]), axes)
    return [float(each) for each in _best_of(_new(nearer, points), improvement, axes)[0]]


def learnable(scores: Array) -> Array:
    """Scores as the model learns them: half by their ranks as quantiles of the normal distribution, half as they are.

    Ranks alone make much of tiny differences, and scores alone are ruled by the few that are very bad.
    """
    order = np.sort(scores)
    ranks = (np.searchsorted(order, scores, "left") + np.searchsorted(order, scores, "right")) / 2
    quantiles = ndtri(np.clip(ranks / len(scores), 0.5 / len(scores), 1 - 0.5 / len(scores)))
    standard = (scores - scores.mean()) / (scores.std() or 1)
    return (quantiles + np.clip(standard, -_FARTHEST, _FARTHEST)) / 2


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


def _encoded(places: Array, axes: list[dict[str, Any]]) -> Array:
    """Places as the model sees them: a category is a coordinate of its own, all of them equally far from each other."""
    columns = []
    for column, axis in enumerate(axes):
        place = places[:, column]
        if axis["kind"] == "categories":
            columns += [np.isclose(place, each) * np.sqrt(0.5) for each in axis["places"]]
        else:
            columns.append(place)
    return np.column_stack(columns)


def _fitted(points: Array, values: Array) -> GaussianProcessRegressor:
    kernel: Kernel = ConstantKernel(1.0, (0.1, 20.0)) * Matern([0.5] * points.shape[1], (0.05, 20.0), nu=2.5)
    kernel += WhiteKernel(1e-3, (1e-5, 1e-2))  # a trial's value is what counts, its luck included
    return GaussianProcessRegressor(kernel, optimizer=_minimum).fit(points, values)


def _minimum(loss: Callable[..., Any], start: Array, bounds: Array) -> tuple[Array, float]:
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": _FIT_STEPS})
    return found.x, found.fun


def _improvement(model: GaussianProcessRegressor, known: Array) -> Callable[[Array], Array]:
    """Expected improvement over the best place that is known, as the model sees it without its noise."""
    best = model.predict(known).max()
    noise = model.kernel_.k2.noise_level

    def expected(places: Array) -> Array:
        mean, deviation = model.predict(places, return_std=True)
        deviation = np.sqrt(np.maximum(deviation**2 - noise, 1e-12))
        gain = (mean - best) / deviation
        density = np.exp(-(gain**2) / 2) / np.sqrt(2 * np.pi)
        return deviation * (gain * ndtr(gain) + density)

    return expected


def _inside(points: Array) -> Array:
    """Those in the unit cube; a parent's may lie outside. All of them where none is."""
    inside = ((points >= 0) & (points <= 1)).all(axis=1)
    return points[inside] if inside.any() else points


def _around(places: Array, share: float, axes: list[dict[str, Any]], draw: np.random.Generator) -> Array:
    """Neighbours of places: some coordinates moved, others as they are. A category's neighbours are all others."""
    repeated = np.repeat(places, _NEIGHBOURS, axis=0)
    shares = [max(share, 1 / len(axis["places"])) if axis["kind"] == "values" else share for axis in axes]
    moved = repeated + draw.normal(0, shares, repeated.shape)
    is_category = np.array([axis["kind"] == "categories" for axis in axes])
    moved = np.where(is_category, draw.random(repeated.shape), moved)
    return np.where(draw.random(repeated.shape) < max(0.5, 1 / len(axes)), moved, repeated)


def _new(places: Array, known: Array) -> Array:
    """Those that no trial has had; all of them where there are no others."""
    distances = np.abs(places[:, None, :] - known[None, :, :]).max(axis=2).min(axis=1)
    return places[distances > 1e-9] if (distances > 1e-9).any() else places


def _best_of(places: Array, worth: Callable[[Array], Array], axes: list[dict[str, Any]]) -> Array:
    return places[[int(np.argmax(worth(_encoded(places, axes))))]]


def main() -> None:
    """Answers questions until there are no more."""
    warnings.simplefilter("ignore")  # a fit that isn't quite at its optimum is good enough
    for line in sys.stdin:
        try:
            said: dict[str, Any] = {"place": answer(json.loads(line))}
        except Exception:  # noqa: BLE001 - told to the one who asked
            said = {"error": traceback.format_exc(limit=-3)}
        print(json.dumps(said), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
