"""Calls that block, each in a thread at once, from threads that stay: MiniStack starts one a call.

To start a thread is to wait until it runs, which is long where many do, and it is the event loop that would wait.
"""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import contextvars
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws

_IDLE_SECONDS = 30.0
Work = Callable[[], None]


class Threads:
    """As many threads as there is work; each is kept for a while for the next."""

    def __init__(self) -> None:
        self._idle: deque[queue.SimpleQueue[Work]] = deque()
        self._lock = threading.Lock()

    def run(self, work: Work) -> None:
        """Have work done at once, and don't wait for anything."""
        with self._lock:
            waiting = self._idle.pop() if self._idle else None
        if waiting is None:
            _thread.start_new_thread(self._work, (work,))
        else:
            waiting.put(work)

    def _work(self, work: Work | None) -> None:
        orders: queue.SimpleQueue[Work] = queue.SimpleQueue()
        while work is not None:
            work()
            with self._lock:
                self._idle.append(orders)
            work = self._next(orders)

    def _next(self, orders: queue.SimpleQueue[Work]) -> Work | None:
        with contextlib.suppress(queue.Empty):
            return orders.get(timeout=_IDLE_SECONDS)
        with self._lock, contextlib.suppress(ValueError):
            self._idle.remove(orders)
            return None
        return orders.get()  # somebody has just chosen this thread


def install(aws: EmbeddedAws) -> None:  # noqa: ARG001 - every part is installed alike
    from ministack.core import concurrency

    threads, theirs = Threads(), concurrency.run_reentrant

    async def run_reentrant(function: Callable[..., Any], *arguments: Any, thread_name: str = "") -> Any:  # noqa: ARG001
        return await _finished(threads, function, *arguments)

    for name, module in list(sys.modules.items()):
        if name.startswith("ministack.") and getattr(module, "run_reentrant", None) is theirs:
            module.__dict__["run_reentrant"] = run_reentrant


async def _finished(threads: Threads, function: Callable[..., Any], *arguments: Any) -> Any:
    """The call's result. A caller that goes away meanwhile waits for the end of what it began, as in MiniStack."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    here = contextvars.copy_context()

    def deliver(result: Any, error: BaseException | None) -> None:
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def work() -> None:
        result, error = None, None
        try:
            result = here.run(function, *arguments)
        except BaseException as caught:  # noqa: BLE001 - told to who waits
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(deliver, result, error)

    threads.run(work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await _ended(future)
        raise


async def _ended(future: asyncio.Future[Any]) -> None:
    while not future.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([future])
    if not future.cancelled():
        future.exception()  # has been looked at
