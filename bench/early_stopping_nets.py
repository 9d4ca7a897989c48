"""Trains a small network on digits for each line of its standard input, and prints its learning curve.

It runs in the environment of the scikit-learn image. A line is a JSON object: the hyperparameters under `values`, as
SageMaker's strings, under `epochs` how many, and under `seed` that of the weights and the order of the examples. The
answer is a line too: the validation accuracy and the test accuracy after each epoch, with the seconds of training until
then. A fifth of the digits is for validation, a fifth for the test.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

HIDDEN = (64, 32)
# Momentum and Nesterov's are scikit-learn's `sgd` with other settings.
OPTIMIZERS = {
    "sgd": {"solver": "sgd", "momentum": 0.0, "nesterovs_momentum": False},
    "momentum": {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": False},
    "nag": {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": True},
    "adam": {"solver": "adam"},
}


def main() -> None:
    # A learning rate that is too high is one of the trials, not something to be warned of.
    warnings.filterwarnings("ignore")
    pixels, labels = load_digits(return_X_y=True)
    rest, test, rest_labels, test_labels = train_test_split(pixels / 16, labels, test_size=0.2, random_state=0)
    train, valid, train_labels, valid_labels = train_test_split(rest, rest_labels, test_size=0.25, random_state=0)
    for line in sys.stdin:
        asked = json.loads(line)
        net = MLPClassifier(HIDDEN, **settings(asked["values"]), random_state=asked["seed"])
        judged = {"validation": (valid, valid_labels), "test": (test, test_labels)}
        print(json.dumps(trained(net, asked, train, train_labels, judged)), flush=True)


def trained(net, asked, train, labels, judged):
    """A network epoch by epoch: accuracies and seconds after each."""
    found, seconds, spent = {name: [] for name in judged}, [], 0.0
    for _ in range(asked["epochs"]):
        started = time.process_time()
        learned = one_epoch(net, train, labels)
        spent += time.process_time() - started
        seconds.append(round(spent, 6))
        for name, (pixels, right) in judged.items():
            found[name].append(round(float(np.mean(net.predict(pixels) == right)), 6) if learned else 0.0)
    return {**found, "seconds": seconds}


def one_epoch(net, train, labels):
    """One pass over the examples in a new order; whether the weights are numbers still."""
    try:
        net.partial_fit(train, labels, classes=np.unique(labels))
    except ValueError as error:
        if "non-finite" not in str(error):
            raise
        return False
    return True


def settings(values):
    """The network's parameters for a trial's hyperparameters."""
    return {
        **OPTIMIZERS[values["optimizer"]],
        "learning_rate_init": float(values["learning-rate"]),
        "batch_size": int(values["mini-batch-size"]),
    }


if __name__ == "__main__":
    main()
