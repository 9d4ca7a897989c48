"""Trains an autoencoder: digits become 20 numbers, and digits again. No label is learned from.

By hand, without any AWS, where PyTorch is installed:

    python digits.py /tmp/digits
    PYTHONPATH=.. RATCHET_TENSORS=/tmp/tensors python train.py --train /tmp/digits/train --model-dir /tmp/model
"""

import argparse
import os
from pathlib import Path

import autoencoder
import digit_files
import grouping
import numpy as np
import torch
from autoencoder import FILTERS, LATENTS, Autoencoder
from pca import Pca
from torch import nn

from toolkit.hyperparameters import number, whole
from toolkit.probe import Probe
from toolkit.serving import save_serving_code

# ---------------------------------------------------------------------------------------------------------------------
# The knobs. pipeline.yaml's train.hyperparameters override them.
EPOCHS = 12  # of MNIST; of few digits more
BATCH = 32
LEARNING_RATE = 3e-3  # the highest, of one cycle up and down
VALIDATION = 0.2  # of the digits are only looked at; the held-out channel judges
LOOK_EVERY = 25  # steps between two looks, of which the views are pictures
SEED = 0
# Of the processor: small batches of a small network gain little from more, and lose much where others want the cores.
THREADS = 1
# ---------------------------------------------------------------------------------------------------------------------

SHOWN, PLACED = 10, 500  # digits whose reconstructions a look shows, and those whose latents are laid out


def main():
    args = parse_arguments()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    labels, digits = digit_files.load(args.train)
    learned, judged = digit_files.split(labels, validation=args.validation, seed=args.seed)
    linear = Pca(digits[learned], LATENTS)  # refuses too few digits before anything is trained
    model = Autoencoder(args.filters)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{parameters} parameters, {len(learned)} digits to learn from, {len(judged)} to look at", flush=True)

    learn(model, digits[learned], Look(digits[judged], labels[judged]), args)
    autoencoder.save(args.model_dir, model)
    # With its serving code beside it, model.tar.gz is all that evaluation and the endpoint need.
    save_serving_code(args.model_dir)
    report(model, linear, (digits[learned], labels[learned]), (digits[judged], labels[judged]))


def parse_arguments():
    """Hyperparameters come as arguments, folders as SM_* variables, as in every SageMaker framework container."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=whole(), default=EPOCHS)
    parser.add_argument("--batch", type=whole(), default=BATCH)
    parser.add_argument("--filters", type=whole(), default=FILTERS)
    parser.add_argument("--learning-rate", type=number(above=0), default=LEARNING_RATE)
    parser.add_argument("--validation", type=number(above=0, below=1), default=VALIDATION)
    parser.add_argument("--look-every", type=whole(), default=LOOK_EVERY)
    parser.add_argument("--seed", type=whole(least=0), default=SEED)
    parser.add_argument("--threads", type=whole(), default=THREADS)
    parser.add_argument("--train", type=Path, default=os.environ.get("SM_CHANNEL_TRAIN", "/opt/ml/input/data/train"))
    parser.add_argument("--model-dir", type=Path, default=os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
    args = parser.parse_args()
    args.model_dir.mkdir(parents=True, exist_ok=True)
    return args


class Look:
    """Digits that aren't learned from, looked at again and again: what views.py draws."""

    def __init__(self, digits, labels):
        self.digits, self.labels = digits[:PLACED], labels[:PLACED]
        # The first of each digit, then whatever comes.
        firsts = np.unique(self.labels, return_index=True)[1]
        rest = np.setdiff1d(np.arange(len(self.labels)), firsts)
        self.shown = np.concatenate([firsts, rest])[:SHOWN]

    def save(self, model, probe):
        with probe.mode("eval"):
            latents = autoencoder.encode(model, self.digits)
            shown = autoencoder.decode(model, latents[self.shown])
            probe.tensor("look/latents", latents)
            probe.tensor("look/labels", self.labels)
            probe.tensor("look/digits", self.digits[self.shown])
            probe.tensor("look/reconstructions", shown.round().astype(np.uint8))


def learn(model, digits, look, args):
    """Trains in place, by one cycle of the learning rate; the probe saves what rules judge and views draw."""
    random = np.random.default_rng(args.seed)
    model.to(memory_format=torch.channels_last)  # so a processor's convolutions take half the time
    loss = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.learning_rate, weight_decay=1e-5)
    steps = max(1, len(digits) // args.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.learning_rate, total_steps=args.epochs * steps + 1)
    probe = Probe.from_environment()
    probe.watch(model, loss=loss, optimizer=optimizer)
    step = 0
    for epoch in range(args.epochs):
        order = random.permutation(len(digits))
        for place in range(0, steps * args.batch, args.batch):
            if step % args.look_every == 0:
                look.save(model, probe)
            model.train()
            pixels = autoencoder.tensor(digits[order[place : place + args.batch]])
            value = loss(model(pixels), pixels)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
            schedule.step()
            step += 1
        print(f"epoch={epoch + 1} loss={value.item():.5f}", flush=True)
    look.save(model, probe)
    probe.close()


def report(model, linear, learned, judged):
    """Prints what pipeline.yaml's train.metrics read, of the digits that weren't learned from.

    The linear encoder was fitted to what the network learned from.
    """
    known, asked = (autoencoder.encode(model, digits) for digits, _ in (learned, judged))
    print(f"validation:error={autoencoder.error(judged[0], autoencoder.decode(model, asked)):.6f}")
    print(f"validation:pca_error={autoencoder.error(judged[0], linear.reconstruct(judged[0])):.6f}")
    print(f"validation:knn_accuracy={grouping.knn_accuracy(known, learned[1], asked, judged[1]):.4f}")
    print(f"validation:purity={grouping.purity(asked, judged[1]):.4f}")


if __name__ == "__main__":
    main()
