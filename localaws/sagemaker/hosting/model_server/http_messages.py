"""HTTP/1.1, as much of it as the platform speaks."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from .bodies import JSON
from .errors import ModelServerError

MAX_LINE = 64 * 1024
MAX_BODY = 128 * 1024 * 1024  # above what the platform sends: 25 MB of InvokeEndpoint, 100 MB of a transform job
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable"}
REASONS |= {411: "Length Required", 413: "Payload Too Large", 415: "Unsupported Media Type"}


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


def read_request(stream: BinaryIO, connection: socket.socket) -> Request | None:
    """The next request of a keep-alive connection; None when the other side closed it."""
    first = stream.readline(MAX_LINE).split()
    if len(first) != 3:
        return None
    headers = read_headers(stream)
    if "transfer-encoding" in headers:
        raise ModelServerError(411, "Send a Content-Length; chunked bodies are not supported here.")
    length = int(headers.get("content-length") or 0)
    if length > MAX_BODY:
        raise ModelServerError(413, f"The body has {length} bytes; the limit is {MAX_BODY}.")
    if headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = stream.read(length) if length else b""
    return Request(first[0].decode("latin-1"), first[1].decode("latin-1").partition("?")[0], headers, body)


def read_headers(stream: BinaryIO) -> dict[str, str]:
    """Header lines up to the empty one."""
    headers: dict[str, str] = {}
    while True:
        line = stream.readline(MAX_LINE)
        if line in {b"\r\n", b"\n", b""}:
            return headers
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()


def head(response: Response) -> bytes:
    """Status line and headers, whose line breaks would start others and are left out."""
    reason = REASONS.get(response.status, "Error")
    headers = {"Content-Type": response.content_type, "Content-Length": len(response.body), **response.headers}
    lines = [f"HTTP/1.1 {response.status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(" ".join(line.split()) for line in lines) + "\r\n\r\n").encode("latin-1", "replace")
