"""Watches XGBoost: metrics of each round, importances of the features, and the shape of each round's trees.

    booster = xgboost.train(..., callbacks=[probe.watch(xgboost)])
    model = XGBClassifier(..., callbacks=[probe.watch(xgboost)])

A round is a step. Names: `metric/<data>-<metric>`; `importance/<type>` with one element a feature, in the booster's
order, and `importance/<type>/<feature>`; `tree/depth`, `tree/leaves`, `tree/nodes`, each with one element a tree of
the round.
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


class XGBoostWatcher(Watcher):
    """Watches by its callback alone, whatever is trained with it."""

    def __init__(self, recorder: Recorder) -> None:
        self.callback = RoundCallback(recorder)
        names = {f"importance/{kind}": layout.IMPORTANCE for kind in IMPORTANCES}
        recorder.declare({**names, **{f"tree/{what}": layout.TREE for what in ("depth", "leaves", "nodes")}})


class RoundCallback(xgboost.callback.TrainingCallback):
    """Saves after each round, and ends the step."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.problems, self._recorder = recorder.problems, recorder

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Saves the round, and ends the step; by False XGBoost goes on."""
        self._round(model, epoch, evals_log)
        self._recorder.step()
        return False

    @harmless("saving a round")
    def _round(self, model: Any, epoch: int, evals_log: Any) -> None:
        for data, metrics in evals_log.items():
            for metric, values in metrics.items():
                latest = values[-1][0] if isinstance(values[-1], tuple) else values[-1]  # (mean, std) in xgboost.cv
                self._recorder.offer_number(f"metric/{data}-{metric}", layout.METRIC, latest)
        if not isinstance(model, xgboost.Booster):  # xgboost.cv's folds have no model of their own
            return
        if self._recorder.is_due(self._recorder.declare({"importance/gain": layout.IMPORTANCE})):
            self._importances(model)
        if self._recorder.is_due(self._recorder.declare({"tree/depth": layout.TREE})):
            self._trees(model[epoch : epoch + 1])

    def _importances(self, model: Any) -> None:
        names = model.feature_names or [f"f{number}" for number in range(model.num_features())]
        for kind in IMPORTANCES:
            scores = model.get_score(importance_type=kind)
            values = np.array([float(scores.get(name, 0.0)) for name in names])
            self._recorder.offer(f"importance/{kind}", layout.IMPORTANCE, values)
            for name, value in zip(names, values):
                self._recorder.offer_number(f"importance/{kind}/{name}", layout.IMPORTANCE, value)

    def _trees(self, of_round: Any) -> None:
        shapes = np.array([_shape(json.loads(tree)) for tree in of_round.get_dump(dump_format="json")])
        if shapes.size:
            for column, what in enumerate(("depth", "leaves", "nodes")):
                self._recorder.offer(f"tree/{what}", layout.TREE, shapes[:, column])


def _shape(node: Any) -> tuple[int, int, int]:
    """A tree's depth (0 of a leaf alone), leaves and nodes."""
    if "leaf" in node:
        return 0, 1, 1
    parts = [_shape(child) for child in node["children"]]
    return 1 + max(part[0] for part in parts), sum(part[1] for part in parts), 1 + sum(part[2] for part in parts)
