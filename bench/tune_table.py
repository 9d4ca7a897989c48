"""A tabulated benchmark: random forests on the digits in the original's ranges, trained once (tune_table_make.py).

Strategies are replayed on it in milliseconds a trial, as if each had trained: with its F1 after each part of its
trees, and the seconds that it takes. A trial gets the values of the nearest forest of the grid, after the nearest
number of its trees.
"""

from __future__ import annotations

import array
import bisect
import json
import lzma
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from bench.tune_play import NONE, Curve, Played, Rules, Suggest, play
from localaws.sagemaker.tuning.completion import Criteria
from localaws.sagemaker.tuning.early_stopping import should_stop
from localaws.sagemaker.tuning.history import Study
from localaws.sagemaker.tuning.space import SearchSpace, from_ranges

PATH = Path(__file__).with_suffix(".bin")
# The original's, in the form of a request. For a classifier, max-features' `auto` was another name of sqrt.
RANGES: Mapping[str, Any] = {
    "IntegerParameterRanges": [
        {"Name": "n-estimators", "MinValue": "1", "MaxValue": "200"},
        {"Name": "max-depth", "MinValue": "1", "MaxValue": "20"},
        {"Name": "min-samples-leaf", "MinValue": "1", "MaxValue": "10"},
    ],
    "ContinuousParameterRanges": [{"Name": "min-weight-fraction-leaf", "MinValue": "0.01", "MaxValue": "0.5"}],
    "CategoricalParameterRanges": [{"Name": "max-features", "Values": ["auto", "sqrt", "log2"]}],
}


@dataclass(frozen=True)
class Forests:
    """A grid of forests: its axes, and a column a forest of F1 after each number of trees."""

    axes: Mapping[str, list[Any]]
    f1: list[array.array[int]]

    def column(self, values: Mapping[str, str]) -> int:
        """The forest that is nearest to a trial's values."""
        index = 0
        for name, places in self.axes.items():
            index = index * len(places) + _place(places, values[name])
        return index


@dataclass(frozen=True)
class Table:
    """The forests on the fixed split with the seconds that each takes, and their means over five folds.

    trees: the numbers of trees of all columns.
    """

    trees: list[int]
    split: Forests
    folds: Forests
    seconds: array.array[int]

    def value(self, values: Mapping[str, str], share: float = 1.0, *, folds: bool = False) -> float:
        """A trial's F1 after a share of its trees; folds: the mean over five folds, not that of the fixed split."""
        forests = self.folds if folds else self.split
        return forests.f1[forests.column(values)][_nearest(self.trees, _trees(values, share))] / 10_000

    def fit_seconds(self, values: Mapping[str, str], share: float = 1.0) -> float:
        """The seconds that fitting a share of a trial's trees takes."""
        return self.seconds[self.split.column(values)] / 10_000 * _trees(values, share) / self.trees[-1]

    def curve(self, values: Mapping[str, str], epochs: int = 1, *, folds: bool = False) -> Curve:
        """A trial's F1 and seconds after each of so many parts of its trees."""
        shares = [epoch / epochs for epoch in range(1, epochs + 1)]
        return Curve(
            tuple(self.value(values, share, folds=folds) for share in shares),
            tuple(self.fit_seconds(values, share) for share in shares),
        )


@cache
def table() -> Table:
    """The table of the checkout."""
    head, _, body = lzma.decompress(PATH.read_bytes()).partition(b"\n")
    told = json.loads(head)
    numbers = array.array("H", body)
    if sys.byteorder == "big":
        numbers.byteswap()
    width, forests = len(told["trees"]), told["forests"]
    columns = [numbers[start * width : (start + 1) * width] for start in range(forests + told["fold_forests"])]
    return Table(
        told["trees"],
        Forests(told["axes"], columns[:forests]),
        Forests(told["fold_axes"], columns[forests:]),
        numbers[len(columns) * width :],
    )


def space() -> SearchSpace:
    """The original's ranges."""
    return from_ranges(RANGES)


def replay(
    study: Study, suggest: Suggest, epochs: int = 1, criteria: Criteria = NONE, *, folds: bool = False
) -> Played:
    """A tuning job played out on the table.

    epochs: the equal parts in which a trial grows its forest, with a value after each; early stopping needs them.
    """
    return play(study, Rules(suggest, should_stop, partial(table().curve, epochs=epochs, folds=folds), criteria))


def _trees(values: Mapping[str, str], share: float) -> int:
    return max(1, round(int(values["n-estimators"]) * share))


def _place(places: list[Any], text: str) -> int:
    if isinstance(places[0], str):
        return places.index("sqrt" if text == "auto" else text)
    return _nearest(places, float(text))


def _nearest(places: list[Any], value: float) -> int:
    after = bisect.bisect_left(places, value)
    if after in (0, len(places)):
        return min(after, len(places) - 1)
    return after if places[after] - value <= value - places[after - 1] else after - 1
