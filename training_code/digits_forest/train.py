"""Trains a random forest on handwritten digits: 8 x 8 pixels from 0 to 16, labels 0 to 9.

A line of the training data is one digit: its label, then its 64 pixels, separated by commas, without a header.
Run it by hand from the folder above:

    PYTHONPATH=. python digits_forest/train.py --train /tmp/digits/train --model-dir /tmp/digits/model
"""

import argparse
import os
from pathlib import Path

import joblib
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, f1_score

from toolkit.serving import save_serving_code

# ---------------------------------------------------------------------------------------------------------------------
# The knobs. pipeline.yaml's train.hyperparameters override them.
N_ESTIMATORS = 50  # trees; more are steadier, and slower to answer: 50 take 2 ms, 100 take 3
MAX_DEPTH = 0  # of a tree; 0 lets each leaf become pure
MIN_SAMPLES_LEAF = 1  # raise it when labels are noisy
SEED = 0  # the same data and knobs give the same forest
# ---------------------------------------------------------------------------------------------------------------------

PIXELS = 64


def main():
    args = parse_arguments()
    labels, pixels = load(args.train)
    print(f"training on {len(labels)} digits of {len(np.unique(labels))} classes")

    forest = RandomForestClassifier(
        n_estimators=args.n_estimators,
        max_depth=args.max_depth or None,
        min_samples_leaf=args.min_samples_leaf,
        random_state=args.seed,
        oob_score=True,
        n_jobs=-1,
    )
    forest.fit(pixels, labels)
    report(forest, labels)

    # One request is one digit: handing it to threads would cost more than it saves.
    forest.set_params(n_jobs=1)
    joblib.dump(forest, args.model_dir / "model.joblib")
    # With its serving code beside it, model.tar.gz is all that evaluation and the endpoint need.
    save_serving_code(args.model_dir)


def parse_arguments():
    """Hyperparameters come as arguments, folders as SM_* variables, as in every SageMaker framework container."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--n-estimators", type=int, default=N_ESTIMATORS)
    parser.add_argument("--max-depth", type=int, default=MAX_DEPTH)
    parser.add_argument("--min-samples-leaf", type=int, default=MIN_SAMPLES_LEAF)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--train", type=Path, default=os.environ.get("SM_CHANNEL_TRAIN", "/opt/ml/input/data/train"))
    parser.add_argument("--model-dir", type=Path, default=os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
    args = parser.parse_args()
    args.model_dir.mkdir(parents=True, exist_ok=True)
    return args


def load(folder):
    """All CSV files of the channel -> labels (n,), pixels (n, 64)."""
    files = sorted(folder.rglob("*.csv"))
    if not files:
        raise SystemExit(f"no CSV file in {folder}")
    tables = [read(path) for path in files]
    table = np.concatenate(tables)
    return table[:, 0].astype(int), table[:, 1:]


def read(path):
    """One file, checked, so that a wrong one is named before hours are spent on it."""
    try:
        # -sig drops the mark that spreadsheets put at the start.
        table = np.loadtxt(path, delimiter=",", ndmin=2, encoding="utf-8-sig")
    except ValueError as error:
        raise SystemExit(f"{path.name} can't be read: {error}") from error
    if table.shape[1] != 1 + PIXELS:
        raise SystemExit(
            f"{path.name} has {table.shape[1]} columns; {1 + PIXELS} are needed: a label and {PIXELS} pixels"
        )
    return table


def report(forest, labels):
    """Prints what pipeline.yaml's train.metrics read: each digit judged by the trees that never saw it (out of bag)."""
    votes = forest.oob_decision_function_
    seen = ~np.isnan(votes).any(axis=1)  # with few trees, some digits were in every one
    guesses = forest.classes_[votes[seen].argmax(axis=1)]
    print(f"oob:accuracy={accuracy_score(labels[seen], guesses):.4f}")
    print(f"oob:f1_macro={f1_score(labels[seen], guesses, average='macro'):.4f}")


if __name__ == "__main__":
    main()
