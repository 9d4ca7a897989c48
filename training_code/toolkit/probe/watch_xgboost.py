"""Watches XGBoost: metrics of each round, importances of the features, and the shape of each round's trees.

    booster = xgboost.train(..., callbacks=[probe.watch(xgboost)])
    model = XGBClassifier(..., callbacks=[probe.watch(xgboost)])

A round is a step. Names: `metric/<data>-<metric>`; `importance/<type>` with one element a feature, in the booster's
order, and of weight and gain `importance/<type>/<feature>` too; `tree/depth`, `tree/leaves`, `tree/nodes`, each with
one element a tree of the round. Metrics are saved at each round. Importances and trees, which can take as long as a
round itself, are saved at rounds 0, 8, 16, 32, … unless the probe's settings name their collections.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xgboost

from toolkit.probe import layout
from toolkit.probe.problems import harmless
from toolkit.probe.recorder import Recorder
from toolkit.probe.watcher import Watcher

# xgboost.Booster.get_score, importance_type.
IMPORTANCES = ("weight", "gain", "cover", "total_gain", "total_cover")
# The others are these divided by the weight, and each takes a walk through all trees.
_COUNTED = ("weight", "total_gain", "total_cover")
# Those whose numbers are curves in TensorBoard: five of each feature would be five times the work.
_BY_FEATURE = ("weight", "gain")
# The round after the first at which they are saved, from where it doubles.
_SECOND = 8
SHAPES = ("depth", "leaves", "nodes")


class XGBoostWatcher(Watcher):
    """Watches by its callback alone, whatever is trained with it."""

    def __init__(self, recorder: Recorder) -> None:
        self.callback = RoundCallback(recorder)


class RoundCallback(xgboost.callback.TrainingCallback):
    """Saves after each round, and ends the step."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.problems, self._recorder = recorder.problems, recorder
        # The collections of either, which are asked for at each round.
        self._of_importances = recorder.declare({f"importance/{kind}": layout.IMPORTANCE for kind in IMPORTANCES})
        self._of_trees = recorder.declare({f"tree/{what}": layout.TREE for what in SHAPES})

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Saves the round, and ends the step; by False XGBoost goes on."""
        self._round(model, epoch, evals_log)
        self._recorder.step()
        return False

    @harmless("saving a round")
    def _round(self, model: Any, epoch: int, evals_log: Any) -> None:
        found = {
            f"metric/{data}-{metric}": values[-1]
            for data, metrics in evals_log.items()
            for metric, values in metrics.items()
        }
        latest = [value[0] if isinstance(value, tuple) else value for value in found.values()]  # (mean, std) in cv
        self._recorder.offer_numbers(found, layout.METRIC, latest)
        if not isinstance(model, xgboost.Booster):  # xgboost.cv's folds have no model of their own
            return
        if self._is_due(epoch, self._of_importances):
            self._importances(model)
        if self._is_due(epoch, self._of_trees):
            self._trees(model[epoch : epoch + 1])

    def _is_due(self, epoch: int, collections: frozenset[str]) -> bool:
        seldom = epoch == 0 or (epoch >= _SECOND and epoch & (epoch - 1) == 0)  # a power of two
        return (seldom or not self._recorder.catalogue.are_sparse(collections)) and self._recorder.is_due(collections)

    def _importances(self, model: Any) -> None:
        names = model.feature_names or [f"f{number}" for number in range(model.num_features())]
        for kind, values in _scores(model, names).items():
            self._recorder.offer(f"importance/{kind}", layout.IMPORTANCE, values)
            if kind in _BY_FEATURE:
                by_feature = [f"importance/{kind}/{name}" for name in names]
                self._recorder.offer_numbers(by_feature, layout.IMPORTANCE, values.tolist())

    def _trees(self, of_round: Any) -> None:
        shapes = np.array([_shape(json.loads(tree)) for tree in of_round.get_dump(dump_format="json")])
        if shapes.size:
            for column, what in enumerate(SHAPES):
                self._recorder.offer(f"tree/{what}", layout.TREE, shapes[:, column])


def _scores(model: Any, names: list[str]) -> dict[str, Any]:
    """The features' importances of every kind, in the order of the names; a linear booster has weights alone."""
    found = {}
    for kind in _COUNTED:
        try:
            scores = model.get_score(importance_type=kind)
        except xgboost.core.XGBoostError:
            return found
        found[kind] = np.array([float(scores.get(name, 0.0)) for name in names])
    splits = np.maximum(found["weight"], 1.0)
    means = {kind: found[f"total_{kind}"] / splits for kind in ("gain", "cover")}
    return {kind: {**found, **means}[kind] for kind in IMPORTANCES}


def _shape(node: Any) -> tuple[int, int, int]:
    """A tree's depth (0 of a leaf alone), leaves and nodes."""
    if "leaf" in node:
        return 0, 1, 1
    parts = [_shape(child) for child in node["children"]]
    return 1 + max(part[0] for part in parts), sum(part[1] for part in parts), 1 + sum(part[2] for part in parts)
