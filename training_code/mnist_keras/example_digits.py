"""Writes example data: scikit-learn's 1,797 handwritten digits, scaled from 8 x 8 to 28 x 28 pixels.

    python example_digits.py FOLDER

writes FOLDER/train/digits.csv and FOLDER/test/digits.csv, in the format of digits.py; which digit goes where is drawn
from a seed.
"""

import argparse
from pathlib import Path

import digits
import numpy as np
from sklearn.datasets import load_digits

# As in MNIST, a digit fills the middle 20 x 20 pixels.
MARGIN = 4
BRIGHTEST = 16  # of scikit-learn's


def main():
    parser = argparse.ArgumentParser(description="Writes scikit-learn's digits, scaled to 28 x 28 pixels.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--test", type=float, default=0.2, help="share that is held out (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    small, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(args.seed).permutation(len(labels))
    pictures, labels = scaled(small.reshape(-1, 8, 8))[order], labels[order]
    held = round(args.test * len(labels))
    for channel, part in {"train": slice(held, None), "test": slice(held)}.items():
        path = args.folder / channel / "digits.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(digits.csv_text(labels[part], pictures[part]))
        print(f"{path}: {len(labels[part])} digits")


def scaled(small):
    """Pictures (n, 8, 8), 0 to 16 -> (n, 28, 28) as bytes, between whose pixels it is interpolated linearly."""
    inner = digits.SIZE - 2 * MARGIN
    at = (np.arange(inner) + 0.5) / inner * small.shape[1] - 0.5
    pixels = np.arange(small.shape[1])
    weights = np.clip(1 - np.abs(at.clip(0, pixels[-1])[:, None] - pixels), 0, None)  # (20, 8), each row's sum 1
    large = np.einsum("ai,nij,bj->nab", weights, small, weights) / BRIGHTEST * 255
    return np.pad(large.round().astype(np.uint8), ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)))


if __name__ == "__main__":
    main()
