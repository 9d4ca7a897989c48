"""One try of a task: it ends by its own work, by a task token, by its timeout, a missed heartbeat, or abandoned."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from localaws.states.cancellation import Cancellation, CancelledError
from localaws.states.errors import HEARTBEAT_TIMEOUT, TIMEOUT, StatesError

logger = logging.getLogger(__name__)


class Attempt:
    """A task's work while the workflow waits for it. Any thread may call any method; the first outcome counts.

    `now` is a clock in seconds.
    """

    def __init__(self, cancellation: Cancellation, now: Callable[[], float] = time.monotonic) -> None:
        self._cancellation = cancellation
        self._changed = threading.Condition()
        self._outcome: tuple[Any, StatesError | None] | None = None
        self._abandoned = False
        self._on_abandon: list[Callable[[], None]] = []
        self._now = now
        self._alive_at = now()

    def succeed(self, output: Any) -> bool:
        """False where the attempt had ended already."""
        return self._end(output, None)

    def fail(self, error: StatesError) -> bool:
        return self._end(None, error)

    def heartbeat(self) -> None:
        with self._changed:
            self._alive_at = self._now()
            self._changed.notify_all()

    @property
    def abandoned(self) -> bool:
        return self._abandoned

    def on_abandon(self, callback: Callable[[], None]) -> None:
        """Run `callback` when the workflow gives this attempt up (now, where it has): stops a job that runs for it."""
        with self._changed:
            if not self._abandoned:
                self._on_abandon.append(callback)
                return
        callback()

    def wait(self, timeout: float | None, heartbeat: float | None) -> Any:
        """The task's output. Raises StatesError (its own, or a timeout's) or CancelledError.

        timeout and heartbeat are in seconds; None means without limit.
        """
        leave = self._cancellation.on_cancel(self._wake)
        started = self._now()
        try:
            with self._changed:
                while self._outcome is None:
                    self._changed.wait(self._patience(started, timeout, heartbeat))
            output, error = self._outcome
        except (CancelledError, StatesError):
            self._abandon()
            raise
        finally:
            leave()
        if error is not None:
            raise error
        return output

    def _patience(self, started: float, timeout: float | None, heartbeat: float | None) -> float | None:
        """Seconds to the nearest deadline; raises when one has passed."""
        self._cancellation.check()
        now = self._now()
        if timeout is not None and now >= started + timeout:
            raise StatesError(TIMEOUT, "")
        if heartbeat is not None and now >= self._alive_at + heartbeat:
            raise StatesError(HEARTBEAT_TIMEOUT, "")
        deadlines = [started + timeout] if timeout is not None else []
        deadlines += [self._alive_at + heartbeat] if heartbeat is not None else []
        return min(deadlines) - now if deadlines else None

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _end(self, output: Any, error: StatesError | None) -> bool:
        with self._changed:
            if self._outcome is not None or self._abandoned:
                return False
            self._outcome = (output, error)
            self._changed.notify_all()
            return True

    def _abandon(self) -> None:
        with self._changed:
            self._abandoned = True
            callbacks, self._on_abandon = self._on_abandon, []
        for callback in callbacks:
            try:
                callback()
            except Exception:
                logger.exception("abandoning a task failed")


class TaskTokenError(Exception):
    """A call of SendTask* that can't be taken; `code` is the API's error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class TaskTokens:
    """The tokens of the tasks that wait for a callback (API reference, SendTaskSuccess, SendTaskFailure,
    SendTaskHeartbeat)."""

    def __init__(self) -> None:
        self._waiting: dict[str, Attempt] = {}
        self._ended: set[str] = set()

    def register(self, token: str, attempt: Attempt) -> None:
        self._waiting[token] = attempt

    def end(self, token: str) -> None:
        self._waiting.pop(token, None)
        self._ended.add(token)

    def succeed(self, token: str, output: str) -> None:
        attempt = self._attempt(token)
        try:
            value = json.loads(output)
        except ValueError as exc:
            raise TaskTokenError("InvalidOutput", f"Invalid Output: 'Invalid JSON: {exc}'") from exc
        self._end(token, attempt.succeed(value))

    def fail(self, token: str, error: str, cause: str) -> None:
        self._end(token, self._attempt(token).fail(StatesError(error, cause)))

    def heartbeat(self, token: str) -> None:
        self._attempt(token).heartbeat()

    def _attempt(self, token: str) -> Attempt:
        if token in self._ended:
            raise TaskTokenError("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
        attempt = self._waiting.get(token)
        if attempt is None:
            raise TaskTokenError("TaskDoesNotExist", "Task does not exist.")
        return attempt

    def _end(self, token: str, taken: bool) -> None:
        self.end(token)
        if not taken:
            raise TaskTokenError("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
