"""Trains a network and measures it; train.py and the benchmark share this."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pictures
import torch
from peers import Peers
from torch import nn

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Recipe:
    """The settings of a training. `batch`: of all peers together. `watch_every`: steps between two that are watched, in
    the last epoch only.

    `precision`: float32, or bfloat16 in which layers multiply (weights and optimizer stay float32): about twice as fast
    where the processor or the accelerator has it in hardware, much slower where it hasn't.
    """

    epochs: int
    learning_rate: float
    batch: int = 64
    weight_decay: float = 1e-4
    watch_every: int = 4
    seed: int = 0
    precision: str = "float32"


class Training:
    """A network with its loss and its optimizer (AdamW), trained in place by one learning rate's cycle.

    Args:
        peers: the processes that train it with this one; each has the same data.
    """

    def __init__(self, model, recipe, peers=None):
        self.peers = peers or Peers()
        self.model, self.recipe = model, recipe
        self._together = self.peers.together(model)
        self.loss = nn.CrossEntropyLoss()
        # Fused: one pass over the weights, where the plain one makes a dozen. Of AlexNet's step that is half.
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )

    def epochs(self, data, watcher=None):
        """Trains, and yields after each epoch its number, from 1.

        Args:
            data: pictures, uint8 (n, size, size, 3), and labels, int64 (n,).
            watcher: a ranks.Watcher; it watches some steps of the last epoch, when the weights hardly change any more.
        """
        images, labels = data
        random = np.random.default_rng(self.recipe.seed)
        torch.manual_seed(self.recipe.seed)
        steps = max(1, len(labels) // self.recipe.batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=self.recipe.learning_rate, total_steps=self.recipe.epochs * steps + 1
        )
        for epoch in range(1, self.recipe.epochs + 1):
            self._together.train()
            order = random.permutation(len(labels))
            for number in range(steps):
                drawn = order[number * self.recipe.batch : (number + 1) * self.recipe.batch]
                # Of the whole batch, so that all peers draw the same.
                moves = self.peers.share(pictures.moves(len(drawn), random))
                chosen = self.peers.share(drawn)
                batch = pictures.shifted(pictures.tensor(images[chosen]), moves)
                if watcher:
                    watcher.watching = epoch == self.recipe.epochs and number % self.recipe.watch_every == 0
                self._step(batch, torch.from_numpy(labels[chosen]))
                schedule.step()
            yield epoch

    def _step(self, batch, labels):
        device = next(self.model.parameters()).device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            loss = self.loss(self._together(batch.to(device)), labels.to(device))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()


@torch.no_grad()
def predict(model, images, batch=256):
    """The most likely class of each picture, (n,)."""
    model.eval()
    device = next(model.parameters()).device
    parts = [images[start : start + batch] for start in range(0, len(images), batch)]
    return np.concatenate([model(pictures.tensor(part).to(device)).argmax(1).cpu().numpy() for part in parts])


def accuracy(model, images, labels):
    """The fraction of the pictures that are recognised."""
    return float((predict(model, images) == labels).mean())


@torch.no_grad()
def latency(model, size, repeats=30):
    """Milliseconds that one picture takes, the median of `repeats`, on one thread: an endpoint asks one at a time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model.eval()
    picture = torch.zeros(1, pictures.CHANNELS, size, size, device=next(model.parameters()).device)
    seconds = []
    try:
        for _ in range(repeats + 3):
            started = time.perf_counter()
            model(picture)
            seconds.append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
    return 1000 * float(np.median(seconds[3:]))
