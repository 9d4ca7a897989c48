"""Ten kinds of healthy trainings and ten of sick ones, on drawn numbers: those to which README's values were fitted."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from bench.trainings_kit import (
    CLASSES,
    POINTS,
    Training,
    adam,
    broken,
    line,
    of,
    pictures,
    points,
    rare,
    sgd,
    shuffled,
    sums,
)  # fmt: skip

# Models


def cnn() -> nn.Sequential:
    """Two convolutions."""
    features = [nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*features, nn.Linear(16 * 3 * 3, CLASSES))


def mlp(inside: int = POINTS, outside: int = CLASSES, dropout: float = 0.0) -> nn.Sequential:
    """Two hidden layers."""
    hidden = [nn.Linear(inside, 64), nn.ReLU(), nn.Dropout(dropout), nn.Linear(64, 64), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Linear(64, outside))


def deep() -> nn.Sequential:
    """So many sigmoids that the first layers learn nothing."""
    layers = [layer for _ in range(12) for layer in (nn.Linear(16, 16), nn.Sigmoid())]
    return nn.Sequential(nn.Linear(POINTS, 16), *layers, nn.Linear(16, CLASSES))


def dead() -> nn.Sequential:
    """A network whose rectified units never do anything."""
    model = cnn()
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Conv2d):
                layer.bias.fill_(-100.0)  # type: ignore[union-attr]
    return model


class Codes(nn.Module):
    """An autoencoder's error, as a loss that takes the labels and forgets them."""

    def forward(self, found: torch.Tensor, _labels: torch.Tensor) -> torch.Tensor:
        return (found[0] - found[1]).pow(2).mean()


class Autoencoder(nn.Module):
    """Points through four numbers and back."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(POINTS, 32), nn.ReLU(), nn.Linear(32, 4), nn.Linear(4, POINTS))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.inner(x), x


# Trainings


def frozen() -> Training:
    """The optimizer was given another model's parameters."""
    model = cnn()
    return Training(model, pictures(32), sgd(cnn(), 0.05))


def restarts(step: int) -> float:
    """A cosine's half that begins again every 200 steps (Loshchilov and Hutter, arXiv:1608.03983)."""
    return (1 + math.cos(math.pi * (step % 200) / 200)) / 2


HEALTHY: dict[str, Callable[[], Training]] = {
    "CNN by batches": lambda: of(cnn(), pictures(16, noise=2.0), 0.01),
    "SGD by batches of four": lambda: of(mlp(), points(4), 0.02, 0.0),
    "warm restarts": lambda: of(cnn(), pictures(32, noise=2.0), 0.02, schedule=restarts),
    "plateau, then a drop of the rate": lambda: of(
        mlp(), points(16, spread=2.0), 0.03, schedule=lambda step: 1.0 if step < 500 else 0.05
    ),
    "a plateau at first": lambda: adam(mlp(12, 2), sums(32), 0.0005),
    "warm-up of the rate": lambda: adam(cnn(), pictures(32), 0.003, schedule=lambda step: min(1.0, step / 300)),
    "regression under noise, learned at once": lambda: of(nn.Linear(POINTS, 1), line(32, 0.7), 0.02, loss=nn.MSELoss()),
    "four labels of ten are wrong": lambda: adam(mlp(dropout=0.2), points(32, wrong=0.4), 0.003),
    "rare positives": lambda: adam(mlp(POINTS, 1), rare(32), 0.001, loss=nn.BCEWithLogitsLoss()),
    "autoencoder": lambda: adam(Autoencoder(), points(32), 0.001, loss=Codes()),
}
SICK: dict[str, Callable[[], Training]] = {
    "diverging rate": lambda: of(cnn(), pictures(32), 5.0),
    "rate of nearly nothing": lambda: of(cnn(), pictures(32), 1e-7),
    "labels shuffled": lambda: of(cnn(), shuffled(pictures(32)), 0.02),
    "inputs all zero": lambda: of(mlp(), broken(points(32)), 0.02),
    "dead units": lambda: of(dead(), pictures(32), 0.02),
    "frozen": frozen,
    "gradients never set to zero": lambda: of(mlp(), points(32), 0.3, forgets_gradients=False),
    "up instead of down": lambda: of(cnn(), pictures(32), 0.002, sign=-1.0),
    "vanishing gradients": lambda: of(deep(), points(32), 0.02),
    "good at first, then diverging": lambda: of(
        cnn(), pictures(32), 0.02, schedule=lambda step: 1.0 if step < 400 else 1.03 ** (step - 400)
    ),
}
