"""Rules over boosted trees."""

from __future__ import annotations

from typing import Any

from toolkit.rules.parameters import Parameter
from toolkit.rules.rule import PAGE, Rule, Selection, Verdict


class TreeDepth(Rule):
    """A tree is deeper than `depth`. The depth is a scalar named …depth where there is one; else floor(log2(n + 1)) of
    the largest node id n, as the page has it, with XGBoost's numbering: the root is 0, its children 1 and 2."""

    parameters = (Parameter("depth", "number", 4.0, "the depth that is fine", minimum=0),)
    default = Selection(collections=("trees",))
    saves = {"trees": {"interval": 1}}  # noqa: RUF012 - read only
    source = f"{PAGE}#tree-depth"
    depth: float

    def evaluate(self, step: int, mode: str) -> Verdict | None:
        names = self.selected(step, mode)
        chosen = [name for name in names if name.lower().endswith("depth")]
        chosen = chosen or [name for name in names if "node" in name.lower()] or names
        for name in chosen:
            values = self.array(name, step, mode)
            if values is None or not values.size:
                continue
            depth = _depth(name, values)
            self.judged(step, depth)
            if depth > self.depth:
                return Verdict(step, depth, f"{name}: a tree is {depth:g} deep, more than {self.depth:g}")
        return None


def _depth(name: str, values: Any) -> float:
    import numpy as np

    greatest = float(values.max())
    return greatest if name.lower().endswith("depth") else float(np.floor(np.log2(max(greatest, 0.0) + 1)))


class FeatureImportanceOverweight(Rule):
    """A few features carry the model: sum(the nfeatures largest importances) / sum(all) > threshold."""

    parameters = (
        Parameter("threshold", "number", 0.8, "greatest share of the largest importances", minimum=0, maximum=1),
        Parameter("nfeatures", "integer", 3, "how many of the largest are summed", minimum=1),
        Parameter("tensor_regex", "regexes", (r"importance/(weight|features)(/|$)",), "names the importances"),
    )
    source = f"{PAGE}#feature_importance_overweight"
    threshold: float
    nfeatures: int
    tensor_regex: tuple[str, ...]

    def evaluate(self, step: int, mode: str) -> Verdict | None:
        import numpy as np

        names = self.selected(step, mode)
        whole = {name: self.array(name, step, mode) for name in names}
        for name, importances in _vectors(whole).items():
            total = float(importances.sum())
            if total <= 0:
                continue
            share = float(np.sort(importances)[-self.nfeatures :].sum()) / total
            self.judged(step, share)
            if share > self.threshold:
                few = f"the {self.nfeatures} largest of {len(importances)} importances"
                return Verdict(step, share, f"{few} ({name}) are {share:.3g} of all, above {self.threshold:g}")
        return None


def _vectors(arrays: dict[str, Any]) -> dict[str, Any]:
    """Importances as vectors, whether they were saved so or as one scalar a feature."""
    import numpy as np

    found = {name: array.reshape(-1) for name, array in arrays.items() if array is not None and array.size > 1}
    scalars = [array.reshape(-1) for array in arrays.values() if array is not None and array.size == 1]
    return {**found, "one a feature": np.concatenate(scalars)} if scalars else found
