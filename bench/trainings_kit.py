"""What the trainings under rules are made of: a training, its optimizers, and batches of drawn numbers. Needs torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional

CLASSES, SIDE, POINTS = 10, 12, 20
Batch = tuple[torch.Tensor, torch.Tensor]


def usual_rate(_step: int) -> float:
    """The same at all steps."""
    return 1.0


@dataclass
class Training:
    """A model and how it learns. batch: of a step. schedule: by what a step's learning rate is multiplied."""

    model: nn.Module
    batch: Callable[[int], Batch]
    optimizer: torch.optim.Optimizer
    loss: nn.Module = field(default_factory=nn.CrossEntropyLoss)
    schedule: Callable[[int], float] = usual_rate
    forgets_gradients: bool = True
    sign: float = 1.0
    steps: int = 800


def sgd(model: nn.Module, rate: float, momentum: float = 0.0) -> torch.optim.Optimizer:
    """Stochastic gradient descent."""
    return torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum)


def of(model: nn.Module, batch: Callable[[int], Batch], rate: float, momentum: float = 0.9, **more: Any) -> Training:
    """A training by gradient descent with momentum."""
    return Training(model, batch, sgd(model, rate, momentum), **more)


def adam(model: nn.Module, batch: Callable[[int], Batch], rate: float, **more: Any) -> Training:
    """A training by Adam."""
    return Training(model, batch, torch.optim.Adam(model.parameters(), lr=rate), **more)


# Data


def pictures(size: int, noise: float = 1.0) -> Callable[[int], Batch]:
    """Batches of pictures of ten kinds, shifted by a pixel or so, under noise."""
    kinds = functional.interpolate(torch.randn(CLASSES, 1, 4, 4), SIDE, mode="bilinear") * 1.5

    def batch(_step: int) -> Batch:
        labels = torch.randint(0, CLASSES, (size,))
        shifted = torch.roll(kinds[labels], tuple(torch.randint(-1, 2, (2,)).tolist()), (2, 3))
        return shifted + noise * torch.randn_like(shifted), labels

    return batch


def points(size: int, spread: float = 1.0, wrong: float = 0.0, classes: int = CLASSES) -> Callable[[int], Batch]:
    """Batches of points around as many centres as there are classes; a share of the labels is wrong."""
    centres = torch.randn(classes, POINTS)

    def batch(_step: int) -> Batch:
        labels = torch.randint(0, classes, (size,))
        found = centres[labels] + spread * torch.randn(size, POINTS)
        random = torch.randint(0, classes, (size,))
        return found, torch.where(torch.rand(size) < wrong, random, labels)

    return batch


def line(size: int, noise: float) -> Callable[[int], Batch]:
    """Batches of a linear relation under noise."""
    slope = torch.randn(POINTS, 1) / math.sqrt(POINTS)

    def batch(_step: int) -> Batch:
        x = torch.randn(size, POINTS)
        return x, x @ slope + noise * torch.randn(size, 1)

    return batch


def rare(size: int) -> Callable[[int], Batch]:
    """Batches of which a twentieth is what is sought."""
    direction = torch.randn(POINTS)

    def batch(_step: int) -> Batch:
        y = (torch.rand(size, 1) < 0.05).float()
        return torch.randn(size, POINTS) + y * direction, y

    return batch


def sums(size: int) -> Callable[[int], Batch]:
    """Batches of sequences whose sum's remainder is to be told: long nothing is learned, then all at once."""

    def batch(_step: int) -> Batch:
        x = torch.randint(0, 2, (size, 6))
        return functional.one_hot(x, 2).float().flatten(1), x[:, :3].sum(1) % 2

    return batch


def broken(batch: Callable[[int], Batch]) -> Callable[[int], Batch]:
    """The same labels to inputs that are all zero."""

    def empty(step: int) -> Batch:
        x, y = batch(step)
        return torch.zeros_like(x), y

    return empty


def shuffled(batch: Callable[[int], Batch]) -> Callable[[int], Batch]:
    """The same inputs with the labels in another order."""

    def mixed(step: int) -> Batch:
        x, y = batch(step)
        return x, y[torch.randperm(len(y))]

    return mixed
