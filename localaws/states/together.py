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

# Of one execution: three Maps in each other would have 64,000. Beyond them a state runs its branches one by one.
MOST_THREADS = 512
_free: contextvars.ContextVar[threading.Semaphore] = contextvars.ContextVar("states-threads")


def run_together(runs: Sequence[Callable[[Cancellation], Any]], limit: int, shared: Cancellation) -> list[Any]:
    """The results in the order of `runs`. Raises the first failure, after every started run has ended."""
    outermost = None if _free.get(None) else _free.set(threading.Semaphore(MOST_THREADS))
    try:
        return _run_together(runs, limit, shared)
    finally:
        if outermost is not None:
            _free.reset(outermost)


def _run_together(runs: Sequence[Callable[[Cancellation], Any]], limit: int, shared: Cancellation) -> list[Any]:
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

    _share(work, min(limit, len(runs)))
    if failures:
        raise failures[0]
    return results


def _share(work: Callable[[], None], wanted: int) -> None:
    """Do work in as many threads as are wanted and free, in this one where none is; wait for it."""
    free, threads = _free.get(), list[threading.Thread]()

    def work_once() -> None:
        try:
            work()
        finally:
            free.release()

    while len(threads) < wanted and free.acquire(blocking=False):
        try:
            threads.append(spawn(work_once, "states-branch"))
        except RuntimeError:  # the machine has no more of them
            free.release()
            break
    if not threads:
        work()
    for thread in threads:
        thread.join()


def _unexpected(exc: Exception) -> StatesError:
    logger.error("a branch failed unexpectedly", exc_info=exc)
    return StatesError(RUNTIME, f"{type(exc).__name__}: {exc}")


def spawn(work: Callable[[], None], name: str) -> threading.Thread:
    """A thread that keeps the caller's context variables: the account and the region of the execution."""
    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), name=name, daemon=True)
    thread.start()
    return thread
