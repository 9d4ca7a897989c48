"""Ten healthy trainings and ten sick ones under rules; run by rules.py in an environment with torch.

    python rule_trainings.py CONFIGURATION [NAME …]

CONFIGURATION is JSON, {"rules": [{"rule", "parameters", "action"}], "probe": the probe's settings, "seeds": how many}.
Each training is watched by the probe as a job's is, and judged by what that saved, in the order in which it was saved.

Prints a line a training: {"name", "sick", "seed", "stopped": whether a rule with the action stop found issues, and by
what, at which step and why; "errors": rules that couldn't judge}.
"""

from __future__ import annotations

import sys
from pathlib import Path

# platform.py beside this file must not stand for Python's own module of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1] / "training_code")

import json
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional

STEPS, CLASSES, SIDE, POINTS = 800, 10, 12, 20
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


def sgd(model: nn.Module, rate: float, momentum: float = 0.0) -> torch.optim.Optimizer:
    """Stochastic gradient descent."""
    return torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum)


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


def of(model: nn.Module, batch: Callable[[int], Batch], rate: float, momentum: float = 0.9, **more: Any) -> Training:
    """A training by gradient descent with momentum."""
    return Training(model, batch, sgd(model, rate, momentum), **more)


def adam(model: nn.Module, batch: Callable[[int], Batch], rate: float, **more: Any) -> Training:
    """A training by Adam."""
    return Training(model, batch, torch.optim.Adam(model.parameters(), lr=rate), **more)


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


def trained(training: Training, probe: Any) -> None:
    """Trains, watched."""
    rates = [group["lr"] for group in training.optimizer.param_groups]
    for step in range(STEPS):
        x, y = training.batch(step)
        if training.forgets_gradients:
            training.optimizer.zero_grad()
        for group, rate in zip(training.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * training.schedule(step)
        (training.sign * training.loss(training.model(x), y)).backward()
        training.optimizer.step()
    probe.close()


def judged(folder: Path, rules: list[dict[str, Any]]) -> dict[str, Any]:
    """What the rules found: the first that stops, and those that couldn't judge."""
    from toolkit.rules.feed import Feed
    from toolkit.rules.judging import Configuration, Judge

    feed = Feed(folder)
    judges = [Judge(Configuration.of(rule), feed, time.time) for rule in rules]
    for moment in feed.moments():
        for judge in judges:
            judge.judge(moment)
    for judge in judges:
        judge.finish(feed.seen)
    found = [judge.status for judge in judges]
    stops = [status for status in found if status.status == "IssuesFound" and status.action == "stop"]
    first = min(stops, key=lambda status: status.step or 0, default=None)
    said = first and {"by": first.name, "step": first.step, "reason": first.reason}
    return {"stopped": said, "errors": {s.name: s.reason for s in found if s.status == "Error"}}


def main(configuration: dict[str, Any], names: list[str]) -> None:
    """Prints each training's verdict."""
    from toolkit.probe import Probe
    from toolkit.probe.settings import Settings

    torch.set_num_threads(1)
    for sick, trainings in ((False, HEALTHY), (True, SICK)):
        for name, make in trainings.items():
            if names and name not in names:
                continue
            for seed in range(configuration["seeds"]):
                torch.manual_seed(seed)
                training = make()
                with tempfile.TemporaryDirectory(prefix="ratchet-bench-") as folder:
                    probe = Probe(Settings.of(configuration["probe"]), folder)
                    probe.watch(training.model, training.loss, training.optimizer)
                    trained(training, probe)
                    found = judged(Path(folder), configuration["rules"])
                print(json.dumps({"name": name, "sick": sick, "seed": seed, **found}), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2:])
