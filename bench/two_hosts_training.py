"""A training of prune_cnn's network by as many processes as torchrun has started. Runs where torch is.

The first process prints a line of JSON: {"accuracy": of signs that weren't learned, "seconds": of the training,
"count": processes, "difference": by precision}. The difference is of the first batch's gradient to that of one process
alone, which leaves it in `--gradients` (npz): the largest in any number of any parameter, by the parameter's largest.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "training_code" / "prune_cnn"
# In the place of this folder, which has a platform.py that must not stand for Python's own.
sys.path[0:1] = [str(FOLDER), str(FOLDER.parent), str(FOLDER.parents[1])]

import learning  # noqa: E402
import network  # noqa: E402
import numpy as np  # noqa: E402
import peers  # noqa: E402
import pictures  # noqa: E402
import signs  # noqa: E402
import torch  # noqa: E402

PRECISIONS = {"float32": torch.float32, "float64": torch.float64}


def main() -> None:
    options = parsed()
    torch.set_num_threads(1)
    with peers.joined() as joined:
        learned = drawn(options.pictures, 0)
        gradients = {name: gradient(options, learned, joined, dtype) for name, dtype in PRECISIONS.items()}
        model = fresh(options)
        recipe = learning.Recipe(options.epochs, options.learning_rate, batch=options.batch, seed=options.seed)
        started = time.monotonic()
        for _ in learning.Training(model, recipe, joined).epochs(learned):
            pass
        seconds = time.monotonic() - started
        if joined.is_first:
            flat = {f"{name}/{key}": value for name, found in gradients.items() for key, value in found.items()}
            if joined.count == 1:
                np.savez(options.gradients, **flat)
            told = {
                "accuracy": learning.accuracy(model, *drawn(options.pictures // 2, 1)),
                "seconds": round(seconds, 2),
                "count": joined.count,
                "difference": difference(options.gradients, flat),
            }
            print(json.dumps(told), flush=True)


def difference(alone: Path, found: dict[str, Any]) -> dict[str, float]:
    with np.load(alone) as file:
        apart = {name: np.abs(file[name] - value).max() / np.abs(file[name]).max() for name, value in found.items()}
    return {each: float(max(apart[name] for name in apart if name.startswith(f"{each}/"))) for each in PRECISIONS}


def drawn(count: int, seed: int) -> tuple[Any, Any]:
    labels, images = signs.draw(count, seed=seed)
    return images, labels


def fresh(options: argparse.Namespace) -> Any:
    torch.manual_seed(options.seed)
    return network.build(network.architecture("resnet18", signs.CLASSES, width=options.width))


def gradient(options: argparse.Namespace, learned: Any, joined: Any, dtype: Any) -> dict[str, Any]:
    """The gradient of the loss over the first batch, as the optimizer is given it."""
    images, labels = (joined.share(part[: options.batch]) for part in learned)
    model = fresh(options).to(dtype)
    together = joined.together(model).train()
    loss = torch.nn.functional.cross_entropy(together(pictures.tensor(images).to(dtype)), torch.from_numpy(labels))
    loss.backward()
    return {name: parameter.grad.numpy() for name, parameter in model.named_parameters()}


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gradients", type=Path, required=True)
    for name in ("width", "learning-rate"):
        parser.add_argument(f"--{name}", type=float, required=True)
    for name in ("seed", "epochs", "batch", "pictures"):
        parser.add_argument(f"--{name}", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
