"""Several runs at once, on threads: the branches of a Parallel state, the iterations of a Map state, a task's work."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from localaws.states.cancellation import Cancellation, CancelledError
from localaws.states.errors import RUNTIME, StatesError

logger = logging.getLogger(__name__)


def run_together(runs: Sequence[Callable[[Cancellation], Any]], limit: int, shared: Cancellation) -> list[Any]:
    """The results in the order of `runs`. Raises the first failure, after every started run has ended."""
    results: list[Any] = [None] * len(runs)
    failures: list[BaseException] = []
    pending = iter(enumerate(runs))
    lock = threading.Lock()

    def work() -> None:
        while not shared.cancelled:
            with lock:
                index, run = next(pending, (-1, None))
            if run is None:
                return
            try:
                results[index] = run(shared)
            except CancelledError:
                return
            except Exception as exc:  # noqa: BLE001 - whatever it is, it ends the state
                failures.append(exc if isinstance(exc, StatesError) else _unexpected(exc))
                shared.cancel()

    threads = [spawn(work, "states-branch") for _ in range(min(limit, len(runs)))]
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results


def _unexpected(exc: Exception) -> StatesError:
    logger.error("a branch failed unexpectedly", exc_info=exc)
    return StatesError(RUNTIME, f"{type(exc).__name__}: {exc}")


def spawn(work: Callable[[], None], name: str) -> threading.Thread:
    """A thread that keeps the caller's context variables: the account and the region of the execution."""
    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), name=name, daemon=True)
    thread.start()
    return thread
