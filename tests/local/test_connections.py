"""The server's sockets and file descriptors: what clients leave goes, and there are as many as the machine gives."""

from __future__ import annotations

import socket
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from waiting import until

CLIENTS = 60
_CLOSE_WAIT = "08"
REQUEST = b"GET /_ministack/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def in_close_wait(port: int) -> int:
    """The server's sockets whose client has closed its side."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == _CLOSE_WAIT for row in rows)


def connect(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(REQUEST)
    return client


def test_a_connection_that_its_client_closes_is_closed(aws: Any) -> None:
    port = aws.server.port
    answered = [connect(port) for _ in range(CLIENTS)]
    assert all(client.recv(12) == b"HTTP/1.1 200" for client in answered)
    in_the_middle = [connect(port) for _ in range(CLIENTS)]
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(CLIENTS)]
    for client in (*answered, *in_the_middle, *silent):
        client.close()
    until(lambda: in_close_wait(port) == 0, "the server to close its side")


def test_a_connection_is_kept_between_requests(aws: Any) -> None:
    client = HTTPConnection("127.0.0.1", aws.server.port)
    own = set()
    for _ in range(3):
        client.request("GET", "/_ministack/health")
        own.add(client.sock.getsockname())
        assert client.getresponse().read()
    client.close()
    assert len(own) == 1


def test_half_a_connection_still_gets_its_answer(aws: Any) -> None:
    with connect(aws.server.port) as client:
        client.shutdown(socket.SHUT_WR)
        assert client.recv(12) == b"HTTP/1.1 200"


def test_the_server_may_open_as_many_files_as_the_machine_allows(aws: Any) -> None:
    limits = Path(f"/proc/{aws.server.pid}/limits").read_text().splitlines()
    soft, hard = next(line.split()[3:5] for line in limits if line.startswith("Max open files"))
    assert soft == hard
