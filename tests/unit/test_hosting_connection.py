"""What servers of every kind answer, as the platform reads it: no processes, one socket."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence

import pytest
from waiting import WAIT_SECONDS

from localaws.sagemaker.hosting.connection import AnswerTooLargeError, Connection, NotHttpError, request_head

HEAD = request_head("POST", "/invocations", {}, 4)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def served(*said: bytes, pause: float = 0.0) -> Connection:
    """A connection whose other side hears a request, says these and no more."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        theirs.recv(65536)
        with contextlib.suppress(OSError):
            for part in said:
                theirs.sendall(part)
                time.sleep(pause)
            theirs.shutdown(socket.SHUT_WR)
            theirs.recv(65536)

    threading.Thread(target=serve, daemon=True).start()
    return Connection(ours)


def asked(*said: bytes, pause: float = 0.0, limit: int = 1000) -> tuple[int, bytes, bool]:
    connection = served(*said, pause=pause)
    answer = connection.ask(HEAD, b"body", WAIT_SECONDS, limit)
    return answer.status, answer.body, connection.stays


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ([OK], (200, b"ok", True)),
        ([b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok"], (200, b"ok", True)),
        ([b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"], (200, b"ok", True)),
        ([b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"], (204, b"", True)),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", OK], (200, b"ok", True)),
        ([b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK], (200, b"ok", True)),
        ([b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall ", b"of it"], (200, b"all of it", False)),
        ([b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"], (200, b"ok", False)),
        ([b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok"], (200, b"ok", True)),
        ([b"HTTP/1.0 500 Oh\r\n\r\nwhy"], (500, b"why", False)),
        (
            [CHUNKED + b"4;x=y\r\nfour\r\n", b"A\r\n0123456789\r\n0\r\nMore: 1\r\n\r\n"],
            (200, b"four0123456789", True),
        ),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"], (200, b"", False)),
    ],
)  # fmt: skip
def test_answers_of_every_form_are_read(said: Sequence[bytes], answer: tuple[int, bytes, bool]) -> None:
    assert asked(*said) == answer
    one_by_one = [bytes([byte]) for byte in b"".join(said)]
    assert asked(*one_by_one) == answer


@pytest.mark.parametrize(
    ("said", "error", "why"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", NotHttpError, r"isn't HTTP: it begins with b'SSH-2.0-OpenSSH_9.2\\r\\n'"),
        (b"HTTP/2 200\r\n\r\n", NotHttpError, "isn't HTTP"),
        (b"HTTP/1.1 OK\r\n\r\n", NotHttpError, "isn't HTTP"),
        (b"\x16\x03\x01" + b"\0" * 70000, NotHttpError, "a line of more than 65536 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n\r\n", NotHttpError, "'0x10' is no length"),
        (CHUNKED + b"xyz\r\n", NotHttpError, "'xyz' is no length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", AnswerTooLargeError, "1001 bytes; the limit is 1000"),
        (CHUNKED + b"3e9\r\n", AnswerTooLargeError, "1001 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001, AnswerTooLargeError, "1001 bytes"),
        (CHUNKED + b"4\r\nab", ConnectionResetError, "before the answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Len", ConnectionResetError, "before the answer was whole"),
        (b"", ConnectionResetError, "before the answer was whole"),
    ],
)
def test_what_is_no_answer_has_an_end_that_says_why(said: bytes, error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        asked(said)


@pytest.mark.parametrize(
    "trickling", [b"H" * 9999, b"HTTP/1.1 200 OK\r\n" + b"x" * 9999, b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 9999]
)
def test_all_of_an_answer_comes_within_its_time(trickling: bytes) -> None:
    connection = served(*(bytes([byte]) for byte in trickling), pause=0.01)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        connection.ask(HEAD, b"body", 0.2)
    assert time.monotonic() - began < 2
    connection.close()


@pytest.mark.parametrize(
    ("after", "is_fresh"),
    [
        (lambda _end: None, True),
        (lambda end: end.close(), False),
        (lambda end: end.shutdown(socket.SHUT_WR), False),
        (lambda end: end.sendall(b"HTTP/1.1 408 Request Timeout\r\n\r\n"), False),
    ],
)
def test_a_connection_that_the_other_side_has_done_with_isnt_used_again(
    after: Callable[[socket.socket], None], is_fresh: bool
) -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(OK)
    connection = Connection(ours)
    assert connection.ask(HEAD, b"body", WAIT_SECONDS).body == b"ok"
    after(theirs)
    assert connection.is_fresh is is_fresh


def test_an_answer_before_the_whole_request_was_read_is_an_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    theirs.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nhuge")
    theirs.shutdown(socket.SHUT_RD)

    def read() -> None:
        while theirs.recv(1 << 20):
            pass
        theirs.close()

    threading.Thread(target=read, daemon=True).start()
    body = os.urandom(8_000_000)
    answer = Connection(ours).ask(request_head("POST", "/invocations", {}, len(body)), body, WAIT_SECONDS)
    assert (answer.status, answer.body) == (413, b"huge")
