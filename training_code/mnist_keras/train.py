"""Trains Keras's MNIST convnet as a SageMaker script: what Keras's example does, and the lines that SageMaker needs.

TensorFlow is what Keras computes with here, and in no file that is saved: `model.keras` is read by Keras on PyTorch
where it serves. By hand, where TensorFlow is installed:

    python example_digits.py /tmp/digits
    PYTHONPATH=.. RATCHET_TENSORS=/tmp/tensors python train.py --train /tmp/digits/train --model-dir /tmp/model
"""

import argparse
import os
from pathlib import Path

import digits
import keras
import numpy as np
from keras import layers

from toolkit.probe import Probe
from toolkit.serving import save_serving_code

# ---------------------------------------------------------------------------------------------------------------------
# The knobs. pipeline.yaml's train.hyperparameters override them.
EPOCHS = 15
BATCH_SIZE = 128
LEARNING_RATE = 1e-3
DROPOUT = 0.5
VALIDATION = 0.1  # of the training digits, which Keras takes from their end
SEED = 0
# ---------------------------------------------------------------------------------------------------------------------

MODEL = "model.keras"


def main():
    args = parse_arguments()
    keras.utils.set_random_seed(args.seed)
    pictures, labels = load(args)
    model = convnet(args.dropout)
    model.summary()
    model.compile(
        loss="sparse_categorical_crossentropy",
        optimizer=keras.optimizers.Adam(args.learning_rate),
        metrics=["accuracy"],
    )
    probe = Probe.from_environment()
    model.fit(
        pictures,
        labels,
        batch_size=args.batch_size,
        epochs=args.epochs,
        validation_split=args.validation,
        verbose=2,  # a line an epoch, of which pipeline.yaml's train.metrics read the figures
        callbacks=[probe.watch(model), judged(probe, model, pictures, labels, args.validation)],
    )
    probe.close()
    model.save(args.model_dir / MODEL)
    # With its serving code beside it, model.tar.gz is all that evaluation and the endpoint need.
    save_serving_code(args.model_dir)


def parse_arguments():
    """Hyperparameters come as arguments, folders as SM_* variables, as in every SageMaker framework container."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=whole, default=EPOCHS)
    parser.add_argument("--batch-size", type=whole, default=BATCH_SIZE)
    parser.add_argument("--learning-rate", type=positive, default=LEARNING_RATE)
    parser.add_argument("--dropout", type=share, default=DROPOUT)
    parser.add_argument("--validation", type=share, default=VALIDATION)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--train", type=Path, default=os.environ.get("SM_CHANNEL_TRAIN", "/opt/ml/input/data/train"))
    # A tuning job's trials get it as --model_dir from TensorFlow's container.
    model_dir = os.environ.get("SM_MODEL_DIR", "/opt/ml/model")
    parser.add_argument("--model-dir", "--model_dir", type=Path, default=model_dir)
    args = parser.parse_args()
    args.model_dir.mkdir(parents=True, exist_ok=True)
    return args


def load(args):
    """The digits to learn from, shuffled: Keras takes those that judge from the end, and files may be sorted."""
    pictures, labels = digits.load(args.train)
    learned = int(len(labels) * (1 - args.validation))
    if not 0 < learned < len(labels):
        raise SystemExit(
            f"--validation {args.validation:g} of {len(labels)} digits leaves {learned} to learn from and "
            f"{len(labels) - learned} to judge by; give more digits, or another share"
        )
    order = np.random.default_rng(args.seed).permutation(len(labels))
    return pictures[order], labels[order]


def convnet(dropout):
    """Two convolutions, each with a pooling, and a dense layer behind a dropout: 34,826 parameters."""
    return keras.Sequential(
        [
            keras.Input((digits.SIZE, digits.SIZE, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(dropout),
            layers.Dense(digits.CLASSES, activation="softmax"),
        ]
    )


def judged(probe, model, pictures, labels, validation):
    """A callback by which the probe gets, after each epoch, the digits that judge and what the model says of them.

    Keras compiles its steps on TensorFlow, so that no watcher sees them; the view `confusion` is drawn from them.
    """
    first = int(len(labels) * (1 - validation))

    def save(epoch, logs):  # noqa: ARG001 - Keras's signature
        with probe.mode("eval"):
            probe.labels(labels[first:])
            probe.predictions(model.predict(pictures[first:], verbose=0))
            probe.step()

    return keras.callbacks.LambdaCallback(on_epoch_end=save)


def whole(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"is {number}; it must be 1 or more")
    return number


def positive(text):
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"is {number:g}; it must be above 0")
    return number


def share(text):
    number = float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"is {number:g}; it must be at least 0 and below 1")
    return number


if __name__ == "__main__":
    main()
