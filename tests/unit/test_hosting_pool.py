"""Connections that are kept open: to a server that serves many at once, and to one that serves one after the other."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from waiting import PATIENCE

from localaws.sagemaker.hosting.worker import Worker, WorkerGoneError, WorkerTimeoutError

SECONDS = 5.0 * PATIENCE


class Served:
    """A server on a socket of its own, and the way to it."""

    patience, not_started, ends_when_hung, serves_several = 2.0, (), False, False

    def __init__(self, *, several: bool) -> None:
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._several = several
        threading.Thread(target=self._accept, daemon=True).start()

    def headers(self, given: Any) -> Any:
        return given

    def connect(self, seconds: float) -> socket.socket:
        return socket.create_connection(self._listener.getsockname(), seconds)

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connected, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self._several:
                threading.Thread(target=self._serve, args=(connected,), daemon=True).start()
            else:
                self._serve(connected)

    def _serve(self, connected: socket.socket) -> None:
        with connected, connected.makefile("rb") as stream:
            while stream.readline():
                while stream.readline().strip():
                    pass
                time.sleep(0.02)
                connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@pytest.fixture(params=[True, False], ids=["several at once", "one after the other"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    server = Served(several=request.param)
    yield server
    server.close()


def asking(server: Any) -> Callable[[int], bytes]:
    process: Any = SimpleNamespace()
    worker = Worker(process, server)
    return lambda _number: worker.ask("GET", "/ping", {}, b"", SECONDS).body


def test_requests_one_by_one_share_a_connection(served: Served) -> None:
    ask = asking(served)
    assert [ask(number) for number in range(5)] == [b"ok"] * 5
    assert served.connections == 1


def test_requests_at_once_are_all_answered(served: Served) -> None:
    ask = asking(served)
    ask(0)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(24))) == [b"ok"] * 24, "none waits behind a connection that is only kept"
    assert [ask(number) for number in range(3)] == [b"ok"] * 3


def test_connections_are_kept_to_a_server_that_is_known_to_serve_several() -> None:
    server = Served(several=True)
    server.serves_several = True
    ask = asking(server)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(40)))
    server.close()
    assert server.connections <= 4


def test_no_time_that_is_left_is_a_time_that_is_over(served: Served) -> None:
    process: Any = SimpleNamespace()
    for left in (0.0, -0.001):
        with pytest.raises(WorkerTimeoutError):
            Worker(process, served).ask("POST", "/invocations", {}, b"", left)


def test_a_connection_that_comes_to_nothing_is_nobodys() -> None:
    server = Served(several=True)
    server.close()
    ask = asking(server)
    for _ in range(2):
        with pytest.raises(WorkerGoneError):
            ask(0)
