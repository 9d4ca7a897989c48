"""Trains Keras's MNIST convnet as a SageMaker script: what Keras's example does, and the lines that SageMaker needs.

TensorFlow is what Keras computes with here, and in no file that is saved: `model.keras` is read by Keras on PyTorch
where it serves.

By hand, without any AWS, where TensorFlow is installed:

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

from toolkit.hyperparameters import number, whole
from toolkit.probe import Probe
from toolkit.serving import save_serving_code

# ---------------------------------------------------------------------------------------------------------------------
# The knobs. pipeline.yaml's train.hyperparameters override them.
EPOCHS = 15
BATCH_SIZE = 128
LEARNING_RATE = 1e-3
DROPOUT = 0.5
VALIDATION = 0.1  # of the training digits judges each epoch
SEED = 0
# ---------------------------------------------------------------------------------------------------------------------

MODEL = "model.keras"


def main():
    args = parse_arguments()
    keras.utils.set_random_seed(args.seed)
    (pictures, labels), judged = load(args)
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
        validation_data=judged,
        verbose=2,  # a line an epoch, of which pipeline.yaml's train.metrics read the figures
        callbacks=[Answers(probe, *judged, args.batch_size), probe.watch(model)],
    )
    probe.close()
    model.save(args.model_dir / MODEL)
    # With its serving code beside it, model.tar.gz is all that evaluation and the endpoint need.
    save_serving_code(args.model_dir)


def parse_arguments():
    """Hyperparameters come as arguments, folders as SM_* variables, as in every SageMaker framework container."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=whole(), default=EPOCHS)
    parser.add_argument("--batch-size", type=whole(), default=BATCH_SIZE)
    parser.add_argument("--learning-rate", type=number(above=0), default=LEARNING_RATE)
    parser.add_argument("--dropout", type=number(least=0, below=1), default=DROPOUT)
    parser.add_argument("--validation", type=number(above=0, below=1), default=VALIDATION)
    parser.add_argument("--seed", type=whole(least=0, most=2**32 - 1), default=SEED)
    parser.add_argument("--train", type=Path, default=os.environ.get("SM_CHANNEL_TRAIN", "/opt/ml/input/data/train"))
    # A tuning job's trials get it as --model_dir from TensorFlow's container.
    model_dir = os.environ.get("SM_MODEL_DIR", "/opt/ml/model")
    parser.add_argument("--model-dir", "--model_dir", type=Path, default=model_dir)
    args = parser.parse_args()
    args.model_dir.mkdir(parents=True, exist_ok=True)
    return args


def load(args):
    """The digits to learn from and those that judge each epoch: pictures and labels of both."""
    pictures, labels = digits.load(args.train)
    judging = round(args.validation * len(labels))
    if not 0 < judging < len(labels):
        raise SystemExit(
            f"--validation {args.validation:g} of {len(labels)} digits leaves {len(labels) - judging} to learn from "
            f"and {judging} to judge by; give more digits, or another share"
        )
    order = np.random.default_rng(args.seed).permutation(len(labels))
    learned, judged = order[judging:], order[:judging]
    return (pictures[learned], labels[learned]), (pictures[judged], labels[judged])


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


class Answers(keras.callbacks.Callback):
    """Gives the probe each validation batch's labels, and what the model says of it: the view `confusion` needs both.

    Keras compiles its steps on TensorFlow, so that the probe sees neither by itself. Before `probe.watch(model)` among
    the callbacks, which ends the batch's step.
    """

    def __init__(self, probe, pictures, labels, batch_size):
        super().__init__()
        self.probe, self.pictures, self.labels, self.batch_size = probe, pictures, labels, batch_size

    def on_test_batch_end(self, batch, logs=None):  # noqa: ARG002 - Keras's signature
        part = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
        self.probe.labels(self.labels[part])
        self.probe.predictions(self.model.predict_on_batch(self.pictures[part]))


if __name__ == "__main__":
    main()
