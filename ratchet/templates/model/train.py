"""Trains my-model. A line of the training data is an example: its label, then its numbers, without a header.

It runs in SageMaker's scikit-learn image: hyperparameters arrive as arguments, folders as SM_* variables, what is
printed lands in the job's log, and what lies in the model folder at the end becomes model.tar.gz.
"""

import argparse
import csv
import os
from pathlib import Path

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from toolkit.serving import save_serving_code

# ---------------------------------------------------------------------------------------------------------------------
# The knobs. pipeline.yaml's train.hyperparameters override them.
TRUST = 1.0  # in the data (the regression's C): larger fits them more closely
FOLDS = 5  # of the cross-validation whose score is printed
SEED = 0  # the same data and knobs give the same model
# ---------------------------------------------------------------------------------------------------------------------


def main():
    args = parse_arguments()
    labels, numbers = load(args.train)
    print(f"training on {len(labels)} examples of {len(np.unique(labels))} classes")

    # The scaler is part of the model, so that serving scales as training did.
    model = make_pipeline(StandardScaler(), LogisticRegression(C=args.trust, max_iter=1000, random_state=args.seed))
    score = cross_val_score(model, numbers, labels, cv=FOLDS, scoring="f1_macro").mean()
    print(f"cv:f1_macro={score:.4f}")  # pipeline.yaml's train.metrics reads this line
    model.fit(numbers, labels)

    joblib.dump(model, args.model_dir / "model.joblib")
    # With its serving code beside it, model.tar.gz is all that evaluation and the endpoint need.
    save_serving_code(args.model_dir)


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trust", type=float, default=TRUST)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--train", type=Path, default=os.environ.get("SM_CHANNEL_TRAIN", "/opt/ml/input/data/train"))
    parser.add_argument("--model-dir", type=Path, default=os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
    args = parser.parse_args()
    args.model_dir.mkdir(parents=True, exist_ok=True)
    return args


def load(folder):
    """All CSV files of the channel -> labels (n,), numbers (n, columns)."""
    examples = [example for path in sorted(folder.rglob("*.csv")) for example in read(path)]
    if not examples:
        raise SystemExit(f"no example in the CSV files of {folder}")
    return np.array([label for label, _ in examples]), np.array([numbers for _, numbers in examples])


def read(path):
    """One file's examples as (label, numbers), with the line named if one is wrong."""
    examples = []
    # -sig drops the mark that spreadsheets put at the start.
    with path.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.reader(lines)
        for fields in filter(None, reader):  # a blank line has none
            line = reader.line_num
            try:
                label, *numbers = fields
                examples.append((label, [float(number) for number in numbers]))
            except ValueError as error:
                raise SystemExit(f"{path.name}:{line}: {error}") from error
            if len(numbers) != len(examples[0][1]):
                raise SystemExit(f"{path.name}:{line} has {len(fields)} columns, the lines before have another number")
    return examples


if __name__ == "__main__":
    main()
