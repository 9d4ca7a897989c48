"""Draws bright shapes before dark backgrounds, from a seed: pictures in the format of pictures.py.

    python shapes.py FOLDER --train 1200 --test 300

writes FOLDER/train/shapes.npz and FOLDER/test/shapes.npz. Six classes; each shape has its own size, turn and place, and
its own colours, which say nothing about the class.
"""

import argparse
from pathlib import Path

import numpy as np

SIZE = 32
CLASSES = ("circle", "cross", "diamond", "ring", "square", "triangle")


def main():
    parser = argparse.ArgumentParser(description="Draws bright shapes.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=1200, help="pictures to learn from (default: %(default)s)")
    parser.add_argument("--test", type=int, default=300, help="held-out pictures (default: %(default)s)")
    parser.add_argument("--noise", type=float, default=14.0, help="its standard deviation, of 255")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for offset, (channel, count) in enumerate({"train": args.train, "test": args.test}.items()):
        pictures, labels = draw(count, seed=2 * args.seed + offset, noise=args.noise)
        path = args.folder / channel / "shapes.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, X=pictures, y=labels)
        print(f"{path}: {len(labels)} pictures of {len(CLASSES)} classes")


def draw(count, *, seed, noise=14.0):
    """Pictures (n, 32, 32, 3) as bytes, and their labels (n,) as texts; about equally many of each class, shuffled."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.resize(CLASSES, count))
    return np.stack([_picture(label, random, noise) for label in labels]), labels


def _picture(label, random, noise):
    x, y = _coordinates(random)
    picture = np.where((y > random.uniform(-1.5, 1.5))[..., None], *random.uniform(10, 90, (2, 3)))
    picture[_inside(label, x, y)] = random.uniform(120, 255, 3)
    return np.clip(picture + random.normal(0, noise, picture.shape), 0, 255).astype(np.uint8)


def _coordinates(random):
    """Each pixel's place on the shape, which reaches from about -1 to 1."""
    grid = (np.arange(SIZE) + 0.5) / SIZE * 2 - 1
    y, x = np.meshgrid(grid, grid, indexing="ij")
    scale, turn = random.uniform(0.6, 0.9), random.normal(0, 0.08)
    x, y = x - random.uniform(-0.15, 0.15), y - random.uniform(-0.15, 0.15)
    return (x * np.cos(turn) + y * np.sin(turn)) / scale, (y * np.cos(turn) - x * np.sin(turn)) / scale


def _inside(label, x, y):
    """Which pixels belong to the shape."""
    if label == "circle":
        return np.hypot(x, y) < 1
    if label == "ring":
        return (np.hypot(x, y) < 1) & (np.hypot(x, y) > 0.5)
    if label == "diamond":
        return np.abs(x) + np.abs(y) < 1.15
    if label == "square":
        return np.maximum(np.abs(x), np.abs(y)) < 0.85
    if label == "cross":
        return (np.minimum(np.abs(x), np.abs(y)) < 0.28) & (np.maximum(np.abs(x), np.abs(y)) < 0.95)
    return (y < 0.8) & (1.9 * np.abs(x) < y + 0.95)


if __name__ == "__main__":
    main()
