"""The demo's deliveries to the data bucket: which digits arrive, how they lie, and under which keys."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from demo import data

TRAIN, TEST = "digits/train/", "digits/test/"
QUARTERS = 4  # of a circle
_TURNED = re.compile(r"/turned-(\d+)/")


@dataclass(frozen=True)
class World:
    """Digits that all lie turned by so many quarters of a circle; the deliveries' keys say by how much."""

    quarters: int

    @property
    def degrees(self) -> int:
        return 90 * self.quarters

    def __str__(self) -> str:
        """The turn as a part of a sentence; empty where the digits stand upright."""
        return f", turned by {self.degrees}°" if self.quarters else ""

    @cached_property
    def batches(self) -> dict[str, list[data.Row]]:
        """Held-out digits, and three deliveries for training."""
        return data.digit_batches(self.quarters)

    def training(self, name: str) -> dict[str, str]:
        """A delivery for training: key -> text."""
        return {f"{TRAIN}turned-{self.degrees}/{name}.csv": data.csv_text(self.batches[name])}

    def held_out(self) -> dict[str, str]:
        """The digits that no training sees: key -> text."""
        return {f"{TEST}turned-{self.degrees}/held_out.csv": data.csv_text(self.batches["held_out"])}

    @property
    def questions(self) -> list[str]:
        """The held-out digits as the endpoint is asked, without their labels."""
        return [",".join(row[1:]) for row in self.batches["held_out"]]


def next_world(keys: Sequence[str], *, has_champion: bool) -> World:
    """The world of this demo: upright for the first champion; then turned by a quarter more than the last time.

    keys: of the held-out objects that the bucket holds.
    """
    last = next(filter(None, map(_TURNED.search, keys)), None)
    if last is None or not has_champion:
        return World(0)
    return World((int(last[1]) // 90 + 1) % QUARTERS)


def is_the_demos(key: str) -> bool:
    """Whether an earlier demo delivered the object."""
    return _TURNED.search(key) is not None
