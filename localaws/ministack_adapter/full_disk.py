"""A disk that is full: what would change something is refused in its service's own words before it begins.

Memory is never ahead of the disk by more than what was being committed when the disk became full, and that was
acknowledged to nobody. Whoever frees room may: deletions are taken until the last.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from localaws.ministack_adapter.asgi import Scope, Send
from localaws.ministack_adapter.credential_scope import service_of
from localaws.ministack_adapter.request_effects import writes
from localaws.ministack_adapter.wire_errors import refuse

# Left to what changes without a request: jobs that end, logs, deliveries.
RESERVE = 4 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# The code of each service's own for a fault of its own; the others' is what all services have ("Common Errors").
_CODES = {"s3": "InternalError", "dynamodb": "InternalServerError", "lambda": "ServiceException"}
_COMMON_CODE = "InternalFailure"


class FullDiskError(OSError):
    """There is no room for what a request would write."""

    def __init__(self, folder: Path, free: int) -> None:
        super().__init__(
            errno.ENOSPC,
            f"the disk that holds {folder} is full ({free >> 10} KiB are free, {RESERVE >> 10} are kept back); "
            "nothing was changed. Free some room there, and try again",
        )


def require_room(folder: Path, scope: Scope, body_start: bytes) -> None:
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


async def answer(scope: Scope, send: Send, error: BaseException) -> None:
    """Answer a request that couldn't be written, by the protocol that it speaks and in its service's words."""
    await refuse(scope, send, 500, _CODES.get(service_of(scope), _COMMON_CODE), told(error))
