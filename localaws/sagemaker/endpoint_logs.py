"""A container's output as a CloudWatch log stream, while it runs."""

from __future__ import annotations

import logging
import os
import select
import time
from typing import BinaryIO

from localaws.sagemaker.platform import Platform

_BATCH_SECONDS = 0.2  # lines wait so long for company
_READ_SIZE = 64 * 1024
_MAX_LINE = 256 * 1024  # bytes of one log event (PutLogEvents, API reference)

_log = logging.getLogger(__name__)


class LogStream:
    """One log group and stream. A CloudWatch Logs that fails never fails the container."""

    def __init__(self, platform: Platform, group: str, stream: str) -> None:
        self._platform = platform
        self._group = group
        self._stream = stream

    def write(self, text: str) -> None:
        """Add lines now."""
        self._put([line for line in text.splitlines() if line.strip()])

    def follow(self, output: BinaryIO) -> None:
        """Copy a pipe's lines until its last writer has closed it; then close it too."""
        rest = b""
        with output:
            while True:
                chunk = _read_batch(output.fileno())
                if not chunk:
                    break
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > _MAX_LINE:
                    lines, rest = [*lines, rest], b""
                self._put([line.decode("utf-8", "replace").rstrip("\r") for line in lines])
        self.write(rest.decode("utf-8", "replace"))

    def _put(self, lines: list[str]) -> None:
        now = int(time.time() * 1000)
        events = [(now, line[:_MAX_LINE]) for line in lines if line]
        if not events:
            return
        try:
            self._platform.put_log_events(self._group, self._stream, events)
        except Exception:  # noqa: BLE001 - whatever the log service has, the container goes on
            _log.exception("lines of %s are lost", self._stream)


def _read_batch(descriptor: int) -> bytes:
    """What is written within a batch's time; empty at the end."""
    chunk = os.read(descriptor, _READ_SIZE)
    deadline = time.monotonic() + _BATCH_SECONDS
    while chunk and len(chunk) < _READ_SIZE and (left := deadline - time.monotonic()) > 0:
        if not select.select([descriptor], [], [], left)[0]:
            break
        more = os.read(descriptor, _READ_SIZE)
        if not more:
            break
        chunk += more
    return chunk
