"""Whose turn it is to run the model's code: one thread's at a time, which lets others while it waits.

A worker of scikit-learn's and XGBoost's containers is gunicorn's of the kind gevent, which answers each request in a
greenlet: while one waits, in `time.sleep` or for a `threading.Event` as in whatever else blocks, the others go on. Only
these two let others here; model code that waits otherwise keeps its turn.

Source: aws/sagemaker-containers, `_server.py` (`gunicorn -k gevent`); gevent's documentation, "Monkey patching".
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from threading import get_ident
from typing import Any

# Who has waited and can't go on, since somebody else holds what only it can give back, goes on all the same after so
# long: gevent's own locks would let it.
_PATIENCE_SECONDS = 5.0


class Turn:
    """A thread that has it, in a `with` statement, runs the model's code."""

    def __init__(self, before_waiting: Callable[[], None]) -> None:
        """before_waiting: makes sure that somebody is there to answer the others."""
        self._before_waiting = before_waiting
        self._lock = threading.Lock()
        self._owner = 0  # the thread that has it

    @property
    def is_nobodys(self) -> bool:
        """Whether all who are in the model's code wait."""
        return not self._lock.locked()

    def __enter__(self) -> None:
        self._lock.acquire()
        self._owner = get_ident()

    def __exit__(self, *_raised: object) -> None:
        if self._owner == get_ident():
            self._owner = 0
            self._lock.release()

    def let_others_while_waiting(self) -> None:
        """From now on `time.sleep` and `threading.Event.wait` give the turn away meanwhile."""
        sleep, wait = time.sleep, threading.Event.wait

        def sleeping(seconds: Any) -> None:
            self._waiting(sleep, seconds)

        def waiting(event: threading.Event, timeout: float | None = None) -> bool:
            return event.is_set() or bool(self._waiting(wait, event, timeout))

        time.sleep = sleeping
        threading.Event.wait = waiting  # type: ignore[method-assign, assignment]

    def _waiting(self, wait: Callable[..., Any], *given: Any) -> Any:
        if self._owner != get_ident():
            return wait(*given)
        self._owner = 0
        self._lock.release()
        self._before_waiting()
        try:
            return wait(*given)
        finally:
            if self._lock.acquire(timeout=_PATIENCE_SECONDS):
                self._owner = get_ident()
