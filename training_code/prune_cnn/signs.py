"""Draws traffic signs: shapes with rims and symbols, moved, turned, lit differently, and with noise. All from a seed.

    python signs.py FOLDER --train 1200 --test 300

writes FOLDER/train/signs.csv and FOLDER/test/signs.csv, in the format of pictures.py. Twelve classes: four shapes with
three symbols each.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

SIZE = 32
SHAPES = ("circle", "triangle", "diamond", "octagon")
SYMBOLS = ("bar", "cross", "dot")
CLASSES = len(SHAPES) * len(SYMBOLS)
RED, BLUE, YELLOW, WHITE, BLACK = (200, 30, 40), (30, 70, 180), (230, 190, 40), (240, 240, 235), (25, 25, 30)
PAINT = {
    "circle": (RED, WHITE, BLACK),
    "triangle": (RED, WHITE, BLACK),
    "diamond": (WHITE, YELLOW, BLACK),
    "octagon": (WHITE, RED, WHITE),
}


def main():
    parser = argparse.ArgumentParser(description="Draws traffic signs with noise.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=1200, help="pictures to learn from (default: %(default)s)")
    parser.add_argument("--test", type=int, default=300, help="held-out pictures (default: %(default)s)")
    parser.add_argument(
        "--noise", type=float, default=25.0, help="its standard deviation, of 255 (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for offset, (channel, count) in enumerate({"train": args.train, "test": args.test}.items()):
        labels, pictures = draw(count, seed=2 * args.seed + offset, noise=args.noise)
        path = args.folder / channel / "signs.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(csv_text(labels, pictures))
        print(f"{path}: {count} signs of {CLASSES} classes")


def draw(count, *, seed, noise=25.0, size=SIZE):
    """Labels (count,) and pictures (count, size, size, 3) as bytes; classes take turns."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    return labels, np.stack([_sign(label, random, noise, size) for label in labels])


def csv_text(labels, pictures):
    """The pictures as a channel's CSV file."""
    rows = np.concatenate([labels[:, None], pictures.reshape(len(labels), -1)], axis=1)
    return "".join(",".join(map(str, row)) + "\n" for row in rows.tolist())


def _sign(label, random, noise, size):
    shape, symbol = SHAPES[label // len(SYMBOLS)], SYMBOLS[label % len(SYMBOLS)]
    x, y = _coordinates(random, size)
    rim, face, ink = (np.array(colour, float) for colour in PAINT[shape])
    picture = np.tile(random.uniform(40, 200, 3) * 0.5 + 50, (size, size, 1))
    distance = _distance(shape, x, y)
    picture[distance < 1.0] = rim
    picture[distance < 0.78] = face
    picture[(distance < 0.7) & _inked(symbol, x, y)] = ink
    light = random.uniform(0.45, 1.15) + random.uniform(-0.15, 0.15) * x[..., None]
    return np.clip(picture * light + random.normal(0, noise, picture.shape), 0, 255).astype(np.uint8)


def _coordinates(random, size):
    """Each pixel's place on the sign, which reaches from about -1 to 1; moved, turned and sized at random."""
    grid = (np.arange(size) + 0.5) / size * 2 - 1
    y, x = np.meshgrid(grid, grid, indexing="ij")
    x, y = x - random.uniform(-0.12, 0.12), y - random.uniform(-0.12, 0.12)
    turn, scale = random.normal(0, 0.08), random.uniform(0.65, 0.9)
    return (x * np.cos(turn) + y * np.sin(turn)) / scale, (y * np.cos(turn) - x * np.sin(turn)) / scale


def _distance(shape, x, y):
    """Each pixel's distance from the sign's middle; 1 at its edge."""
    if shape == "circle":
        return np.hypot(x, y)
    if shape == "triangle":
        return np.maximum(1.25 * y + 0.1, 1.1 * (1.75 * np.abs(x) - y) / 2 + 0.35)
    if shape == "diamond":
        return np.abs(x) + np.abs(y)
    return np.maximum(np.maximum(np.abs(x), np.abs(y)), (np.abs(x) + np.abs(y)) / 1.3)


def _inked(symbol, x, y):
    if symbol == "bar":
        return (np.abs(y - 0.1) < 0.14) & (np.abs(x) < 0.4)
    if symbol == "cross":
        return (np.minimum(np.abs(x), np.abs(y - 0.1)) < 0.09) & (np.maximum(np.abs(x), np.abs(y - 0.1)) < 0.38)
    return np.hypot(x, y - 0.1) < 0.22


if __name__ == "__main__":
    main()
