"""Threads of each endpoint's own, so that a slow model keeps nobody waiting but its own callers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

THREADS = 32  # requests of one endpoint that are with its models at once
MAX_REQUESTS = 512  # of one endpoint, those that wait for a thread included
MAX_BYTES = 256 * 1024 * 1024  # of their bodies together

T = TypeVar("T")


class LaneFullError(Exception):
    """An endpoint has as many requests as it may have; the text says how many."""


class _Lane:
    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="invocation")
        self.requests = 0
        self.bytes = 0


class Lanes:
    """A lane an endpoint, made with its first request and gone some time after the endpoint is. Thread-safe.

    `exists` says whether there is an endpoint of a name; requests to all others share a lane.
    """

    def __init__(self, exists: Callable[[str], bool]) -> None:
        self._exists = exists
        self._lock = threading.Lock()
        self._lanes: dict[str, _Lane] = {}

    def submit(self, endpoint: str, size: int, work: Callable[[], T]) -> Future[T]:
        """Have a request answered in the endpoint's lane. LaneFullError."""
        with self._lock:
            lane = self._lane(endpoint)
            if lane.requests >= MAX_REQUESTS or lane.bytes + size > MAX_BYTES:
                raise LaneFullError(f"{lane.requests} requests with {lane.bytes} bytes wait for the models already")
            lane.requests += 1
            lane.bytes += size
            future = lane.threads.submit(work)
        future.add_done_callback(lambda _future: self._left(lane, size))
        return future

    def _lane(self, endpoint: str) -> _Lane:
        found = self._lanes.get(endpoint)
        if found is not None:
            return found
        if not self._exists(endpoint):
            return self._lanes.setdefault("", _Lane())  # a lane without requests has no threads
        for name in [name for name, lane in self._lanes.items() if name and not lane.requests]:
            if not self._exists(name):
                self._lanes.pop(name).threads.shutdown(wait=False)
        return self._lanes.setdefault(endpoint, _Lane())

    def _left(self, lane: _Lane, size: int) -> None:
        with self._lock:
            lane.requests -= 1
            lane.bytes -= size
