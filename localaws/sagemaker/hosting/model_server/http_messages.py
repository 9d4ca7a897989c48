"""HTTP/1.1, as much of it as the platform speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from .bodies import JSON
from .errors import ModelServerError

MAX_HEAD = 64 * 1024  # the request line and the headers
MAX_BODY = 1024**3  # what the platform sends at most: 1 GB of InvokeEndpointAsync, 100 MB of a transform job
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable"}
REASONS |= {411: "Length Required", 413: "Payload Too Large", 415: "Unsupported Media Type"}
REASONS |= {431: "Request Header Fields Too Large", 503: "Service Unavailable"}
GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Request:
    """One HTTP request; header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    """One HTTP response."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


class RequestHead(NamedTuple):
    """A request before its body. waits: whether the body is sent only once it is asked for."""

    method: str
    path: str
    headers: Mapping[str, str]
    length: int
    waits: bool


class Incoming:
    """What has come of one connection, as requests."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._head: RequestHead | None = None
        self._told_to_go_on = False

    def add(self, data: bytes) -> None:
        """Take what has come next."""
        self._data += data

    def next(self) -> Request | None:
        """The next whole request, if it is there. ModelServerError or ValueError for what is none."""
        if self._head is None:
            end = self._data.find(_END)
            if end < 0 and len(self._data) > MAX_HEAD:
                raise ModelServerError(431, f"The headers have more than {MAX_HEAD} bytes.")
            if end < 0:
                return None
            self._head, self._told_to_go_on = read_head(self._taken(end + len(_END))), False
        head = self._head
        if len(self._data) < head.length:
            return None
        self._head = None
        return Request(head.method, head.path, head.headers, self._taken(head.length))

    def must_go_on(self) -> bool:
        """Whether the sender waits to be told that it may send the body; it is told once."""
        if self._head is None or not self._head.waits or self._told_to_go_on:
            return False
        self._told_to_go_on = True
        return True

    def _taken(self, length: int) -> bytes:
        taken = bytes(memoryview(self._data)[:length])
        del self._data[:length]
        return taken


@lru_cache(maxsize=256)  # those of a client are alike
def read_head(data: bytes) -> RequestHead:
    """A request line and its headers, up to the empty line. ModelServerError, or ValueError where it isn't HTTP."""
    first, *lines = data.decode("latin-1").split("\r\n")
    words = first.split()
    if len(words) != 3:
        raise ValueError(f"{first[:80]!r} is no request line; it has a method, a path and a version.")
    headers: dict[str, str] = {}
    for line in filter(None, lines):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    if "transfer-encoding" in headers:
        raise ModelServerError(411, "Send a Content-Length; chunked bodies are not supported here.")
    length = int(headers.get("content-length") or 0)
    if length < 0:
        raise ValueError(f"Content-Length is {length}.")
    if length > MAX_BODY:
        raise ModelServerError(413, f"The body has {length} bytes; the limit is {MAX_BODY}.")
    waits = headers.get("expect", "").lower() == "100-continue"
    return RequestHead(words[0], words[1].partition("?")[0], headers, length, waits)


def message(response: Response) -> bytes:
    """A response as it is sent."""
    headers = tuple(response.headers.items())
    return head(response.status, response.content_type, len(response.body), headers) + response.body


@lru_cache(maxsize=256)  # likewise
def head(status: int, content_type: str, length: int, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    """Status line and headers, whose line breaks would start others and are left out."""
    told = {"Content-Type": content_type, "Content-Length": length, **dict(headers)}
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Error')}", *(f"{name}: {value}" for name, value in told.items())]
    return ("\r\n".join(" ".join(line.split()) for line in lines) + "\r\n\r\n").encode("latin-1", "replace")
