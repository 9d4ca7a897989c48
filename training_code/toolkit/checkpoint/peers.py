"""The processes that train one model together, as torch.distributed has joined them, and what they agree on.

Without torch.distributed, or before a script has joined them, a process is alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

# Between two agreements, about; a job that is told to end has a hundred and twenty.
SECONDS = 1.0
MOST_STEPS = 1000


def count() -> int:
    """How many there are."""
    joined = _joined()
    return 1 if joined is None else int(joined.get_world_size())


def number() -> int:
    """This one's among them, from 0; the first writes."""
    joined = _joined()
    return 0 if joined is None else int(joined.get_rank())


def of_all(value: Any) -> list[Any]:
    """Everybody's value, by their numbers. All must ask."""
    joined = _joined()
    if joined is None:
        return [value]
    values: list[Any] = [None] * count()
    joined.all_gather_object(values, value)
    return values


class Agreement:
    """Says, step by step, the greatest of what all have to say; about once a second, at the same step for all.

    The signal that ends a job comes to one earlier than to another: those that stopped a step apart would wait for each
    other for ever. To ask at each step would have a GPU wait for its processor.
    """

    def __init__(self) -> None:
        self._left, self._steps, self._began = 1, 0, time.monotonic()

    def on(self, value: int) -> int:
        """The greatest value at a step at which all ask; 0 at the others."""
        if count() == 1:
            return value
        self._steps += 1
        self._left -= 1
        if self._left:
            return 0
        seconds = (time.monotonic() - self._began) / self._steps
        agreed, slowest = _greatest([float(value), seconds])
        self._left = max(1, min(MOST_STEPS, int(SECONDS / max(slowest, 1e-6))))
        self._steps, self._began = 0, time.monotonic()
        return int(agreed)


def _greatest(values: Sequence[float]) -> list[float]:
    import torch

    joined = _joined()
    device = "cuda" if joined.get_backend() == "nccl" else "cpu"
    numbers = torch.tensor(values, dtype=torch.float64, device=device)
    joined.all_reduce(numbers, op=joined.ReduceOp.MAX)
    found: list[float] = numbers.tolist()
    return found


def _joined() -> Any:
    """torch.distributed, where a script has loaded it and joined more than one process."""
    module = sys.modules.get("torch.distributed")
    if module is None or not module.is_available() or not module.is_initialized():
        return None
    return module
