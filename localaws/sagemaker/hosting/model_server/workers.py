"""Several workers of one container, where SAGEMAKER_MODEL_SERVER_WORKERS asks for them: processes that each load the
model and answer one request at a time, as those of gunicorn and of multi-model-server in AWS's containers.

AWS starts as many as the instance has vCPUs unless told otherwise; here it is one, since a laptop has other work to do.
The first process installs the code and loads nothing: it hands connections to its workers in turn. When one of these
ends, so does the container, which the platform starts again at its own pace.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from typing import NoReturn

from .errors import StartError

WORKERS = "SAGEMAKER_MODEL_SERVER_WORKERS"


def wanted(environment: Mapping[str, str]) -> int:
    """How many workers the container has. StartError."""
    said = environment.get(WORKERS) or "1"
    if not said.isdecimal() or int(said) < 1:
        raise StartError(f"{WORKERS} is {said!r}; it must be a whole number from 1 on")
    return int(said)


class Workers:
    """The workers, as the first process knows them."""

    def __init__(self, number: int, work: Callable[[socket.socket], None]) -> None:
        """Start so many; each calls `work` with the socket on which its connections come."""
        self._controls: list[socket.socket] = []
        self._pids = [self._start(work) for _ in range(number)]
        self._turns = itertools.cycle(self._controls)

    def _start(self, work: Callable[[socket.socket], None]) -> int:
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            for other in (ours, *self._controls):  # or a worker wouldn't see the first process's end
                other.close()
            work(theirs)
            os._exit(0)
        theirs.close()
        self._controls.append(ours)
        return pid

    def add(self, connection: socket.socket) -> None:
        """Give a connection to the worker whose turn it is."""
        with connection, contextlib.suppress(OSError):  # it has ended, as the container is about to
            socket.send_fds(next(self._turns), [b"c"], [connection.fileno()])

    def end_with_the_first(self) -> NoReturn:
        """Wait for a worker's end, and end with all others then."""
        ended, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
        print(f"A worker ended with exit code {code}; the container ends with it.", file=sys.stderr, flush=True)  # noqa: T201
        for pid in set(self._pids) - {ended}:
            os.kill(pid, signal.SIGKILL)
        os._exit(code if code > 0 else 1)
