"""The order in which a training sees its examples, as something that can be taken up again."""

from __future__ import annotations

import math
from typing import Any

from toolkit.checkpoint.files import CheckpointError


class Batches:
    """The order of the examples: every epoch shuffled anew, the same for the same seed, wherever it is taken up.

    Args:
        count: examples. size: of a batch; an epoch's last may be smaller.
    """

    def __init__(self, count: int, *, size: int, seed: int = 0, shuffle: bool = True) -> None:
        if count < 1 or size < 1:
            raise CheckpointError(f"Batches of {size} out of {count} examples; both must be at least 1")
        self.count, self.size, self.seed, self.shuffle = count, size, seed, shuffle
        self.epoch, self._begin = 0, 0
        self._order: Any = None

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return math.ceil(self.count / self.size)

    def next(self) -> Any:
        """The next batch's examples, as a NumPy array of their numbers."""
        if self._begin >= self.count:
            self.epoch, self._begin, self._order = self.epoch + 1, 0, None
        if self._order is None:
            self._order = self._ordered()
        self._begin += self.size
        return self._order[self._begin - self.size : self._begin]

    def state_dict(self) -> dict[str, Any]:
        return {"of": [self.count, self.size, self.seed, self.shuffle], "epoch": self.epoch, "begin": self._begin}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises CheckpointError when it is the state of other batches."""
        ours = self.state_dict()["of"]
        if state["of"] != ours:
            raise CheckpointError(
                f"the checkpoint's batches are of [count, size, seed, shuffle] {state['of']}, the script's of {ours}; "
                "begin with an empty checkpoint folder"
            )
        self.epoch, self._begin, self._order = state["epoch"], state["begin"], None

    def _ordered(self) -> Any:
        import numpy as np

        if not self.shuffle:
            return np.arange(self.count)
        return np.random.default_rng([self.seed, self.epoch]).permutation(self.count)
