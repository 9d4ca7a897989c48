"""Trains a booster on cars described in words, labels in words, too.

A file is CSV whose first line names the columns; one is called `class`. Features and booster are fitted together and
saved together: model.tar.gz is the whole chain. Run it by hand from the folder above:

    PYTHONPATH=. python car_evaluation/train.py --train /tmp/cars/train --model-dir /tmp/cars/model
"""

import argparse
import csv
import json
import os
from pathlib import Path

import booster
import features
import labels
import numpy as np
import xgboost

from toolkit.serving import save_serving_code

# ---------------------------------------------------------------------------------------------------------------------
# The knobs. pipeline.yaml's train.hyperparameters override them.
ROUNDS = 200  # trees, one a class and round; more learn rarer combinations, and answer slower
MAX_DEPTH = 6  # as many as there are columns: a tree may ask for each of them once
LEARNING_RATE = 0.3
SEED = 0  # the same data and knobs give the same booster
# ---------------------------------------------------------------------------------------------------------------------

CLASS = "class"


def main():
    args = parse_arguments()
    columns, rows, names = load(args.train)
    known = sorted(set(names))
    print(f"training on {len(rows)} cars of {len(known)} classes")

    encoded = features.fitted(columns, rows)
    trained = fit(encoded.numbers(rows), [known.index(name) for name in names], args)

    encoded.save(args.model_dir)
    trained.save_model(args.model_dir / booster.FILE)
    (args.model_dir / labels.FILE).write_text(json.dumps(known))
    # With the code that serves it beside it, model.tar.gz is all that evaluation and the endpoint need.
    save_serving_code(args.model_dir)


def parse_arguments():
    """Hyperparameters come as arguments, folders as SM_* variables, as in every SageMaker framework container."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--max-depth", type=int, default=MAX_DEPTH)
    parser.add_argument("--learning-rate", type=float, default=LEARNING_RATE)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--train", type=Path, default=os.environ.get("SM_CHANNEL_TRAIN", "/opt/ml/input/data/train"))
    parser.add_argument("--model-dir", type=Path, default=os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
    args = parser.parse_args()
    args.model_dir.mkdir(parents=True, exist_ok=True)
    return args


def load(folder):
    """All CSV files of the channel -> the features' names, rows of words, and each row's class."""
    tables = [read(path) for path in sorted(folder.rglob("*.csv"))]
    if not tables:
        raise SystemExit(f"no CSV file in {folder}")
    columns = [name for name in tables[0][0] if name != CLASS]
    cars = [car for header, table in tables for car in as_words(header, columns, table)]
    return columns, [words for words, _ in cars], [name for _, name in cars]


def read(path):
    """One file's column names and its rows, checked, so that a wrong one is named before hours are spent on it."""
    # -sig drops the mark that spreadsheets put at the start.
    with path.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.reader(lines)
        header = next(reader, [])
        if CLASS not in header:
            raise SystemExit(f"{path.name}:1 names no column {CLASS}, but {', '.join(header) or 'nothing'}")
        rows = []
        for row in filter(None, reader):  # a blank line has none
            if len(row) != len(header):
                raise SystemExit(
                    f"{path.name}:{reader.line_num} has {len(row)} words; its first line names {len(header)}"
                )
            rows.append(row)
    return header, rows


def as_words(header, columns, rows):
    """A table's cars as (words in the columns' order, class)."""
    missing = [name for name in columns if name not in header]
    if missing:
        raise SystemExit(f"a file has no column {missing[0]}, but {', '.join(header)}")
    places, label = [header.index(name) for name in columns], header.index(CLASS)
    return [([row[place] for place in places], row[label]) for row in rows]


def fit(numbers, classes, args):
    """The booster; the last line that it prints is what pipeline.yaml's train.metrics read."""
    data = xgboost.DMatrix(numbers, np.array(classes))
    settings = {
        "objective": "multi:softprob",
        "num_class": max(classes) + 1,
        "max_depth": args.max_depth,
        "eta": args.learning_rate,
        "seed": args.seed,
    }
    history = {}
    trained = xgboost.train(
        settings, data, args.rounds, evals=[(data, "train")], evals_result=history, verbose_eval=False
    )
    print(f"train:mlogloss={history['train']['mlogloss'][-1]:.6f}")
    return trained


if __name__ == "__main__":
    main()
