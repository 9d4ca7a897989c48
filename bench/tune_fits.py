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
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold, train_test_split

SEED, SPLIT = 0, 42


def main() -> None:
    # A part of a small forest may be without a new tree, of which scikit-learn warns.
    warnings.filterwarnings("ignore", message="Warm-start fitting without increasing")
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
    """A forest part by part: F1 and seconds after each."""
    train, test, train_labels, test_labels = split
    forest = RandomForestClassifier(**settings(values), warm_start=True)
    votes = np.zeros((len(test), len(np.unique(train_labels))))
    trees, f1, seconds, spent = forest.n_estimators, [], [], 0.0
    for epoch in range(1, epochs + 1):
        before = len(getattr(forest, "estimators_", ()))
        forest.n_estimators = max(1, round(trees * epoch / epochs))
        started = time.process_time()
        if forest.n_estimators > before:
            forest.fit(train, train_labels)
        spent += time.process_time() - started
        # What the forest itself would say: the class of the largest mean of its trees' probabilities.
        votes += sum(tree.predict_proba(test) for tree in forest.estimators_[before:])
        f1.append(round(f1_score(test_labels, forest.classes_[votes.argmax(axis=1)], average="macro"), 6))
        seconds.append(round(spent, 6))
    return {"f1": f1, "seconds": seconds}


def cross_validated(values, folds, pixels, labels):
    """F1 of each fold."""
    scores = []
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=SEED).split(pixels, labels):
        forest = RandomForestClassifier(**settings(values)).fit(pixels[train], labels[train])
        scores.append(round(f1_score(labels[test], forest.predict(pixels[test]), average="macro"), 6))
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
