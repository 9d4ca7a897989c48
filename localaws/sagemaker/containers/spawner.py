"""Starts all child processes from one thread that lives as long as the server.

The signal for a parent's death (prctl(2), PR_SET_PDEATHSIG) comes when the *thread* that forked ends, so a request's
own thread mustn't fork.
"""

from __future__ import annotations

import functools
import queue
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

from localaws.priority import yield_to_us

_Process = subprocess.Popen[bytes]
_Order = tuple[Sequence[str], Mapping[str, str], Sequence[int], "Future[_Process]"]


def start(argv: Sequence[str], environment: Mapping[str, str], descriptors: Sequence[int] = ()) -> _Process:
    """Start a process that inherits the descriptors; its output and errors are one pipe. Raises OSError."""
    future: Future[_Process] = Future()
    _orders().put((argv, environment, descriptors, future))
    return future.result()


@functools.cache
def _orders() -> queue.SimpleQueue[_Order]:
    orders: queue.SimpleQueue[_Order] = queue.SimpleQueue()
    threading.Thread(target=_work, args=(orders,), name="container-spawner", daemon=True).start()
    return orders


def _work(orders: queue.SimpleQueue[_Order]) -> None:
    while True:
        argv, environment, descriptors, future = orders.get()
        try:
            future.set_result(_started(argv, environment, descriptors))
        except BaseException as error:  # noqa: BLE001 - it belongs to the thread that asked
            future.set_exception(error)


def _started(argv: Sequence[str], environment: Mapping[str, str], descriptors: Sequence[int]) -> _Process:
    started = subprocess.Popen(
        argv,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        cwd="/",
        pass_fds=descriptors,
    )
    yield_to_us(started.pid)
    return started
