"""Trains a network on what a subset loader gives it; train.py and the benchmark share this."""

from dataclasses import dataclass, field

import numpy as np
import pictures
import torch
from torch import nn

from toolkit.subsets import SubsetLoader


@dataclass(frozen=True)
class Recipe:
    """The settings of a training. epochs: each of `fraction` of the pictures. more: the loader's other options."""

    epochs: int
    learning_rate: float
    method: str = "full"
    fraction: float = 1.0
    batch: int = 64
    weight_decay: float = 5e-4
    seed: int = 0
    more: dict = field(default_factory=dict)


class Training:
    """A network with its loss, its loader and its optimizer, trained in place by one learning rate's cycle.

    Args:
        learned: images and classes to learn from. guide: those whose loss glister lowers, or None.
        probe: saves which pictures were chosen.
    """

    def __init__(self, model, recipe, learned, guide=None, probe=None):
        self.model, self.recipe, self.probe = model, recipe, probe
        self.loss = nn.CrossEntropyLoss(reduction="none")
        self.loader = SubsetLoader(
            pictures.Pictures(*learned, varied=True), recipe.method, recipe.fraction,
            batch_size=recipe.batch, seed=recipe.seed, epochs=recipe.epochs, model=model, loss=self.loss,
            plain=pictures.Pictures(*learned), validation=guide and pictures.Pictures(*guide), probe=probe,
            loading={"collate_fn": pictures.whole}, **recipe.more,
        )  # fmt: skip
        self.optimizer = torch.optim.SGD(
            model.parameters(), lr=recipe.learning_rate, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=recipe.learning_rate, total_steps=recipe.epochs * len(self.loader) + 1
        )

    def epoch(self):
        """Trains for what is left of an epoch."""
        self.model.train()
        for images, classes, weights in self.loader:
            loss = (self.loss(self.model(images), classes) * weights).mean()
            if self.probe is not None:
                self.probe.loss("train", loss.detach())
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            self.schedule.step()


@torch.no_grad()
def probabilities(model, images, batch=256):
    """How likely each class is of each picture, (n, classes)."""
    model.eval()
    parts = [images[start : start + batch] for start in range(0, len(images), batch)]
    return np.concatenate([model(pictures.tensor(part)).softmax(1).numpy() for part in parts])


def accuracy(model, images, classes):
    """The fraction of the pictures that are recognised."""
    return float((probabilities(model, images).argmax(1) == classes).mean())
