"""Random forests on digits, as a tuning job sees them: the ranges, and fits by configuration, each made once.

The ranges are those of AWS's example of tuning a random forest on digits, with its warm start's finer ones. Grid takes
categories only; its are as evenly spread as 48 combinations let them be.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.answering import Remembered, remembered
from bench.tune_play import Curve, Values

EPOCHS, FOLDS = 9, 5
FEATURES = {"Name": "max-features", "Values": ["auto", "sqrt", "log2"]}


def _range(name: str, low: float, high: float) -> dict[str, str]:
    return {"Name": name, "MinValue": str(low), "MaxValue": str(high), "ScalingType": "Linear"}


def _ranges(trees: tuple[int, int], depth: tuple[int, int], leaf: tuple[int, int], weight: tuple[float, float]) -> Any:
    return {
        "IntegerParameterRanges": [
            _range("n-estimators", *trees),
            _range("max-depth", *depth),
            _range("min-samples-leaf", *leaf),
        ],
        "ContinuousParameterRanges": [_range("min-weight-fraction-leaf", *weight)],
        "CategoricalParameterRanges": [FEATURES],
    }


RANGES = _ranges((1, 200), (1, 20), (1, 10), (0.01, 0.5))
REFINED = _ranges((100, 300), (6, 24), (1, 6), (0.001, 0.15))
GRID = {
    "CategoricalParameterRanges": [
        {"Name": "n-estimators", "Values": ["1", "200"]},
        {"Name": "max-depth", "Values": ["1", "20"]},
        {"Name": "min-samples-leaf", "Values": ["1", "10"]},
        {"Name": "min-weight-fraction-leaf", "Values": ["0.01", "0.255", "0.5"]},
        {"Name": "max-features", "Values": ["sqrt", "log2"]},
    ]
}


class Forests:
    """Fits by configuration, each made once. Thread-safe."""

    def __init__(self, answers: Remembered) -> None:
        self._answers = answers

    def curve(self, values: Values) -> Curve:
        """A forest's F1 and seconds as it grows."""
        found = self._answers.ask({"values": dict(values), "epochs": EPOCHS})
        return Curve(tuple(found["f1"]), tuple(found["seconds"]))

    def folds(self, values: Values) -> list[float]:
        """A forest's F1 on each fold of a cross-validation."""
        f1: list[float] = self._answers.ask({"values": dict(values), "folds": FOLDS})["f1"]
        return f1


@contextmanager
def forests(python: Path, processes: int) -> Iterator[Forests]:
    """Forests fitted by so many processes."""
    with remembered(python, "tune_fits.py", processes) as answers:
        yield Forests(answers)
