"""Ending work early: a tree of cancellations, so that stopping an execution reaches every branch and wait in it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)


class CancelledError(Exception):
    """The execution, or the branch, was stopped while it ran."""


class Cancellation:
    """Set once; what was registered with `on_cancel` runs then, or at once where it is set already."""

    def __init__(self, parent: Cancellation | None = None) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: dict[object, Callable[[], None]] = {}
        self._leave_parent = parent.on_cancel(self.cancel) if parent else lambda: None

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()

    def cancel(self) -> None:
        with self._lock:
            self._event.set()
            callbacks, self._callbacks = list(self._callbacks.values()), {}
        for callback in callbacks:
            try:
                callback()
            except Exception:
                logger.exception("a callback of a cancellation failed")

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Register `callback`; the returned function takes it back."""
        key = object()
        with self._lock:
            if not self._event.is_set():
                self._callbacks[key] = callback
                return lambda: self._forget(key)
        callback()
        return lambda: None

    def _forget(self, key: object) -> None:
        with self._lock:
            self._callbacks.pop(key, None)

    def close(self) -> None:
        """Leave the parent, which may outlive this by long."""
        self._leave_parent()

    def check(self) -> None:
        if self.cancelled:
            raise CancelledError

    def sleep(self, seconds: float) -> None:
        """Wait, but not longer than until the cancellation, which raises CancelledError."""
        if seconds > 0:
            self._event.wait(seconds)
        self.check()
