"""What was chosen, as it is saved: which examples, and what they are beside all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from toolkit.subsets.methods import Choice

    Array = np.ndarray[Any, Any]

# Names of what a probe saves at an epoch's first step.
INDICES, CLASSES, LOSSES, EPOCH = "subset/indices", "subset/classes", "subset/losses", "subset/epoch"
SELECTED, SECONDS = "subset/selected", "subset/seconds"


@dataclass(frozen=True)
class Chosen:
    """An epoch's examples.

    by: what chose them; `random` where a method warms up or anneals. seconds: that this took.
    classes: each class's share of them, and of all examples, (2, classes); empty where classes aren't known.
    losses: the mean of their last losses, and of all examples', as far as they are known; else NaN.
    """

    epoch: int
    by: str
    indices: Array
    classes: Array
    losses: tuple[float, float]
    seconds: float

    @classmethod
    def nothing(cls) -> Chosen:
        """Before the first epoch."""
        return cls(-1, "", np.zeros(0, int), np.zeros((2, 0)), (np.nan, np.nan), 0.0)

    def save(self, probe: Any) -> None:
        """Saves them at the probe's step."""
        probe.tensor(INDICES, self.indices.astype(np.int64))
        probe.tensor(LOSSES, np.array(self.losses, np.float32))
        if self.classes.size:
            probe.tensor(CLASSES, self.classes.astype(np.float32))
        probe.scalar(EPOCH, self.epoch)
        probe.scalar(SELECTED, float(self.by != "random"))
        probe.scalar(SECONDS, self.seconds)

    def __str__(self) -> str:
        """A line for a log."""
        mean, of_all = self.losses
        return (
            f"subset: epoch={self.epoch} by={self.by} examples={len(self.indices)} "
            f"loss={mean:.4f} of_all={of_all:.4f} selection_seconds={self.seconds:.2f}"
        )


def chosen(epoch: int, choice: Choice, losses: Array, targets: Array | None, seconds: float) -> Chosen:
    """What is to be told of a choice."""
    classes = np.zeros((2, 0))
    if targets is not None:
        most = int(targets.max()) + 1
        parts = [np.bincount(part, minlength=most) / len(part) for part in (targets[choice.indices], targets)]
        classes = np.stack(parts)
    return Chosen(epoch, choice.by, choice.indices, classes, (_mean(losses[choice.indices]), _mean(losses)), seconds)


def _mean(losses: Array) -> float:
    known = losses[np.isfinite(losses)]
    return float(known.mean()) if len(known) else float("nan")
