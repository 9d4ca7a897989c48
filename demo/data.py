"""The demo's data: scikit-learn's digits and irises as channel files, in seeded, stratified batches.

python -m demo.data FOLDER writes them, for whoever wants to look or to train by hand.
"""

from __future__ import annotations

import gzip
import random
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
SEED = 2
SIDE = 8  # a digit has 8 x 8 pixels

Row = tuple[str, ...]  # label first


def digits() -> list[Row]:
    """1,797 digits: label, 64 pixels from 0 to 16."""
    return _rows(gzip.decompress((HERE / "digits.csv.gz").read_bytes()).decode())


def iris() -> list[Row]:
    """150 flowers: species, four lengths in centimetres."""
    return _rows((HERE / "iris.csv").read_text())


def batches(rows: Sequence[Row], sizes: Sequence[int], seed: int = SEED) -> list[list[Row]]:
    """Disjoint batches in random order: `sizes[i]` rows of each class in batch i, fewer where a class has run out."""
    chance = random.Random(seed)  # noqa: S311 - a seeded split, no secret
    parts: list[list[Row]] = [[] for _ in sizes]
    for label in sorted({row[0] for row in rows}):
        members = [row for row in rows if row[0] == label]
        chance.shuffle(members)
        for part, size in zip(parts, sizes, strict=True):
            part.extend(members[:size])
            del members[:size]
    for part in parts:
        chance.shuffle(part)
    return parts


def turned(row: Row, quarters: int) -> Row:
    """A digit turned by quarters of a circle, counter-clockwise."""
    pixels = list(row[1:])
    for _ in range(quarters % 4):
        pixels = [pixels[y * SIDE + x] for x in reversed(range(SIDE)) for y in range(SIDE)]
    return (row[0], *pixels)


def mislabelled(row: Row) -> Row:
    """A digit labelled one too high, and 9 as 0."""
    return (str((int(row[0]) + 1) % 10), *row[1:])


def csv_text(rows: Sequence[Row]) -> str:
    """A channel file: no header, label first."""
    return "".join(",".join(row) + "\n" for row in rows)


def digit_batches(quarters: int = 0) -> dict[str, list[Row]]:
    """Held-out digits, and three deliveries for training: a few, many, and some with wrong labels."""
    held_out, few, many, wrong = batches([turned(row, quarters) for row in digits()], (50, 12, 60, 30))
    return {"held_out": held_out, "few": few, "many": many, "wrong": [mislabelled(row) for row in wrong]}


def iris_batches() -> dict[str, list[Row]]:
    """Held-out flowers, and a delivery for training."""
    held_out, flowers = batches(iris(), (15, 35))
    return {"held_out": held_out, "flowers": flowers}


def _rows(text: str) -> list[Row]:
    return [tuple(line.split(",")) for line in text.splitlines()]


def main(folder: Path) -> None:
    """Writes <folder>/digits/{train,test} and <folder>/iris/{train,test}."""
    digit, flower = digit_batches(), iris_batches()
    files = {
        "digits/test/held_out.csv": digit["held_out"],
        "digits/train/few.csv": digit["few"],
        "digits/train/many.csv": digit["many"],
        "iris/test/held_out.csv": flower["held_out"],
        "iris/train/flowers.csv": flower["flowers"],
    }
    for name, rows in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(csv_text(rows))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m demo.data FOLDER")
    main(Path(sys.argv[1]))
