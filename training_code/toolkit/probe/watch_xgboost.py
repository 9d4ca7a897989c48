"""Watches XGBoost: metrics of each round, importances of the features, and the shape of each round's trees.

    booster = xgboost.train(..., callbacks=[probe.watch(xgboost)])
    model = XGBClassifier(..., callbacks=[probe.watch(xgboost)])

A round is a step. Names: `metric/<data>-<metric>`; `importance/<type>` with one element a feature, in the booster's
order, and `importance/<type>/<feature>`; `tree/depth`, `tree/leaves`, `tree/nodes`, each with one element a tree of
the round.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost

from toolkit.probe import layout
from toolkit.probe.problems import harmless

if TYPE_CHECKING:
    from toolkit.probe.core import Probe

# xgboost.Booster.get_score, importance_type.
IMPORTANCES = ("weight", "gain", "cover", "total_gain", "total_cover")


class XGBoostWatcher:
    """Its `callback` is what training takes."""

    def __init__(self, probe: Probe, _model: Any) -> None:
        self.callback = RoundCallback(probe)
        names = {f"importance/{kind}": layout.IMPORTANCE for kind in IMPORTANCES}
        probe.declare({**names, **{f"tree/{what}": layout.TREE for what in ("depth", "leaves", "nodes")}})

    def before_step_ends(self) -> None:
        """The callback has seen it all."""

    def detach(self) -> None:
        """XGBoost drops its callbacks by itself."""


class RoundCallback(xgboost.callback.TrainingCallback):
    """Saves after each round, and ends the step."""

    def __init__(self, probe: Probe) -> None:
        super().__init__()
        self.problems, self._probe = probe.problems, probe

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """XGBoost's; False lets it go on."""
        self._round(model, epoch, evals_log)
        self._probe.step()
        return False

    @harmless("saving a round")
    def _round(self, model: Any, epoch: int, evals_log: Any) -> None:
        for data, metrics in evals_log.items():
            for metric, values in metrics.items():
                latest = values[-1][0] if isinstance(values[-1], tuple) else values[-1]  # (mean, std) in xgboost.cv
                self._probe.offer_number(f"metric/{data}-{metric}", layout.METRIC, latest)
        if not isinstance(model, xgboost.Booster):  # xgboost.cv's folds have no model of their own
            return
        if self._probe.is_due(self._probe.declare({"importance/gain": layout.IMPORTANCE})):
            self._importances(model)
        if self._probe.is_due(self._probe.declare({"tree/depth": layout.TREE})):
            self._trees(model[epoch : epoch + 1])

    def _importances(self, model: Any) -> None:
        names = model.feature_names or [f"f{number}" for number in range(model.num_features())]
        for kind in IMPORTANCES:
            scores = model.get_score(importance_type=kind)
            values = np.array([float(scores.get(name, 0.0)) for name in names])
            self._probe.offer(f"importance/{kind}", layout.IMPORTANCE, values)
            for name, value in zip(names, values, strict=True):
                self._probe.offer_number(f"importance/{kind}/{name}", layout.IMPORTANCE, value)

    def _trees(self, of_round: Any) -> None:
        shapes = np.array([_shape(json.loads(tree)) for tree in of_round.get_dump(dump_format="json")])
        if shapes.size:
            for column, what in enumerate(("depth", "leaves", "nodes")):
                self._probe.offer(f"tree/{what}", layout.TREE, shapes[:, column])


def _shape(node: Any) -> tuple[int, int, int]:
    """Depth (0 of a leaf alone), leaves, nodes."""
    if "leaf" in node:
        return 0, 1, 1
    parts = [_shape(child) for child in node["children"]]
    return 1 + max(part[0] for part in parts), sum(part[1] for part in parts), 1 + sum(part[2] for part in parts)
