"""A light client: so many connections that each ask again as soon as they are answered, in one thread.

It costs some 40 µs a request, so that what is measured is the server.
"""

from __future__ import annotations

import hashlib
import hmac
import selectors
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import cycle

_READ = 64 * 1024
_TIMEOUT = 60.0

# The bytes of the next request, and what its answer must hold.
Requests = Iterator[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Measured:
    """Milliseconds of each request, and the seconds of all."""

    latencies: list[float]
    seconds: float

    @property
    def throughput(self) -> float:
        """Requests a second."""
        return len(self.latencies) / self.seconds


class WrongAnswerError(Exception):
    """A server gave another answer than the right one; the text has what it gave."""


class _Client:
    """A connection; another one where the server has said that it closes it, which some do after so many requests."""

    def __init__(self, port: int, selector: selectors.BaseSelector) -> None:
        self._port, self._selector = port, selector
        self._came = self._wanted = b""
        self._sent = 0.0
        self._socket = self._connected()

    def _connected(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self._port), timeout=_TIMEOUT)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(made, selectors.EVENT_READ, self)
        return made

    def close(self) -> None:
        self._selector.unregister(self._socket)
        self._socket.close()

    def ask(self, requests: Requests) -> None:
        data, self._wanted = next(requests)
        if b"\r\nconnection: close" in self._came.partition(b"\r\n\r\n")[0].lower():
            self.close()
            self._socket = self._connected()
        self._came, self._sent = b"", time.perf_counter()
        self._socket.sendall(data)

    def milliseconds(self) -> float | None:
        """What the request took, once all of its answer has come."""
        data = self._socket.recv(_READ)
        self._came += data
        head, separator, body = self._came.partition(b"\r\n\r\n")
        if not data or (separator and not head.startswith(b"HTTP/1.1 200 ")):
            raise WrongAnswerError(f"it answered {self._came[:2000]!r}")
        if not separator or len(body) < _length(head):
            return None
        if self._wanted not in body:
            raise WrongAnswerError(f"it answered {body!r}, where {self._wanted!r} belongs")
        return 1000 * (time.perf_counter() - self._sent)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise WrongAnswerError(f"an answer without Content-Length: {head!r}")


def load(port: int, requests: Requests, clients: int, count: int) -> Measured:
    """`count` requests of so many clients. WrongAnswerError."""
    selector, latencies = selectors.DefaultSelector(), list[float]()
    asking = [_Client(port, selector) for _ in range(clients)]
    started, left = time.perf_counter(), count - clients
    for client in asking:
        client.ask(requests)
    while len(latencies) < count:
        for key, _ in selector.select(_TIMEOUT):
            client = key.data
            took = client.milliseconds()
            if took is None:
                continue
            latencies.append(took)
            if left > 0:
                left -= 1
                client.ask(requests)
    seconds = time.perf_counter() - started
    for client in asking:
        client.close()
    selector.close()
    return Measured(latencies, seconds)


# ----------------------------------------------------------------------------------------------------------- requests


def plain(path: str, content_type: str, bodies: Mapping[bytes, bytes]) -> Requests:
    """The bodies, over and over; each with what its answer must hold."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\nAccept: {content_type}\r\n"
    made = [(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body, told) for body, told in bodies.items()]
    return cycle(made)


@dataclass(frozen=True)
class Signer:
    """Signature Version 4, no more of it than a POST needs (IAM User Guide, "Create a signed AWS API request")."""

    access_key_id: str
    secret_access_key: str
    region: str
    service: str = "sagemaker"

    def head(self, host: str, path: str, body: bytes, now: datetime) -> str:
        """The headers that sign it."""
        at = now.strftime("%Y%m%dT%H%M%SZ")
        scope = f"{at[:8]}/{self.region}/{self.service}/aws4_request"
        signed = "host;x-amz-date"
        canonical = (
            f"POST\n{path}\n\nhost:{host}\nx-amz-date:{at}\n\n{signed}\n{hashlib.sha256(body).hexdigest()}".encode()
        )
        text = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{hashlib.sha256(canonical).hexdigest()}"
        key = _key(self.secret_access_key, at[:8], self.region, self.service)
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        credential = f"Credential={self.access_key_id}/{scope}, SignedHeaders={signed}, Signature={signature}"
        return f"Host: {host}\r\nX-Amz-Date: {at}\r\nAuthorization: AWS4-HMAC-SHA256 {credential}\r\n"


@cache
def _key(secret: str, *parts: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (*parts, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def signed(signer: Signer, host: str, path: str, content_type: str, bodies: Mapping[bytes, bytes]) -> Requests:
    """As `plain`, each request signed when it is sent."""
    types = f"Content-Type: {content_type}\r\nAccept: {content_type}\r\n"
    for body, told in cycle(bodies.items()):
        sign = signer.head(host, path, body, datetime.now(UTC))
        yield f"POST {path} HTTP/1.1\r\n{sign}{types}Content-Length: {len(body)}\r\n\r\n".encode() + body, told
