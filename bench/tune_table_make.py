"""Trains every forest of bench/tune_table.bin; run once, in an image's environment of scikit-learn.

    python bench/tune_table_make.py FOLDER      # a file a piece, so that it can be cut off and go on
    python bench/tune_table_make.py FOLDER bench/tune_table.bin

A forest of 100 trees holds all smaller ones, since trees are drawn one after the other: its values after each number
of trees are a column of the table; beyond 100 they hardly change any more. Seconds are those of fitting, without
judging. The fixed split is a quarter of the digits, scikit-learn's default size. Five folds cost five times as much,
so their grid is coarser where forests are bad, and leaves may always have one sample: the least number hardly matters.
"""

from __future__ import annotations

import sys

# platform.py beside this file must not stand for Python's own module of that name.
del sys.path[0]

import itertools
import json
import lzma
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, train_test_split

# The original's ranges: n-estimators 1–200, max-depth 1–20, min-samples-leaf 1–10, min-weight-fraction-leaf 0.01–0.5,
# max-features. Where the best ones are the grid is fine. Trees of such leaves are never deeper than some 13.
WEIGHTS = [0.01, 0.0105, 0.011, 0.0115, 0.012, 0.013, 0.014, 0.016, 0.018, 0.02, 0.023, 0.027, 0.033, 0.04, 0.05]
WEIGHTS += [0.065, 0.085, 0.11, 0.15, 0.2, 0.3, 0.5]
FOLD_WEIGHTS = [*WEIGHTS[:10], 0.023, 0.033, 0.05, 0.085, 0.2, 0.5]
DEPTHS = [1, 2, 3, 4, 5, 6, 7, 8, 10, 20]
LEAVES, FEATURES = [1, 10], ["sqrt", "log2"]
NAMES = ("min-weight-fraction-leaf", "max-features", "min-samples-leaf", "max-depth")
AXES = dict(zip(NAMES, (WEIGHTS, FEATURES, LEAVES, DEPTHS), strict=True))
FOLD_AXES = dict(zip(NAMES, (FOLD_WEIGHTS, FEATURES, [1], DEPTHS), strict=True))
TREES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 23, 26, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90]
TREES += [95, 100]
SEED = 42
CLASSES = 10
Split = Any
Column = dict[str, Any]


def splits() -> tuple[Split, list[Split]]:
    """The fixed split, and those of 5-fold cross-validation."""
    pixels, labels = load_digits(return_X_y=True)
    fixed = train_test_split(pixels, labels, test_size=0.25, random_state=SEED)
    folds = StratifiedKFold(5, shuffle=True, random_state=SEED).split(pixels, labels)
    return fixed, [(pixels[a], pixels[b], labels[a], labels[b]) for a, b in folds]


def fitted(split: Split, **settings: Any) -> tuple[Any, float]:
    """A forest, and the seconds that it took."""
    forest = RandomForestClassifier(TREES[-1], random_state=0, **settings)
    started = time.process_time()
    forest.fit(split[0], split[2])
    return forest, time.process_time() - started


def growth(split: Split, forest: Any) -> list[float]:
    """Macro F1 after each number of trees."""
    votes = np.cumsum([tree.predict_proba(split[1]) for tree in forest.estimators_], axis=0)
    return [macro_f1(split[3], votes[count - 1].argmax(axis=1)) for count in TREES]


def macro_f1(truth: Any, said: Any) -> float:
    """As scikit-learn's f1_score with average="macro"."""
    table = np.bincount(truth * CLASSES + said, minlength=CLASSES**2).reshape(CLASSES, CLASSES)
    right, total = np.diag(table), table.sum(axis=0) + table.sum(axis=1)
    return float(np.mean(2 * right / np.maximum(total, 1)))


def columns(make: Callable[..., tuple[Column, Any]], *outer: Any) -> Iterator[Column]:
    """A column a depth; what is deeper than any tree of a forest would be the same forest."""
    known: Column = {}
    for depth in DEPTHS:
        if not known or known["depth"] >= known["limit"]:
            known, forest = make(*outer, depth)
            known |= {"depth": max(tree.tree_.max_depth for tree in forest.estimators_), "limit": depth}
        yield known


def on_the_split(split: Split, weight: float) -> list[Column]:
    """All columns of one weight."""

    def make(features: str, leaf: int, depth: int) -> tuple[Column, Any]:
        settings = {"max_features": features, "min_samples_leaf": leaf, "max_depth": depth}
        forest, seconds = fitted(split, min_weight_fraction_leaf=weight, **settings)
        return {"f1": growth(split, forest), "seconds": seconds}, forest

    return [each for outer in itertools.product(FEATURES, LEAVES) for each in columns(make, *outer)]


def on_folds(splits: Sequence[Split], weight: float) -> list[Column]:
    """All columns of one weight, for leaves of one sample: means over the folds."""

    def make(features: str, depth: int) -> tuple[Column, Any]:
        settings = {"max_features": features, "max_depth": depth, "min_weight_fraction_leaf": weight}
        forests = [fitted(split, **settings)[0] for split in splits]
        means = np.mean([growth(*pair) for pair in zip(splits, forests, strict=True)], axis=0)
        return {"f1": list(means)}, max(forests, key=lambda forest: max(t.tree_.max_depth for t in forest.estimators_))

    return [each for features in FEATURES for each in columns(make, features)]


def store(folder: Path, table: Path) -> None:
    """The pieces as one file: a line of JSON, then two bytes a number; compressed."""
    split = [each for weight in WEIGHTS for each in made(folder, "split", weight)]
    folds = [each for weight in FOLD_WEIGHTS for each in made(folder, "folds", weight)]
    head = {"trees": TREES, "axes": AXES, "fold_axes": FOLD_AXES, "forests": len(split), "fold_forests": len(folds)}
    lines = [[round(10_000 * value) for value in each["f1"]] for each in [*split, *folds]]
    lines.append([round(10_000 * each["seconds"]) for each in split])
    body = b"".join(np.array(line, dtype="<u2").tobytes() for line in lines)
    table.write_bytes(lzma.compress(json.dumps(head).encode() + b"\n" + body, preset=9))


def made(folder: Path, name: str, weight: float) -> list[Column]:
    """The columns of a piece."""
    columns: list[Column] = json.loads((folder / f"{name}-{weight}.json").read_text())
    return columns


def make(folder: Path) -> None:
    """The pieces that are missing."""
    fixed, folds = splits()
    for weight in WEIGHTS:
        if not (path := folder / f"split-{weight}.json").exists():
            path.write_text(json.dumps(on_the_split(fixed, weight)))
    for weight in FOLD_WEIGHTS:
        if not (path := folder / f"folds-{weight}.json").exists():
            path.write_text(json.dumps(on_folds(folds, weight)))


def main() -> None:
    """Makes the pieces that are missing, or stores all of them in the file that is named."""
    if len(sys.argv) > 2:
        store(Path(sys.argv[1]), Path(sys.argv[2]))
    else:
        make(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
