"""Time from outside: what waits or tells the time asks a `Clock`, so that a test can let hours pass at once."""

from __future__ import annotations

import math
import select
import time
from collections.abc import Sequence
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits. Thread-safe."""

    def now(self) -> float:
        """Epoch seconds."""

    def monotonic(self) -> float:
        """Seconds that never run backwards, since some moment."""

    def wait(self, descriptors: Sequence[int], seconds: float) -> set[int]:
        """Wait until one of the open files can be read, `seconds` at most; those that can be read."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, descriptors: Sequence[int], seconds: float) -> set[int]:
        readable = select.poll()  # select() knows no descriptor above 1023
        for descriptor in descriptors:
            readable.register(descriptor, select.POLLIN)
        milliseconds = None if math.isinf(seconds) else math.ceil(max(seconds, 0.0) * 1000)
        return {descriptor for descriptor, _ in readable.poll(milliseconds)}
