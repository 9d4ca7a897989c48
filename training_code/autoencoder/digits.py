"""Draws handwritten-looking digits: strokes that are bent, slanted, sized and moved at random. All from a seed.

    python digits.py FOLDER --train 1200 --test 400

writes FOLDER/train/digits.csv and FOLDER/test/digits.csv, in the format of digit_files.py: as MNIST's, white on black,
28 x 28 pixels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

SIZE = 28
# Corners of each digit's line in a unit square, y downwards. They are rounded when it is drawn.
CORNERS = (
    ((0.5, 0.04), (0.2, 0.15), (0.1, 0.5), (0.2, 0.85), (0.5, 0.96), (0.8, 0.85), (0.9, 0.5), (0.8, 0.15), (0.5, 0.04)),
    ((0.3, 0.25), (0.55, 0.05), (0.55, 0.95)),
    ((0.15, 0.25), (0.35, 0.03), (0.7, 0.05), (0.82, 0.3), (0.6, 0.58), (0.12, 0.95), (0.9, 0.92)),
    (
        (0.15, 0.12),
        (0.5, 0.02),
        (0.85, 0.2),
        (0.72, 0.45),
        (0.4, 0.48),
        (0.75, 0.5),
        (0.9, 0.78),
        (0.5, 0.98),
        (0.1, 0.85),
    ),
    ((0.62, 0.95), (0.65, 0.05), (0.1, 0.65), (0.92, 0.65)),
    ((0.85, 0.05), (0.25, 0.06), (0.18, 0.45), (0.55, 0.36), (0.9, 0.6), (0.75, 0.9), (0.4, 0.97), (0.1, 0.85)),
    (
        (0.75, 0.05),
        (0.4, 0.18),
        (0.15, 0.55),
        (0.22, 0.9),
        (0.55, 0.97),
        (0.85, 0.78),
        (0.7, 0.52),
        (0.4, 0.52),
        (0.2, 0.7),
    ),
    ((0.1, 0.08), (0.88, 0.06), (0.55, 0.5), (0.4, 0.95)),
    (
        (0.5, 0.48),
        (0.15, 0.28),
        (0.35, 0.03),
        (0.65, 0.03),
        (0.85, 0.28),
        (0.5, 0.48),
        (0.12, 0.72),
        (0.3, 0.97),
        (0.7, 0.97),
        (0.88, 0.72),
        (0.5, 0.48),
    ),
    (
        (0.82, 0.3),
        (0.6, 0.52),
        (0.25, 0.45),
        (0.17, 0.18),
        (0.5, 0.03),
        (0.8, 0.12),
        (0.82, 0.3),
        (0.76, 0.65),
        (0.6, 0.96),
    ),
)
WIDTH, HEIGHT = 12.0, 19.0  # of the square, in pixels, before it is sized


def main():
    parser = argparse.ArgumentParser(description="Draws digits.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=1200, help="digits to learn from (default: %(default)s)")
    parser.add_argument("--test", type=int, default=400, help="held-out digits (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for offset, (channel, count) in enumerate({"train": args.train, "test": args.test}.items()):
        labels, digits = draw(count, seed=2 * args.seed + offset)
        path = args.folder / channel / "digits.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(csv_text(labels, digits))
        print(f"{path}: {count} digits")


def draw(count, *, seed):
    """Labels (count,) and digits (count, 28, 28) as bytes; the ten take turns."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % len(CORNERS)
    return labels, np.array([_digit(label, random) for label in labels], np.uint8).reshape(-1, SIZE, SIZE)


def csv_text(labels, digits):
    """The digits as a channel's CSV file."""
    rows = np.concatenate([labels[:, None], digits.reshape(len(labels), -1)], axis=1)
    return "".join(",".join(map(str, row)) + "\n" for row in rows.tolist())


def _digit(label, random):
    corners = np.array(CORNERS[label])
    line = _rounded(corners + random.normal(0, 0.035, corners.shape)) - 0.5
    line *= (WIDTH, HEIGHT) * random.uniform(0.8, 1.1, 2)
    turn, slant = random.normal(0, 0.1), random.normal(0.15, 0.15)
    line = (
        line @ np.array([[1, 0], [-slant, 1]]) @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    )
    line += SIZE / 2 + random.uniform(-1.5, 1.5, 2)
    ink = random.uniform(1.0, 1.9) - _distance(line) + 0.5  # a pixel at the edge of the line is grey
    return np.clip(255 * ink, 0, 255).astype(np.uint8)


def _rounded(line, times=2):
    """The line with its corners cut (Chaikin 1974), its ends where they were."""
    for _ in range(times):
        cut = np.stack([0.75 * line[:-1] + 0.25 * line[1:], 0.25 * line[:-1] + 0.75 * line[1:]], axis=1).reshape(-1, 2)
        line = np.concatenate([line[:1], cut, line[-1:]])
    return line


def _distance(line):
    """Each pixel's distance from the line, (28, 28)."""
    x, y = np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5)
    pixels = np.stack([x, y], axis=-1)[:, :, None]
    start, along = line[:-1], np.diff(line, axis=0)
    share = ((pixels - start) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-9)
    nearest = start + np.clip(share, 0, 1)[..., None] * along
    return np.hypot(*np.moveaxis(pixels - nearest, -1, 0)).min(axis=-1)


if __name__ == "__main__":
    main()
