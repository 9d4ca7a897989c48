"""Trains a ResNet-18 to tell traffic signs apart, and keeps what it looked at.

After each epoch a part of the training pictures judges it, and eight of them are shown: views.py draws what spoke for
their classes.

By hand, without any AWS, where PyTorch is installed:

    python signs.py /tmp/signs
    pip install -r requirements.txt
    PYTHONPATH=.. RATCHET_TENSORS=/tmp/tensors python train.py --train /tmp/signs/train --model-dir /tmp/model
"""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import learning
import network
import numpy as np
import pictures
import thresholds
import torch
import tracks
import views
from saliency import gradients_of
from sign_metrics import FLOORS, accuracy, recall
from thresholds import with_floors

from toolkit import network_files
from toolkit.hyperparameters import number, whole
from toolkit.probe import Probe
from toolkit.serving import save_serving_code

# ---------------------------------------------------------------------------------------------------------------------
# The knobs. pipeline.yaml's train.hyperparameters override them.
WIDTH = 0.25  # of the paper's layers: 0.7 million parameters
EPOCHS = 24
BATCH = 64
LEARNING_RATE = 4e-3
WEIGHT_DECAY = 1e-3
WEIGHT = 3.0  # of the classes with a floor (see sign_metrics.py): to overlook one is worse than to see one too many
FALSE_ALARMS = 0.01  # of other classes' pictures, varied: what may be taken for a class with a floor (thresholds.py)
SMOOTHING = 0.05  # the share of a label that goes to all classes alike
STRENGTH = 1.0  # of what varies pictures: moves, turns, sizes, light (see learning.py); 0 leaves them as they are
VALIDATION = 0.1  # of the training pictures, in whole tracks, judge the epochs; the held-out channel judges the model
SHOWN = 8  # pictures whose maps are drawn after each epoch
SEED = 0
# Of the processor: small batches of a small network gain little from more, and lose much where others want the cores.
THREADS = 1
# ---------------------------------------------------------------------------------------------------------------------


def main():
    args = parse_arguments()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    images, labels, track = pictures.load(args.train)
    if track is None:
        track = tracks.found(images, labels)
        told = f"the data don't say which pictures are of one track; found {len(set(track))} by likeness"
        print(f"{told}: validation is too kind where that are too many", flush=True)
    names, classes = np.unique(labels, return_inverse=True)
    learned, judged = tracks.split(labels, track, validation=args.validation, seed=args.seed)
    if not len(judged):
        raise SystemExit(
            f"no class of {args.train} has tracks enough for one to judge by; give more tracks of a class, or a "
            f"validation above {args.validation:g}"
        )

    arch = network.Architecture(tuple(names.tolist()), args.width)
    model = network.build(arch)
    print(f"{network.parameters(model)} parameters, {len(learned)} pictures to learn from, {len(judged)} to judge by")
    train(model, arch, Data(images, classes, learned, judged), args)

    network_files.save(args.model_dir, arch, model)
    thresholds.save(args.model_dir, chosen(model, arch, images[judged], classes[judged], args))
    # With its serving code beside it, model.tar.gz is all that evaluation and the endpoint need.
    save_serving_code(args.model_dir)


def parse_arguments():
    """Hyperparameters come as arguments, folders as SM_* variables, as in every SageMaker framework container."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=number(above=0, most=1), default=WIDTH)
    parser.add_argument("--epochs", type=whole(), default=EPOCHS)
    parser.add_argument("--batch", type=whole(), default=BATCH)
    parser.add_argument("--learning-rate", type=number(above=0), default=LEARNING_RATE)
    parser.add_argument("--weight-decay", type=number(least=0), default=WEIGHT_DECAY)
    parser.add_argument("--weight", type=number(above=0), default=WEIGHT)
    parser.add_argument("--false-alarms", type=number(least=0, below=1), default=FALSE_ALARMS)
    parser.add_argument("--smoothing", type=number(least=0, below=1), default=SMOOTHING)
    parser.add_argument("--strength", type=number(least=0, most=1), default=STRENGTH)
    parser.add_argument("--validation", type=number(above=0, below=1), default=VALIDATION)
    parser.add_argument("--seed", type=whole(least=0), default=SEED)
    parser.add_argument("--threads", type=whole(), default=THREADS)
    parser.add_argument("--train", type=Path, default=os.environ.get("SM_CHANNEL_TRAIN", "/opt/ml/input/data/train"))
    parser.add_argument("--model-dir", type=Path, default=os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
    args = parser.parse_args()
    args.model_dir.mkdir(parents=True, exist_ok=True)
    return args


@dataclass(frozen=True)
class Data:
    """Pictures, their classes, and which of them are learned and which judge."""

    images: np.ndarray
    classes: np.ndarray
    learned: np.ndarray
    judged: np.ndarray


def train(model, arch, data, args):
    """Trains while the probe saves losses, answers and what maps are drawn from."""
    recipe = learning.Recipe(
        epochs=args.epochs, learning_rate=args.learning_rate, batch=args.batch, weight_decay=args.weight_decay,
        smoothing=args.smoothing, strength=args.strength, heavy=with_floors(arch.classes), weight=args.weight,
        seed=args.seed,
    )  # fmt: skip
    training = learning.Training(model, len(arch.classes), recipe)
    probe = Probe.from_environment()
    probe.watch(model, loss=training.loss, optimizer=training.optimizer)
    shown = data.images[to_show(data.classes, data.judged, arch.classes)]
    judged, truths = data.images[data.judged], data.classes[data.judged]
    # A second network with the same weights is asked about them: the probe takes each call of the first for a step.
    twin = network.build(arch).eval()
    for epoch in training.epochs(data.images[data.learned], data.classes[data.learned]):
        with probe.mode("eval"):
            answers = judge(training, judged, truths)
            twin.load_state_dict(model.state_dict())
            show(probe, twin, arch, shown)
        report(epoch, arch.classes, truths, answers)
    probe.close()


def to_show(classes, judged, names):
    """The pictures whose maps are drawn: of the classes with a floor first, then one of each in turn."""
    first = with_floors(names)
    order = [*first, *(number for number in range(len(names)) if number not in first)]
    turns = [judged[classes[judged] == number] for number in order]
    dealt = [of[turn] for turn in range(len(judged)) for of in turns if turn < len(of)]
    return np.array(dealt[:SHOWN])


def judge(training, images, classes):
    """The most likely classes of pictures (n,); the loss is watched, so the probe saves labels and predictions too."""
    training.model.eval()
    found = []
    with torch.no_grad():
        for start in range(0, len(images), 256):
            scores = training.model(pictures.tensor(images[start : start + 256]))
            training.loss(scores, torch.from_numpy(classes[start : start + 256]))
            found.append(scores.argmax(1).numpy())
    return np.concatenate(found)


def show(probe, model, arch, images):
    """Saves what the maps of these pictures are made of."""
    gradients = gradients_of(model, pictures.tensor(images))
    views.save(probe, gradients, images, learning.probabilities(model, images), arch.classes)


def chosen(model, arch, images, classes, args):
    """The thresholds of the classes with a floor, which are told."""
    likely = learning.varied_probabilities(model, images, args.strength, args.seed)
    found = thresholds.chosen(likely, np.tile(classes, learning.TIMES), arch.classes, args.false_alarms)
    for name, threshold in found.items():
        print(f"taken for {name} from a probability of {threshold:.4f}", flush=True)
    return found


def report(epoch, names, truths, answers):
    """Prints what pipeline.yaml's train.metrics read."""
    truths, answers = ([names[number] for number in numbers] for numbers in (truths, answers))
    floors = "".join(f" validation:recall:{name}={recall(truths, answers, name):.4f}" for name in FLOORS)
    print(f"epoch={epoch} validation:accuracy={accuracy(truths, answers):.4f}{floors}", flush=True)


if __name__ == "__main__":
    main()
