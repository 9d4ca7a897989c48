"""One round of iterative pruning: takes the last round's network, removes the units that mattered least, trains on.

The first round has no `previous` channel: it trains a fresh network. Every later one gets the last round's model.tar.gz
there, with the ranks of its units, made while it trained. Run two rounds by hand:

    python signs.py /tmp/signs
    export PYTHONPATH=..
    RATCHET_TENSORS=/tmp/t1 python train.py --train /tmp/signs/train --model-dir /tmp/round1
    tar -C /tmp/round1 -czf /tmp/previous/model.tar.gz .
    RATCHET_TENSORS=/tmp/t2 python train.py --train /tmp/signs/train --previous /tmp/previous --model-dir /tmp/round2
"""

import argparse
import os
import tempfile
from pathlib import Path

import network
import peers
import pictures
import prune
import ranks
import torch
import weights
from learning import PRECISIONS, Recipe, Training, accuracy, latency

from toolkit import archives
from toolkit.probe import Probe, Trial
from toolkit.serving import save_serving_code

# ---------------------------------------------------------------------------------------------------------------------
# The knobs. pipeline.yaml's train.hyperparameters override them.
NETWORK = "resnet18"  # or alexnet
WIDTH = 0.25  # of the paper's layers; 1.0 is AlexNet with 57 million parameters, ResNet-18 with 11
SIZE = 32  # pixels; or 64
CRITERION = "taylor"  # how units are ranked: taylor, original, weight-l1, weight-l2, bn-gamma (see ranks.py)
FRACTION = 0.3  # of all units goes in a round
FLOOR = 0.05  # of every layer stays, whatever its ranks
FIRST_EPOCHS = 8  # of the first round
EPOCHS = 4  # of every later one
BATCH = 64  # of all hosts together
LEARNING_RATE = 2e-3
VALIDATION = 0.2  # of the training pictures judge the rounds; the held-out channel judges what leaves the last
PRECISION = "float32"  # or bfloat16: twice as fast where the processor has it in hardware (see learning.py)
SEED = 0
# Of the processor: small batches of a small network gain little from more, and lose much where others want the cores.
THREADS = 1
# ---------------------------------------------------------------------------------------------------------------------

RANKS = "ranks.safetensors"


def main():
    args = parse_arguments()
    with peers.joined() as joined:
        train(args, joined)


def train(args, joined):
    """A round, by all peers together; the first of them measures and saves."""
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    learned, judged, classes = load(args)
    model, arch = pruned(args) if args.previous else fresh(args, classes)
    model.to(joined.device)
    count, hosts = network.parameters(model), f", {joined.count} together" if joined.count > 1 else ""
    print(f"{arch.network}: {count} parameters, {len(learned[0])} pictures to learn from{hosts}", flush=True)

    epochs = args.epochs if args.previous else args.first_epochs
    recipe = Recipe(epochs, args.learning_rate, batch=args.batch, seed=args.seed, precision=args.precision)
    seen = learn(Training(model, recipe, joined), arch, learned, judged)
    if joined.is_first:
        save(args, model, arch, seen)
        report(model, arch, judged, args.model_dir / weights.STATE)


def save(args, model, arch, seen):
    """Writes the network, the ranks of its units, and the code that serves it."""
    weights.save(args.model_dir, arch, model.state_dict())
    # The next round prunes by them.
    weights.write(args.model_dir / RANKS, ranks.scores(args.criterion, arch, model.state_dict(), seen))
    # With its serving code beside it, model.tar.gz is all that evaluation and the endpoint need.
    save_serving_code(args.model_dir)


def parse_arguments():
    """Hyperparameters come as arguments, folders as SM_* variables, as in every SageMaker framework container."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", default=NETWORK, choices=sorted(network.NETWORKS))
    parser.add_argument("--width", type=float, default=WIDTH)
    parser.add_argument("--size", type=int, default=SIZE, choices=network.SIZES)
    parser.add_argument("--criterion", default=CRITERION, choices=ranks.CRITERIA)
    parser.add_argument("--fraction", type=float, default=FRACTION)
    parser.add_argument("--floor", type=float, default=FLOOR)
    parser.add_argument("--first-epochs", type=int, default=FIRST_EPOCHS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--learning-rate", type=float, default=LEARNING_RATE)
    parser.add_argument("--precision", default=PRECISION, choices=PRECISIONS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--train", type=Path, default=os.environ.get("SM_CHANNEL_TRAIN", "/opt/ml/input/data/train"))
    parser.add_argument("--previous", type=Path, default=os.environ.get("SM_CHANNEL_PREVIOUS"))
    parser.add_argument("--model-dir", type=Path, default=os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
    args = parser.parse_args()
    args.model_dir.mkdir(parents=True, exist_ok=True)
    return args


def load(args):
    """Pictures and labels to learn from, those that judge the round, and how many classes there are."""
    labels, images = pictures.load(args.train, args.size)
    learned, judged = pictures.split(labels, validation=VALIDATION, seed=args.seed)
    return (images[learned], labels[learned]), (images[judged], labels[judged]), int(labels.max()) + 1


def fresh(args, classes):
    """The first round's network, and its architecture."""
    arch = network.architecture(args.network, classes, size=args.size, width=args.width)
    return network.build(arch), arch


def pruned(args):
    """The last round's network without the units that it ranked lowest, and its architecture."""
    with tempfile.TemporaryDirectory() as folder:
        previous = archives.extract(args.previous / "model.tar.gz", Path(folder, "previous"))
        last, before = weights.load(previous)
        kept = prune.select(weights.read(previous / RANKS), before, fraction=args.fraction, floor=args.floor)
    state, arch = prune.prune(last.state_dict(), before, kept)
    if arch == before:
        print("nothing is left to prune: every layer is at its floor", flush=True)
    model = network.build(arch)
    model.load_state_dict(state)
    return model, arch


def learn(training, arch, learned, judged):
    """Trains while the probe saves what rules judge and units are ranked by; returns the latter (see ranks.py)."""
    model, joined = training.model, training.peers
    probe = Probe.from_environment()
    probe.watch(model, loss=training.loss, optimizer=training.optimizer)
    watcher = ranks.Watcher(model, arch, probe.tensor)
    for epoch in training.epochs(learned, watcher):
        if not joined.is_first:
            continue
        with probe.mode("eval"):
            score = accuracy(model, *judged)
            probe.scalar("validation/accuracy", score)
        print(f"epoch={epoch} validation:accuracy={score:.4f}", flush=True)
    watcher.close()
    probe.close()
    return ranks.seen_by(Trial(probe.directory), joined)


def report(model, arch, judged, file):
    """Prints what pipeline.yaml's train.metrics read."""
    print(f"validation:accuracy={accuracy(model, *judged):.4f}")
    print(f"parameters={network.parameters(model)}")
    print(f"bytes={file.stat().st_size}")
    print(f"latency_ms={latency(model, arch.size):.3f}")
    for group, units in arch.widths.items():
        print(f"units:{group}={units}")


if __name__ == "__main__":
    main()
