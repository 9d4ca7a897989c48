"""Trains a decision tree on irises: four lengths in centimetres, labels setosa, versicolor and virginica.

A line of the training data is one flower: its label, then its four lengths, separated by commas, without a header.
Run it by hand from the folder above:

    PYTHONPATH=. python iris_tree/train.py --train /tmp/iris/train --model-dir /tmp/iris/model
"""

import argparse
import csv
import os
from pathlib import Path

import joblib
import numpy as np
from sklearn.model_selection import cross_val_score
from sklearn.tree import DecisionTreeClassifier, export_text

from toolkit.serving import save_serving_code

# ---------------------------------------------------------------------------------------------------------------------
# The knobs. pipeline.yaml's train.hyperparameters override them.
MAX_LEAF_NODES = 8  # enough for three species; a bigger tree learns single flowers by heart
FOLDS = 5  # of the cross-validation whose accuracy is printed
SEED = 0  # the same data and knobs give the same tree
# ---------------------------------------------------------------------------------------------------------------------

LENGTHS = ["sepal length", "sepal width", "petal length", "petal width"]


def main():
    args = parse_arguments()
    species, lengths = load(args.train)
    print(f"training on {len(species)} flowers of {len(np.unique(species))} species")

    tree = DecisionTreeClassifier(max_leaf_nodes=args.max_leaf_nodes, random_state=args.seed)
    folds = min(FOLDS, np.unique(species, return_counts=True)[1].min())
    if folds > 1:
        accuracy = cross_val_score(tree, lengths, species, cv=folds).mean()
        print(f"cv:accuracy={accuracy:.4f}")  # pipeline.yaml's train.metrics reads this line
    tree.fit(lengths, species)
    print(export_text(tree, feature_names=LENGTHS))

    joblib.dump(tree, args.model_dir / "model.joblib")
    # With its serving code beside it, model.tar.gz is all that evaluation and the endpoint need.
    save_serving_code(args.model_dir)


def parse_arguments():
    """Hyperparameters come as arguments, folders as SM_* variables, as in every SageMaker framework container."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--max-leaf-nodes", type=int, default=MAX_LEAF_NODES)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--train", type=Path, default=os.environ.get("SM_CHANNEL_TRAIN", "/opt/ml/input/data/train"))
    parser.add_argument("--model-dir", type=Path, default=os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
    args = parser.parse_args()
    args.model_dir.mkdir(parents=True, exist_ok=True)
    return args


def load(folder):
    """All CSV files of the channel -> species (n,), lengths (n, 4)."""
    flowers = [flower for path in sorted(folder.rglob("*.csv")) for flower in read(path)]
    if not flowers:
        raise SystemExit(f"no flower in the CSV files of {folder}")
    return np.array([species for species, _ in flowers]), np.array([lengths for _, lengths in flowers])


def read(path):
    """One file's flowers as (species, lengths), with the line named if one is wrong."""
    flowers = []
    # -sig drops the mark that spreadsheets put at the start.
    with path.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.reader(lines)
        for fields in filter(None, reader):  # a blank line has none
            number = reader.line_num
            try:
                species, *lengths = fields
                flowers.append((species, [float(length) for length in lengths]))
            except ValueError as error:
                raise SystemExit(f"{path.name}:{number}: {error}") from error
            if len(lengths) != len(LENGTHS):
                raise SystemExit(f"{path.name}:{number} has {len(lengths)} lengths; needed: {', '.join(LENGTHS)}")
    return flowers


if __name__ == "__main__":
    main()
