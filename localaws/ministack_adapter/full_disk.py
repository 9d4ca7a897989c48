"""A disk that is full: what would change something is refused in its service's own words before it begins.

Memory is never ahead of the disk by more than what was being committed when the disk became full, and that was
acknowledged to nobody. Whoever frees room may: deletions are taken until the last.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from pathlib import Path
from xml.sax.saxutils import escape

from localaws.ministack_adapter.asgi import Message, Scope
from localaws.ministack_adapter.request_effects import service_of, writes

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]

# Left to what changes without a request: jobs that end, logs, deliveries.
RESERVE = 4 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# The code of each service's own for a fault of its own; the others' is what all services have ("Common Errors").
_CODES = {"s3": "InternalError", "dynamodb": "InternalServerError", "lambda": "ServiceException"}
_COMMON_CODE = "InternalFailure"
_REST_JSON = {"lambda", "scheduler", "xray", "apigateway"}


class FullDiskError(OSError):
    """There is no room for what a request would write."""

    def __init__(self, folder: Path, free: int) -> None:
        super().__init__(
            errno.ENOSPC,
            f"the disk that holds {folder} is full ({free >> 10} KiB are free, {RESERVE >> 10} are kept back); "
            "nothing was changed. Free some room there, and try again",
        )


def refuse(folder: Path, scope: Scope, body_start: bytes) -> None:
    """Raises FullDiskError for a request that needs more room than there is."""
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    length = int(dict(scope.get("headers", [])).get(b"content-length", b"0") or 0)
    if free < RESERVE + length and writes(scope, body_start):
        raise FullDiskError(folder, free)


def is_no_room(error: BaseException | None) -> bool:
    """Whether an error says that the disk takes nothing more."""
    if isinstance(error, sqlite3.OperationalError):
        return "full" in str(error) or "disk I/O" in str(error)
    return isinstance(error, OSError) and error.errno in _FULL


def told(error: BaseException) -> str:
    """What a caller is told of a write that failed."""
    if isinstance(error, FullDiskError) and error.strerror:
        return error.strerror[0].upper() + error.strerror[1:] + "."
    reason = "the disk is full" if is_no_room(error) else str(error)
    return f"We encountered an internal error: {reason}. What was asked for is not acknowledged; try again."


def answer(scope: Scope, error: BaseException) -> Answer:
    """A service's answer to a request that couldn't be written, by the protocol that the request speaks. Pure."""
    headers = dict(scope.get("headers", []))
    service = service_of(scope)
    code, message = _CODES.get(service, _COMMON_CODE), told(error)
    if service == "s3":
        return _xml(f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>")
    if b"x-amz-target" in headers or service in _REST_JSON:
        body = json.dumps({"__type": code, "message": message, "Message": message}).encode()
        told_type = [(b"content-type", b"application/x-amz-json-1.0"), (b"x-amzn-errortype", code.encode())]
        return 500, told_type, body
    inner = f"<Error><Type>Receiver</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return _xml(f"<ErrorResponse>{inner}<RequestId>-</RequestId></ErrorResponse>")


def messages(found: Answer) -> tuple[Message, Message]:
    """An answer as ASGI's two messages."""
    status, headers, body = found
    length = (b"content-length", str(len(body)).encode())
    start = {"type": "http.response.start", "status": status, "headers": [*headers, length]}
    return start, {"type": "http.response.body", "body": body}


def _xml(document: str) -> Answer:
    return 500, [(b"content-type", b"application/xml")], f'<?xml version="1.0" encoding="UTF-8"?>{document}'.encode()
