"""A process beside the training, as those that judge and draw are: it stands back, and ends in its own time."""

from __future__ import annotations

import os
import signal
from typing import Any

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# The trainer's last steps may still be on their way when it is gone.
LAST_WORDS_SECONDS = 0.5


def stand_back(niceness: int, **variables: str) -> None:
    """Leaves the processor to the training, for this process's children, too. Before NumPy is imported, whose threads
    would take its cores. variables: set besides."""
    os.nice(niceness)
    os.environ.update(dict.fromkeys(_THREADS, "1"), **variables)


class Trainer:
    """The training process, whose child this one is; None where a job's tensors are read without it."""

    def __init__(self, process: int | None) -> None:
        self._process = process

    def gone(self) -> bool:
        """Whether it has died: then its child has another parent."""
        return self._process is not None and os.getppid() != self._process


class Stop:
    """SIGTERM and SIGINT, remembered until they are asked about: there are last things to be done."""

    def __init__(self) -> None:
        self.asked = False

    def listen(self) -> None:
        """Lets the signals end the work, not the process."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, *_: Any) -> None:
        self.asked = True
