"""One training of bench/subset.py, run where PyTorch is: a line of JSON.

accuracy            of held-out pictures that neither taught nor guided it
seconds             of the processor, one thread, from the fresh network to the last step: selections included
wall_seconds        the same by the clock
selection_seconds   of these, until each epoch's pictures were chosen
wrong               the share of wrong labels among the pictures of all epochs
passes              pictures that it was trained on, over those that there are
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "training_code" / "cifar_subset"
# In the place of this folder, which has a platform.py that must not stand for Python's own.
sys.path[0:1] = [str(FOLDER), str(FOLDER.parent), str(FOLDER.parents[1])]

import learning  # noqa: E402
import network  # noqa: E402
import numpy as np  # noqa: E402
import pictures  # noqa: E402
import torch  # noqa: E402
import train  # noqa: E402

WRONG, IMBALANCE = 0.4, 50
# Of the pictures that could be learned from, as many as guide glister; the other methods don't learn from them either.
GUIDE = 0.1
SMALL = 300


def main() -> None:
    options = parsed()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    data = Data(options)
    arch = network.Architecture(tuple(data.names), 4 if options.small else train.WIDTH, train.STRIDE)
    model = network.build(arch)
    print(json.dumps(trained(model, data, options)))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--case", required=True)
    parser.add_argument("--method", required=True)
    parser.add_argument("--fraction", type=float, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--more", type=json.loads, default={}, help="the loader's other options")
    parser.add_argument("--small", action="store_true", help="few pictures, and a narrow network")
    return parser.parse_args()


class Data:
    """Pictures to learn from as the case has them, those that guide, and the held-out ones."""

    def __init__(self, options: argparse.Namespace) -> None:
        with np.load(options.data, allow_pickle=False) as file:
            self.names = [str(name) for name in file["classes"]]
            images, classes = file["x_train"], file["y_train"].astype(np.int64)
            self.test = file["x_test"], file["y_test"].astype(np.int64)
        random = np.random.default_rng(options.seed)
        if options.small:
            few = random.permutation(len(classes))[:SMALL]
            images, classes = images[few], classes[few]
        guide, learned = pictures.split(classes, (GUIDE,), options.seed)
        self.guide = images[guide], classes[guide]
        if options.case == "imbalanced":
            learned = learned[long_tail(classes[learned], random)]
        self.right = classes[learned]
        labels = mislabelled(self.right, len(self.names), random) if options.case == "noisy" else self.right
        self.learned = images[learned], labels


def long_tail(classes: Any, random: np.random.Generator) -> Any:
    """Places of what is left where the last class has a fiftieth of the first's pictures, those between in steps."""
    numbers, counts = np.unique(classes, return_counts=True)
    kept = np.maximum(1, counts * IMBALANCE ** (-np.arange(len(numbers)) / (len(numbers) - 1))).astype(int)
    parts = [
        random.permutation(np.flatnonzero(classes == number))[:most] for number, most in zip(numbers, kept, strict=True)
    ]
    return np.sort(np.concatenate(parts))


def mislabelled(classes: Any, count: int, random: np.random.Generator) -> Any:
    """The classes, of which a share is another one, any of them as likely."""
    wrong = random.random(len(classes)) < WRONG
    return np.where(wrong, (classes + random.integers(1, count, len(classes))) % count, classes)


def trained(model: Any, data: Data, options: argparse.Namespace) -> dict[str, Any]:
    """Trains, and says what it came to and what it took."""
    recipe = learning.Recipe(
        epochs=options.epochs,
        learning_rate=train.LEARNING_RATE,
        method=options.method,
        fraction=options.fraction,
        batch=train.BATCH,
        weight_decay=train.WEIGHT_DECAY,
        seed=options.seed,
        more=options.more,
    )
    processor, clock = time.process_time(), time.monotonic()
    training = learning.Training(model, recipe, data.learned, data.guide if options.method == "glister" else None)
    seen: list[Any] = []
    for _ in range(options.epochs):
        training.epoch()
        seen.append(training.loader.chosen.indices)
    seconds, wall = time.process_time() - processor, time.monotonic() - clock
    chosen = np.concatenate(seen)
    return {
        "accuracy": learning.accuracy(model, *data.test),
        "seconds": round(seconds, 2),
        "wall_seconds": round(wall, 2),
        "selection_seconds": round(training.loader.seconds, 2),
        "wrong": round(float((data.learned[1] != data.right)[chosen].mean()), 4),
        "passes": round(len(chosen) / len(data.right), 3),
        "examples": len(data.right),
    }


if __name__ == "__main__":
    main()
