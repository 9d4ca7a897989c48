"""Softmax regression on the standard library alone: what both programs of this image know of the model."""

from __future__ import annotations

import json
import math
import random
from dataclasses import asdict, dataclass
from pathlib import Path

Row = list[float]


@dataclass(frozen=True)
class Model:
    """Weights, a row for each class with its intercept last, of inputs that are scaled by `mean` and `spread`."""

    classes: list[str]
    mean: Row
    spread: Row
    weights: list[Row]
    epoch: int = 0

    def probabilities(self, row: Row) -> Row:
        """Of each class, for one row of numbers."""
        scaled = [(value - mean) / spread for value, mean, spread in zip(row, self.mean, self.spread, strict=True)]
        return _softmax([sum(w * x for w, x in zip(weights, [*scaled, 1.0], strict=True)) for weights in self.weights])

    def predict(self, row: Row) -> str:
        """The likeliest class."""
        found = self.probabilities(row)
        return self.classes[found.index(max(found))]


def begin(labels: list[str], rows: list[Row]) -> Model:
    """A model that has learned nothing yet but the data's scale and classes."""
    columns = list(zip(*rows, strict=True))
    mean = [sum(column) / len(column) for column in columns]
    spread = [
        math.sqrt(sum((value - m) ** 2 for value in column) / len(column)) or 1.0
        for column, m in zip(columns, mean, strict=True)
    ]
    classes = sorted(set(labels))
    return Model(classes, mean, spread, [[0.0] * (len(columns) + 1) for _ in classes])


def one_epoch(model: Model, labels: list[str], rows: list[Row], rate: float) -> tuple[Model, float]:
    """The model after one pass over the rows in random order (the same for the same epoch), and its mean loss."""
    weights, loss = [row.copy() for row in model.weights], 0.0
    order = random.Random(model.epoch).sample(range(len(rows)), len(rows))  # noqa: S311 - an order, no secret
    going = Model(model.classes, model.mean, model.spread, weights, model.epoch + 1)
    for index in order:
        found = going.probabilities(rows[index])
        right = model.classes.index(labels[index])
        loss -= math.log(max(found[right], 1e-12))
        scaled = [(x - mean) / spread for x, mean, spread in zip(rows[index], model.mean, model.spread, strict=True)]
        for number, row in enumerate(weights):
            error = found[number] - (number == right)
            for column, value in enumerate([*scaled, 1.0]):
                row[column] -= rate * error * value
    return going, loss / len(rows)


def save(model: Model, path: Path) -> None:
    """Writes a model so that a reader finds the old file or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(asdict(model)))
    new.replace(path)


def load(path: Path) -> Model:
    """A model that `save` has written."""
    return Model(**json.loads(path.read_text()))


def _softmax(scores: Row) -> Row:
    powers = [math.exp(score - max(scores)) for score in scores]
    return [power / sum(powers) for power in powers]
