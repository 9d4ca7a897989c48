"""What goes between the server and a function's process, so that no function costs it memory or time without end.

A function may print and answer what it likes, as much and as wrongly as it likes, and needn't read what it is sent.
"""

from __future__ import annotations

import json
import os
import queue
import select
import threading
import time
from io import BufferedReader
from typing import Any, BinaryIO

Document = dict[str, Any]

# Bytes of an answer ("Lambda quotas", Invocation payload), as CreateFunction's callers are told it.
MOST_ANSWERED = 6_291_556
# Of the line that brings one: a JSON text in a JSON text has a backslash before each quotation mark and backslash.
_LONGEST_ANSWER = 2 * MOST_ANSWERED + 1024
_LONGEST_LINE = 256 * 1024  # of a log event (PutLogEvents, API reference)
# Bytes that one invocation prints, and what a line takes besides; what goes beyond is dropped.
MOST_PRINTED = 8 << 20
_LINE_BYTES = 64
DROPPED = f"[the log of this invocation is cut off here: it has more than {MOST_PRINTED} bytes]"
_UNREAD = 4  # answers that nobody has asked for, and markers


class AnswerError(ValueError):
    """What a function's process wrote isn't an answer; `document` is what its caller is told, where that is known."""

    def __init__(self, text: str, document: Document | None = None) -> None:
        super().__init__(text)
        self.document = document


class Printed:
    """What a function prints, up to MOST_PRINTED bytes until somebody asks for it.

    Lines that begin with `marker` are kept, however much is printed before them. The runtime writes one with a new line
    before it, since a function may end without one.
    """

    def __init__(self, stream: BufferedReader, marker: str, name: str) -> None:
        self._stream = stream
        self._marker = marker.encode()
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._left, self._markers = MOST_PRINTED, 0
        threading.Thread(target=self._read, name=name, daemon=True).start()

    def up_to(self, line: str, seconds: float) -> str:
        """Everything up to a line, or to the end of a process that ended; what there is after so many seconds."""
        deadline, lines = time.monotonic() + seconds, list[str]()
        try:
            while (next_line := self._lines.get(timeout=max(0, deadline - time.monotonic()))) is not None:
                if next_line == line:
                    lines = lines[:-1] if lines and not lines[-1] else lines
                    break
                lines.append(next_line)
        except queue.Empty:
            pass
        with self._lock:
            self._left, self._markers = MOST_PRINTED, 0
        return "\n".join(lines)

    def _read(self) -> None:
        with self._stream:
            while line := self._stream.readline(_LONGEST_LINE):
                with self._lock:
                    self._keep(line)
                    is_full = self._left <= 0
                if is_full and line.endswith(b"\n"):
                    self._pass_over()
        self._lines.put(None)

    def _pass_over(self) -> None:
        """At a line's start: leave out whole lines that are dropped anyway, up to a marker, not taking each apart."""
        seen = self._stream.peek()
        with self._lock:
            if self._left > 0 or seen.startswith(self._marker):
                return
        marked = seen.find(b"\n" + self._marker)
        self._stream.read((seen.rfind(b"\n") if marked < 0 else marked) + 1)

    def _keep(self, line: bytes) -> None:
        is_marker = line.startswith(self._marker) and self._markers < _UNREAD
        self._markers += is_marker
        if is_marker or self._left > 0:
            self._lines.put(line.decode(errors="replace").rstrip("\n"))
        if not is_marker and self._left > 0:
            self._left -= len(line) + _LINE_BYTES
            if self._left <= 0:
                self._lines.put(DROPPED)


class Answers:
    """What a function's process answers, a line each."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, name=name, daemon=True).start()

    def next(self, seconds: float) -> Document | None:
        """The next, None where the process has ended; TimeoutError, and AnswerError for what isn't one."""
        try:
            line = self._lines.get(timeout=max(0, seconds))
        except queue.Empty:
            raise TimeoutError from None
        return None if line is None else answer(line)

    def _read(self) -> None:
        with self._stream:
            while line := self._stream.readline(_LONGEST_ANSWER):
                if self._lines.qsize() < _UNREAD:
                    self._lines.put(line)
        self._lines.put(None)


def answer(line: bytes) -> Document:
    """A line's answer: its `result` as it is, or its `error`, a document. Pure; AnswerError for what isn't one."""
    if len(line) >= _LONGEST_ANSWER:
        message = f"Response payload size exceeded maximum allowed payload size ({MOST_ANSWERED} bytes)."
        raise AnswerError(message, {"errorMessage": message, "errorType": "Function.ResponseSizeTooLarge"})
    try:
        document = json.loads(line)
        if isinstance(document, dict) and isinstance(document.get("result"), str):
            return {"result": json.loads(document["result"])}
    except (ValueError, RecursionError) as error:
        raise AnswerError(str(error)) from error
    if isinstance(document, dict) and isinstance(document.get("error"), dict):
        return document
    raise AnswerError("neither a result nor an error")


def send(stream: BinaryIO, document: Document, deadline: float) -> None:
    """Write a line to a process that may not read it: TimeoutError at the deadline, of the monotonic clock."""
    descriptor, left = stream.fileno(), memoryview(json.dumps(document).encode() + b"\n")
    os.set_blocking(descriptor, False)
    looking = select.poll()
    looking.register(descriptor, select.POLLOUT)
    while left:
        if not looking.poll(max(0.0, 1000 * (deadline - time.monotonic()))):
            raise TimeoutError
        left = left[os.write(descriptor, left) :]
