"""Fits a random forest on digits for each line of its standard input, and prints what came of it.

It runs in the environment of the scikit-learn image. A line is a JSON object: the hyperparameters under `values`, as
SageMaker's strings, and under `epochs` in how many parts the forest grows, or under `folds` how many folds it is
cross-validated on. The answer is a line too: the macro F1 after each part, on a quarter of the digits that is always
the same (that of the tabulated benchmark), with the processor's seconds of fitting until then; or the F1 of each fold.

The forest's seed is always the same, so that a configuration has one F1. `auto`, which scikit-learn had for a
classifier's max_features until 1.3, was another name of sqrt.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, train_test_split

SEED, SPLIT, CLASSES = 0, 42, 10


def main() -> None:
    pixels, labels = load_digits(return_X_y=True)
    split = train_test_split(pixels, labels, test_size=0.25, random_state=SPLIT)
    for line in sys.stdin:
        asked = json.loads(line)
        if "folds" in asked:
            answer = {"f1": cross_validated(asked["values"], asked["folds"], pixels, labels)}
        else:
            answer = grown(asked["values"], asked["epochs"], split)
        print(json.dumps(answer), flush=True)


def grown(values, epochs, split):
    """A forest part by part: F1 and seconds after each. Trees are grown one after the other, all equally long."""
    train, test, train_labels, test_labels = split
    started = time.process_time()
    forest = RandomForestClassifier(**settings(values)).fit(train, train_labels)
    spent, trees = time.process_time() - started, forest.n_estimators
    # What a forest says: the class of the largest mean of its trees' probabilities.
    votes = np.cumsum([tree.predict_proba(test) for tree in forest.estimators_], axis=0)
    counts = [max(1, round(trees * epoch / epochs)) for epoch in range(1, epochs + 1)]
    return {
        "f1": [round(macro_f1(test_labels, votes[count - 1].argmax(axis=1)), 6) for count in counts],
        "seconds": [round(spent * count / trees, 6) for count in counts],
    }


def macro_f1(labels, guesses):
    """As scikit-learn's f1_score with average="macro", in a thirtieth of its time; every class is among the labels."""
    hits, there, said = (np.bincount(each, minlength=CLASSES) for each in (labels[labels == guesses], labels, guesses))
    return float(np.mean(2 * hits / (there + said)))


def cross_validated(values, folds, pixels, labels):
    """F1 of each fold."""
    scores = []
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=SEED).split(pixels, labels):
        forest = RandomForestClassifier(**settings(values)).fit(pixels[train], labels[train])
        scores.append(round(macro_f1(labels[test], forest.predict(pixels[test])), 6))
    return scores


def settings(values):
    """The forest's parameters for a trial's hyperparameters."""
    features = values["max-features"]
    return {
        "n_estimators": int(values["n-estimators"]),
        "max_depth": int(values["max-depth"]),
        "min_samples_leaf": int(values["min-samples-leaf"]),
        "min_weight_fraction_leaf": float(values["min-weight-fraction-leaf"]),
        "max_features": "sqrt" if features == "auto" else features,
        "random_state": SEED,
    }


if __name__ == "__main__":
    main()
