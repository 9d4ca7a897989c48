"""Trains a network on pictures that never look the same twice; train.py and the benchmark share this."""

import math
from dataclasses import dataclass

import numpy as np
import pictures
import torch
from torch import nn

# How often a picture is varied where shares are to be told of some hundred.
TIMES = 10


@dataclass(frozen=True)
class Recipe:
    """The settings of a training.

    smoothing: the share of a label that goes to all classes alike. strength: see `varied`. heavy: the classes, by their
    numbers, that count `weight` times as much as the others: those that must not be overlooked.
    """

    epochs: int
    learning_rate: float
    batch: int = 64
    weight_decay: float = 1e-3
    smoothing: float = 0.05
    strength: float = 1.0
    heavy: tuple = ()
    weight: float = 1.0
    seed: int = 0


def varied(batch, generator, strength):
    """The pictures, each moved, turned, sized, and lit a little differently. Never mirrored: that is another sign.

    Args:
        strength: 0 leaves them as they are; at 1 by up to 3 pixels, 12 degrees, a seventh, and half of the light, and
            about every sixth has reflections.
    """
    if not strength:
        return batch
    count = len(batch)
    uniform = lambda *shape: (2 * torch.rand(count, *shape, generator=generator) - 1) * strength  # noqa: E731
    turn, size = uniform() * math.radians(12), 1 + uniform() / 7
    stretch = 1 + uniform() / 12
    cosine, sine = torch.cos(turn), torch.sin(turn)
    rows = torch.stack([cosine * size * stretch, -sine * size, sine * size, cosine * size], 1).reshape(count, 2, 2)
    places = torch.cat([rows, uniform(2, 1) * 3 / (pictures.SIZE / 2)], 2)
    grid = nn.functional.affine_grid(places, batch.shape, align_corners=False)
    moved = nn.functional.grid_sample(batch, grid, padding_mode="border", align_corners=False)
    # Black is -2 in the network's numbers: light multiplies what is above it.
    light = torch.exp2(uniform(1, 1, 1) * 0.8)
    contrast = torch.exp2(uniform(1, 1, 1) * 0.4)
    mean = moved.mean((1, 2, 3), keepdim=True)
    moved = (moved - mean) * contrast + mean
    moved = (moved + 2) * light * (1 + uniform(3, 1, 1) * 0.08) - 2
    moved = moved + 0.08 * strength * torch.randn(moved.shape, generator=generator)
    return (moved + reflections(count, generator, share=strength / 5)).clamp_(-2, 2)


def reflections(count, generator, share):
    """The light to add, (count, 1, 32, 32): on a share of the pictures up to two spots of the sun's, or of a lamp's.

    Signs are made to reflect: what is beneath the middle of such a spot, 2 to 8 pixels wide, is not to be seen. Of two
    spots each shines with a chance of 0.6, so a sixth of the share has none.
    """
    uniform = lambda least, most: least + (most - least) * torch.rand(count, 2, 1, 1, generator=generator)  # noqa: E731
    places = torch.arange(pictures.SIZE, dtype=torch.float32)
    rows, columns = places[:, None] - uniform(0, pictures.SIZE), places - uniform(0, pictures.SIZE)
    spots = torch.exp(-((rows / uniform(1, 4)) ** 2) - (columns / uniform(1, 4)) ** 2)
    shines = (uniform(0, 1) < 0.6) & (torch.rand(count, 1, 1, 1, generator=generator) < share)
    return 6 * (spots * shines).sum(1, keepdim=True)


class Training:
    """A network with its loss and its optimizer (AdamW), trained in place by one learning rate's cycle."""

    def __init__(self, model, classes, recipe):
        self.model, self.recipe = model, recipe
        weights = torch.ones(classes)
        weights[list(recipe.heavy)] = recipe.weight
        self.loss = nn.CrossEntropyLoss(weights, label_smoothing=recipe.smoothing)
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )

    def epochs(self, images, classes):
        """Trains on pictures, uint8 (n, 32, 32, 3), and classes (n,); yields after each epoch its number, from 1."""
        recipe = self.recipe
        generator = torch.Generator().manual_seed(recipe.seed)
        steps = max(1, len(classes) // recipe.batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=recipe.learning_rate, total_steps=recipe.epochs * steps + 1
        )
        for epoch in range(1, recipe.epochs + 1):
            self.model.train()
            order = torch.randperm(len(classes), generator=generator).numpy()
            for number in range(steps):
                drawn = order[number * recipe.batch : (number + 1) * recipe.batch]
                batch = varied(pictures.tensor(images[drawn]), generator, recipe.strength)
                loss = self.loss(self.model(batch), torch.from_numpy(classes[drawn]))
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                self.optimizer.step()
                schedule.step()
            yield epoch


def probabilities(model, images, batch=256):
    """How likely each class is of each picture, (n, classes)."""
    return _probabilities(model, images, batch, pictures.tensor)


def varied_probabilities(model, images, strength, seed=0):
    """The same of the pictures as `varied` makes them, TIMES each, (TIMES * n, classes)."""
    generator = torch.Generator().manual_seed(seed)
    often = np.concatenate([images] * TIMES)
    return _probabilities(model, often, 256, lambda part: varied(pictures.tensor(part), generator, strength))


@torch.no_grad()
def _probabilities(model, images, batch, prepared):
    model.eval()
    parts = [images[start : start + batch] for start in range(0, len(images), batch)]
    return np.concatenate([model(prepared(part)).softmax(1).numpy() for part in parts])
