"""Random forests on digits, as a tuning job sees them: fits by configuration, each made once, and more ranges.

AWS's example of tuning a random forest on digits has finer ranges for its warm start. Grid takes categories only; these
are as evenly spread over the first ranges as 48 combinations let them be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.answering import Remembered, remembered
from bench.tune_play import Curve, Values
from bench.tune_table import RANGES

EPOCHS, FOLDS = 27, 5
REFINED: Mapping[str, Any] = {
    "IntegerParameterRanges": [
        {"Name": "n-estimators", "MinValue": "100", "MaxValue": "300"},
        {"Name": "max-depth", "MinValue": "6", "MaxValue": "24"},
        {"Name": "min-samples-leaf", "MinValue": "1", "MaxValue": "6"},
    ],
    "ContinuousParameterRanges": [{"Name": "min-weight-fraction-leaf", "MinValue": "0.001", "MaxValue": "0.15"}],
    "CategoricalParameterRanges": RANGES["CategoricalParameterRanges"],
}
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
