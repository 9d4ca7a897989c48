"""HTTP/1.1 as the platform speaks it to a model container, whoever has written the server in there (RFC 9112).

A container of one's own may answer in chunks or until it closes, close when it likes, or speak no HTTP at all; each has
one end within the time that is left.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from mmap import mmap

MAX_LINE = 64 * 1024
MAX_HEADERS = 100
MAX_ANSWER = 25 * 1024 * 1024  # bytes of a response body, as of a request's (SageMaker endpoints and quotas)
_APART = 1024 * 1024  # bytes of a body that isn't copied behind its head
_PART_BYTES = 256 * 1024
_SHOWN = 80  # bytes of what isn't HTTP that are told

PRIMARY = "primary"  # what AWS calls the container of an instance that has one


class NoAnswerError(Exception):
    """A container gave no answer; `container` says which."""

    container = PRIMARY


class AnswerTooLargeError(NoAnswerError):
    """The answer is larger than an endpoint may give; the text says so."""


class NotHttpError(NoAnswerError):
    """What came isn't an HTTP answer; the text says so."""


@dataclass(frozen=True)
class Answer:
    """An HTTP response; header names are lower case. `container` is the one that gave it."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    container: str = PRIMARY


@dataclass(frozen=True)
class _Head:
    """A response before its body. stays: whether the connection is open afterwards."""

    status: int
    headers: Mapping[str, str]
    stays: bool


class Connection:
    """One keep-alive connection; used by one thread at a time."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._incoming = _Incoming(end)
        self.stays = True

    @property
    def is_fresh(self) -> bool:
        """Whether a request may be sent: the other side hasn't closed it, and has said nothing unasked."""
        looks = select.poll()
        looks.register(self._socket, select.POLLIN)  # the end of what comes is something to read, too
        return self.stays and not self._incoming.left and not looks.poll(0)

    def ask(self, head: bytes, body: bytes | mmap, timeout: float, limit: int = MAX_ANSWER) -> Answer:
        """Send a request and read its answer. NoAnswerError for one that is none, TimeoutError, OSError when the other
        side is gone.

        `timeout` is for all of it, however slowly the other side trickles; `limit` is of the answer's body, in bytes.
        """
        self._incoming.deadline = time.monotonic() + timeout
        self._send(head, body, timeout)
        try:
            return self._answer(limit)
        except EOFError as error:
            raise ConnectionResetError(str(error)) from error

    def _answer(self, limit: int) -> Answer:
        found = self._head()
        while 100 <= found.status < 200:  # go on, or something that is told beforehand
            found = self._head()
        answer = Answer(found.status, found.headers, self._body(found, limit))
        self.stays = found.stays
        return answer

    def _send(self, head: bytes, body: bytes | mmap, timeout: float) -> None:
        self._socket.settimeout(timeout)
        try:
            if len(body) > _APART:
                self._socket.sendall(head)
                self._socket.sendall(body)
            else:
                self._socket.sendall(head + body[:])
        except (BrokenPipeError, ConnectionResetError):
            pass  # it may have answered before it had read everything, as one that is too large for it

    def _head(self) -> _Head:
        version, status = _status(self._incoming.line())
        headers: dict[str, str] = {}
        for _ in range(MAX_HEADERS):
            line = self._incoming.line().rstrip(b"\r\n")
            if not line:
                return _Head(status, headers, _stays(version, headers))
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        raise AnswerTooLargeError(f"The container's answer has more than {MAX_HEADERS} headers.")

    def _body(self, head: _Head, limit: int) -> bytes:
        """Where it ends: RFC 9112, 6.3."""
        if head.status in (204, 304):
            return b""
        if head.headers.get("transfer-encoding", "").lower().rpartition(",")[2].strip() == "chunked":
            return self._chunks(limit)
        if "content-length" not in head.headers:
            return self._incoming.until_closed(limit)
        length = _number(head.headers["content-length"], 10)
        _check_size(length, limit)
        return self._incoming.exactly(length)

    def _chunks(self, limit: int) -> bytes:
        parts, size = [], 0
        while length := _number(self._incoming.line().partition(b";")[0].decode("latin-1"), 16):
            size += length
            _check_size(size, limit)
            parts.append(self._incoming.exactly(length))
            self._incoming.line()
        while self._incoming.line().strip():
            pass  # further headers, which nobody is told
        return b"".join(parts)

    def close(self) -> None:
        """Close it."""
        self._socket.close()


class _Incoming:
    """What has come of a connection; every wait is over at `deadline`, on the monotonic clock."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self.left = bytearray()
        self.deadline = 0.0

    def line(self) -> bytes:
        """The next line, with its end."""
        looked = 0
        while (end := self.left.find(b"\n", looked)) < 0:
            looked = len(self.left)
            if looked > MAX_LINE:
                raise NotHttpError(f"The container's answer isn't HTTP: a line of more than {MAX_LINE} bytes.")
            self._more()
        return self._taken(end + 1)

    def exactly(self, length: int) -> bytes:
        """So many bytes."""
        parts = [self._taken(min(length, len(self.left)))]
        missing = length - len(parts[0])
        while missing:
            parts.append(self._part(min(missing, _PART_BYTES)))
            missing -= len(parts[-1])
        return parts[-1] if len(parts) == 2 and not parts[0] else b"".join(parts)

    def until_closed(self, limit: int) -> bytes:
        """All that comes."""
        with contextlib.suppress(EOFError):
            while True:
                _check_size(len(self.left), limit)
                self._more()
        return self._taken(len(self.left))

    def _more(self) -> None:
        self.left += self._part(_PART_BYTES)

    def _part(self, most: int) -> bytes:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        part = self._socket.recv(most)
        if not part:
            raise EOFError("closed before the answer was whole")
        return part

    def _taken(self, length: int) -> bytes:
        taken = bytes(self.left[:length])
        del self.left[:length]
        return taken


def _status(line: bytes) -> tuple[str, int]:
    """Version and status of a status line. NotHttpError."""
    version, _, rest = line.decode("latin-1").strip().partition(" ")
    code = rest.split(" ", 1)[0]
    if not version.startswith("HTTP/1.") or not (code.isascii() and code.isdigit() and len(code) == 3):
        raise NotHttpError(f"The container's answer isn't HTTP: it begins with {line[:_SHOWN]!r}.")
    return version, int(code)


def _stays(version: str, headers: Mapping[str, str]) -> bool:
    """Whether a connection is open after such an answer: RFC 9112, 9.3."""
    wanted = {word.strip().lower() for word in headers.get("connection", "").split(",")}
    has_end = "content-length" in headers or "transfer-encoding" in headers
    return has_end and "close" not in wanted and (version != "HTTP/1.0" or "keep-alive" in wanted)


def _number(text: str, base: int) -> int:
    digits = text.strip()
    try:
        if not digits.isalnum():
            raise ValueError
        return int(digits, base)
    except ValueError:
        raise NotHttpError(f"The container's answer isn't HTTP: {digits[:_SHOWN]!r} is no length.") from None


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise AnswerTooLargeError(f"The container's answer has {size} bytes; the limit is {limit} bytes.")


def request_head(method: str, path: str, headers: Mapping[str, str], length: int) -> bytes:
    """Request line and headers; a line break inside a value would start another header, so it is refused."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header value holds a line break")
    return ("\r\n".join([*lines, f"Content-Length: {length}"]) + "\r\n\r\n").encode("latin-1")
