"""Signals from other threads to a job's own: stop, your instance is taken, your data end, the server closes."""

from __future__ import annotations

import contextlib
import os
import threading

from localaws.sagemaker.jobs.outcomes import DATA, INTERRUPTION, STOP, End, ServerClosingError, StopRequestedError
from localaws.sagemaker.jobs.spot_market import Interruption

_CHUNK = 1 << 16


class Signals:
    """Any thread sends with `stop`, `wake`, `interrupt`, `fail` and `close`; all else belongs to the job's own thread.

    descriptor: can be read once something was sent; `heard` makes it silent again.
    failure: the first reason that `fail` was told.
    """

    def __init__(self) -> None:
        self.descriptor, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        self._lock = threading.Lock()
        self._released = False
        self._stop_requested = threading.Event()
        self._stop_notice: float | None = None
        self._closing = threading.Event()
        self._interruption: Interruption | None = None
        self.failure: str | None = None

    def stop(self, notice: float | None = None) -> None:
        """Make the job stop; its container is killed `notice` seconds after SIGTERM, see `End`."""
        self._stop_notice = notice
        self._stop_requested.set()
        self._poke()

    def wake(self) -> None:
        """Something has changed that the job's thread should look at."""
        self._poke()

    def interrupt(self, interruption: Interruption) -> None:
        """Take the job's instance."""
        self._interruption = interruption
        self._poke()

    def fail(self, reason: str) -> None:
        """End the job's containers, at once: there is no data for them."""
        self.failure = self.failure or reason
        self._poke()

    def close(self) -> None:
        """The server stops: end the container, change nothing else."""
        self._closing.set()
        self._poke()

    @property
    def is_closing(self) -> bool:
        """Whether the server stops."""
        return self._closing.is_set()

    @property
    def is_stopping(self) -> bool:
        """Whether the job mustn't go on."""
        return self._closing.is_set() or self._stop_requested.is_set()

    def keep_going(self) -> None:
        """Raise ServerClosingError or StopRequestedError when the job mustn't go on."""
        if self._closing.is_set():
            raise ServerClosingError
        if self._stop_requested.is_set():
            raise StopRequestedError

    def end(self) -> End | None:
        """The end that somebody has asked for."""
        if self._stop_requested.is_set():
            return End(0.0, STOP, self._stop_notice)
        if self.failure is not None:
            return End(0.0, DATA, 0.0)
        if self._interruption is not None:
            return End(0.0, INTERRUPTION, self._interruption.notice)
        return None

    def take_interruption(self) -> Interruption | None:
        """The interruption that was asked for, once."""
        taken, self._interruption = self._interruption, None
        return taken

    def heard(self) -> None:
        """Empty the pipe after `descriptor` could be read."""
        os.read(self.descriptor, _CHUNK)

    def release(self) -> None:
        """Close the pipe; what is sent from here on is lost."""
        with self._lock:
            self._released = True
            os.close(self.descriptor)
            os.close(self._wake)

    def _poke(self) -> None:
        # Once released, the descriptor's number may be another file's.
        with self._lock, contextlib.suppress(BlockingIOError):  # full: a wake-up is under way
            if not self._released:
                os.write(self._wake, b"x")
