"""Watches a fitted scikit-learn estimator: scores it kept while fitting, importances or coefficients, its trees.

    model.fit(x, y)
    probe.watch(model)

What a fit kept by iteration (`loss_curve_`, `train_score_`, `validation_scores_`) becomes a step each: `loss/…`,
`metric/…`. The rest belongs to one step: `importance/features` and `importance/features/<feature>`,
`coefficients`, `tree/depth`, `tree/leaves`, `tree/nodes` with one element a tree. Of a Pipeline, its last step counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from toolkit.probe import layout
from toolkit.probe.errors import ProbeError
from toolkit.probe.problems import harmless
from toolkit.probe.recorder import Recorder
from toolkit.probe.watcher import Watcher

# Attribute of the estimators that keep it → (name, kind).
_BY_ITERATION = {
    "loss_curve_": ("loss/train", layout.LOSS),
    "train_score_": ("loss/train", layout.LOSS),
    "validation_score_": ("metric/validation", layout.METRIC),
    "validation_scores_": ("metric/validation", layout.METRIC),
    "oob_scores_": ("metric/oob", layout.METRIC),
}


class ScikitLearnWatcher(Watcher):
    """Saves at once; there is nothing to follow."""

    def __init__(self, recorder: Recorder, model: Any) -> None:
        self.problems, self._recorder = recorder.problems, recorder
        estimator = model[-1] if hasattr(model, "named_steps") else model
        try:
            check_is_fitted(estimator)
        except NotFittedError:
            name = type(estimator).__name__
            raise ProbeError(f"{name} isn't fitted yet: call probe.watch(model) after fit") from None
        self._iterations(estimator)
        self._whole(estimator)
        recorder.step()

    @harmless("saving what the fit kept by iteration")
    def _iterations(self, estimator: Any) -> None:
        kept = {name: getattr(estimator, name, None) for name in _BY_ITERATION}
        curves = {_BY_ITERATION[name]: np.asarray(v, float) for name, v in kept.items() if v is not None}
        curves = {name: values for name, values in curves.items() if values.ndim == 1}
        steps = max((len(values) for values in curves.values()), default=0)
        for step in range(steps):
            for (name, kind), values in curves.items():
                if step < len(values):
                    self._recorder.offer_number(name, kind, values[step])
            if step < steps - 1:  # the whole estimator belongs to the last
                self._recorder.steps.end()

    @harmless("saving importances and trees")
    def _whole(self, estimator: Any) -> None:
        if (coefficients := getattr(estimator, "coef_", None)) is not None:
            self._coefficients(coefficients)
        if (importances := getattr(estimator, "feature_importances_", None)) is not None:
            names = getattr(estimator, "feature_names_in_", [f"f{number}" for number in range(len(importances))])
            self._recorder.offer("importance/features", layout.IMPORTANCE, importances)
            for name, value in zip(names, importances):
                self._recorder.offer_number(f"importance/features/{name}", layout.IMPORTANCE, value)
        trees = [found.tree_ for found in _trees(estimator)]
        if trees:
            self._recorder.offer("tree/depth", layout.TREE, np.array([tree.max_depth for tree in trees]))
            self._recorder.offer("tree/leaves", layout.TREE, np.array([tree.n_leaves for tree in trees]))
            self._recorder.offer("tree/nodes", layout.TREE, np.array([tree.node_count for tree in trees]))

    def _coefficients(self, coefficients: Any) -> None:
        parts = coefficients if isinstance(coefficients, list) else [coefficients]
        for number, part in enumerate(parts):
            name = "coefficients" if len(parts) == 1 else f"coefficients/{number}"
            self._recorder.offer(name, layout.TENSOR, np.asarray(part))


def _trees(estimator: Any) -> list[Any]:
    if hasattr(estimator, "tree_"):
        return [estimator]
    members = np.asarray(getattr(estimator, "estimators_", []), dtype=object).reshape(-1)
    return [member for member in members if hasattr(member, "tree_")]
