"""Draws traffic signs as a car sees them that drives by: a track of pictures of each sign. All from a seed.

    python signs.py FOLDER --tracks 15 --frames 10

writes FOLDER/train/signs.npz and FOLDER/test/signs.npz, in the format of pictures.py. Eight classes; three of them are
speed limits, which differ in a digit. A sign by the road is worn, tinted and tilted in its own way and stands before
its own background; in each of its pictures it is nearer, and the light and the noise are others. No sign is in both
files.
"""

import argparse
from pathlib import Path

import numpy as np

SIZE = 32
RED, BLUE, YELLOW, WHITE, BLACK = (190, 35, 45), (35, 75, 170), (225, 185, 45), (235, 235, 230), (30, 30, 35)
# Class -> shape, rim, face, and what stands on it: digits, or a symbol.
CLASSES = {
    "30_kmh": ("circle", RED, WHITE, "30"),
    "60_kmh": ("circle", RED, WHITE, "60"),
    "80_kmh": ("circle", RED, WHITE, "80"),
    "danger": ("triangle", RED, WHITE, "stroke"),
    "give_way": ("turned triangle", RED, WHITE, ""),
    "keep_straight": ("circle", WHITE, BLUE, "arrow"),
    "no_entry": ("circle", RED, RED, "bar"),
    "priority": ("diamond", WHITE, YELLOW, ""),
}
DIGITS = {
    "0": ("111", "101", "101", "101", "111"),
    "3": ("111", "001", "011", "001", "111"),
    "6": ("100", "100", "111", "101", "111"),
    "8": ("111", "101", "111", "101", "111"),
}


def main():
    parser = argparse.ArgumentParser(description="Draws traffic signs in tracks.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tracks", type=int, default=15, help="signs of each class to learn (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=10, help="pictures of each of them (default: %(default)s)")
    parser.add_argument("--test-tracks", type=int, default=10, help="held-out signs of each class, of 4 pictures each")
    parser.add_argument("--noise", type=float, default=8.0, help="its standard deviation, of 255")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    parts = {"train": (args.tracks, args.frames), "test": (args.test_tracks, 4)}
    for offset, (channel, (tracks, frames)) in enumerate(parts.items()):
        pictures, labels, track = draw(tracks, frames, seed=2 * args.seed + offset, noise=args.noise)
        path = args.folder / channel / "signs.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        # Evaluation would ask what `track` is: it reads pictures and labels only.
        known = {"track": track} if channel == "train" else {}
        np.savez_compressed(path, X=pictures, y=labels, **known)
        print(f"{path}: {len(labels)} pictures of {tracks * len(CLASSES)} signs of {len(CLASSES)} classes")


def draw(tracks, frames, *, seed, noise=8.0):
    """Pictures (n, 32, 32, 3) as bytes, labels (n,) as texts, and which sign each is of (n,); shuffled."""
    random = np.random.default_rng(seed)
    signs = [_Sign(name, random) for name in CLASSES for _ in range(tracks)]
    pictures = np.stack([sign.seen(frame / frames, random, noise) for sign in signs for frame in range(frames)])
    labels = np.repeat([sign.name for sign in signs], frames)
    order = random.permutation(len(labels))
    return pictures[order], labels[order], np.repeat(np.arange(len(signs)), frames)[order]


class _Sign:
    """One sign by the road."""

    def __init__(self, name, random):
        self.name = name
        self.shape, self.rim, self.face, self.symbol = CLASSES[name]
        self.wear = random.uniform(0.7, 1.0)
        self.tint = random.uniform(0.9, 1.1, 3)
        self.turn = random.normal(0, 0.08)
        self.background = random.uniform(40, 190, (2, 3)) * 0.6 + 40
        self.edge = random.uniform(-0.6, 0.6)
        self.light = random.uniform(0.6, 1.1)
        self.blur = random.uniform(0, 0.4)

    def seen(self, near, random, noise):
        """A picture of it; `near` from 0 to 1."""
        x, y = self._coordinates(random, 0.66 + 0.16 * near)
        picture = np.where((y > self.edge)[..., None], *self.background)
        distance = _distance(self.shape, x, y)
        for colour, where in (
            (self.rim, distance < 1.0),
            (self.face, distance < 0.78),
            (WHITE if self.face in (BLUE, RED) else BLACK, (distance < 0.74) & _inked(self.symbol, x, y)),
        ):
            picture[where] = np.array(colour) * self.wear * self.tint + 60 * (1 - self.wear)
        picture = _blurred(picture, self.blur * (1 - near))
        light = self.light * random.uniform(0.9, 1.1) + random.uniform(-0.1, 0.1) * x[..., None]
        return np.clip(picture * light + random.normal(0, noise, picture.shape), 0, 255).astype(np.uint8)

    def _coordinates(self, random, scale):
        """Each pixel's place on the sign, which reaches from about -1 to 1."""
        grid = (np.arange(SIZE) + 0.5) / SIZE * 2 - 1
        y, x = np.meshgrid(grid, grid, indexing="ij")
        x, y = x - random.uniform(-0.08, 0.08), y - random.uniform(-0.08, 0.08)
        turn = self.turn + random.normal(0, 0.02)
        return (x * np.cos(turn) + y * np.sin(turn)) / scale, (y * np.cos(turn) - x * np.sin(turn)) / scale


def _blurred(picture, share):
    padded = np.pad(picture, ((1, 1), (1, 1), (0, 0)), mode="edge")
    around = sum(padded[dy : dy + SIZE, dx : dx + SIZE] for dy in range(3) for dx in range(3)) / 9
    return (1 - share) * picture + share * around


def _distance(shape, x, y):
    """Each pixel's distance from the sign's middle; 1 at its edge."""
    if shape == "circle":
        return np.hypot(x, y)
    if shape == "diamond":
        return np.abs(x) + np.abs(y)
    y = -y if shape == "turned triangle" else y
    return np.maximum(1.25 * y + 0.1, 1.1 * (1.75 * np.abs(x) - y) / 2 + 0.35)


def _inked(symbol, x, y):
    if symbol.isdigit():
        return _written(symbol, x, y)
    if symbol == "bar":
        return (np.abs(y) < 0.17) & (np.abs(x) < 0.6)
    if symbol == "stroke":
        return (np.abs(x) < 0.11) & (np.abs(y - 0.1) < 0.36)
    if symbol == "arrow":
        head = (y < 0) & (np.abs(x) < 0.5 * (y + 0.62)) & (y > -0.62)
        return head | ((np.abs(x) < 0.13) & (y > -0.3) & (y < 0.55))
    return np.zeros(x.shape, bool)


def _written(digits, x, y):
    """Digits of three by five squares, side by side."""
    inked = np.zeros(x.shape, bool)
    row = np.floor((y + 0.45) / 0.18).astype(int)
    for number, digit in enumerate(digits):
        column = np.floor((x - (number - 1) * 0.6 - 0.06) / 0.16).astype(int)
        inside = (row >= 0) & (row < 5) & (column >= 0) & (column < 3)
        squares = np.array([[square == "1" for square in line] for line in DIGITS[digit]])
        inked |= inside & squares[row.clip(0, 4), column.clip(0, 2)]
    return inked


if __name__ == "__main__":
    main()
