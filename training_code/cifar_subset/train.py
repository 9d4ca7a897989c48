"""Trains a ResNet-18 on a part of the pictures, chosen anew as the training goes, and keeps what was chosen.

By hand, without any AWS, where PyTorch is installed:

    python shapes.py /tmp/shapes
    pip install -r requirements.txt
    PYTHONPATH=.. RATCHET_TENSORS=/tmp/tensors python train.py --train /tmp/shapes/train --model-dir /tmp/model
"""

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import learning
import network
import numpy as np
import pictures
import torch
import views

from toolkit import network_files
from toolkit.checkpoint import Checkpoints
from toolkit.hyperparameters import number, whole
from toolkit.probe import Probe
from toolkit.serving import save_serving_code
from toolkit.subsets import METHODS

# ---------------------------------------------------------------------------------------------------------------------
# The knobs. pipeline.yaml's train.hyperparameters override them.
METHOD = "resampled"  # what chooses an epoch's pictures: docs/subsets.md says which does when
FRACTION = 0.3  # of the pictures, in an epoch
SELECT_EVERY = 5  # epochs between two selections of glister and trimmed
TRIM = 0.2  # the share of the pictures, those of the greatest losses, that trimmed leaves out
WIDTH = 16  # units of the network's first stage; the paper's has 64
STRIDE = 2  # of its stem: 1 sees finer, and takes four times as long
EPOCHS = 20
BATCH = 64
LEARNING_RATE = 0.1
WEIGHT_DECAY = 5e-4
GUIDE = 0.1  # of the training pictures guide glister; nothing is learned from them, and they judge nothing
VALIDATION = 0.1  # of them judge the epochs; the held-out channel judges the model
SEED = 0
# Of the processor: small batches of a small network gain little from more, and lose much where others want the cores.
THREADS = 1
# ---------------------------------------------------------------------------------------------------------------------


def main():
    started = time.monotonic()
    args = parse_arguments()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    images, labels = pictures.load(args.train)
    names, classes = np.unique(labels, return_inverse=True)
    # Only where something is guided: the others learn from these, too.
    shares = (args.validation, args.guide if args.method == "glister" else 0)
    parts = pictures.split(classes, shares, args.seed)
    data = Data(*((images[part], classes[part]) for part in parts))
    if not len(parts[0]) or not len(parts[-1]):
        raise SystemExit(f"{len(images)} pictures can't be divided by validation={args.validation:g}; give more")

    arch = network.Architecture(tuple(names.tolist()), args.width, args.stride)
    model = network.build(arch)
    print(f"{network.parameters(model)} parameters, {len(parts[-1])} pictures to learn from", flush=True)
    train(model, arch, data, args)
    # Selections are a part of it.
    print(f"seconds={time.monotonic() - started:.2f}", flush=True)

    network_files.save(args.model_dir, arch, model)
    # With its serving code beside it, model.tar.gz is all that evaluation and the endpoint need.
    save_serving_code(args.model_dir)


def parse_arguments():
    """Hyperparameters come as arguments, folders as SM_* variables, as in every SageMaker framework container."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", choices=METHODS, default=METHOD)
    parser.add_argument("--fraction", type=number(above=0, most=1), default=FRACTION)
    parser.add_argument("--select-every", type=whole(), default=SELECT_EVERY)
    parser.add_argument("--trim", type=number(least=0, below=1), default=TRIM)
    parser.add_argument("--width", type=whole(), default=WIDTH)
    parser.add_argument("--stride", type=whole(most=2), default=STRIDE)
    parser.add_argument("--epochs", type=whole(), default=EPOCHS)
    parser.add_argument("--batch", type=whole(), default=BATCH)
    parser.add_argument("--learning-rate", type=number(above=0), default=LEARNING_RATE)
    parser.add_argument("--weight-decay", type=number(least=0), default=WEIGHT_DECAY)
    parser.add_argument("--guide", type=number(above=0, below=0.5), default=GUIDE)
    parser.add_argument("--validation", type=number(above=0, below=0.5), default=VALIDATION)
    parser.add_argument("--seed", type=whole(least=0), default=SEED)
    parser.add_argument("--threads", type=whole(), default=THREADS)
    parser.add_argument("--train", type=Path, default=os.environ.get("SM_CHANNEL_TRAIN", "/opt/ml/input/data/train"))
    parser.add_argument("--model-dir", type=Path, default=os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
    args = parser.parse_args()
    args.model_dir.mkdir(parents=True, exist_ok=True)
    return args


@dataclass(frozen=True)
class Data:
    """Images and classes that judge the epochs, that guide glister (or none), and that are learned."""

    judged: tuple
    guide: tuple
    learned: tuple


def train(model, arch, data, args):
    """Trains; after each epoch the network is judged by pictures that neither taught nor guided it."""
    probe = Probe.from_environment()
    guide = data.guide if len(data.guide[0]) else None
    training = learning.Training(model, recipe(args), data.learned, guide, probe)
    probe.watch(model, optimizer=training.optimizer)
    # Names as UTF-8 bytes, for a tensor holds numbers.
    probe.tensor(views.NAMES, np.frombuffer(json.dumps(arch.classes).encode(), np.uint8))
    checkpoints = Checkpoints(
        every=1, model=model, optimizer=training.optimizer, schedule=training.schedule, loader=training.loader,
        probe=probe,
    )  # fmt: skip
    for epoch in checkpoints.steps(args.epochs):
        training.epoch()
        with probe.mode("eval"):
            score = learning.accuracy(model, *data.judged)
            probe.scalar("validation/accuracy", score)
        print(f"{training.loader.chosen}", flush=True)
        print(f"epoch={epoch + 1} validation:accuracy={score:.4f}", flush=True)
    probe.close()
    print(f"selection_seconds={training.loader.seconds:.2f}", flush=True)


def recipe(args):
    """The training's settings, from the arguments."""
    more = {"select_every": args.select_every, "trim": args.trim}
    return learning.Recipe(
        epochs=args.epochs, learning_rate=args.learning_rate, method=args.method, fraction=args.fraction,
        batch=args.batch, weight_decay=args.weight_decay, seed=args.seed, more=more,
    )  # fmt: skip


if __name__ == "__main__":
    main()
