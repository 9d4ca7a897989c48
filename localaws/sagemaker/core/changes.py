"""Tells waiters that a resource changed, the moment it does, so that nobody polls."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

Listener = Callable[[str, str], None]


class Changes:
    """A counter of changes under one condition, and listeners called with (kind, name)."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call `listener(kind, name)` after every change, in the thread that made it; it must not block."""
        self._listeners.append(listener)

    def forget(self, listener: Listener) -> None:
        """Call `listener` no more."""
        self._listeners = [each for each in self._listeners if each != listener]

    def announce(self, kind: str, name: str) -> None:
        """To be called after the change is in the store."""
        with self._changed:
            self._changed.notify_all()
        for listener in self._listeners:
            listener(kind, name)

    def wait_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait until `condition` holds, looking again after each change; seconds; False when the time is up."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not condition():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True
