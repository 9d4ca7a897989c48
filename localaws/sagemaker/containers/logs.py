"""A container's output on its way to CloudWatch Logs, while the container runs."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator

from localaws.sagemaker.core.aws_platform import Telemetry
from localaws.sagemaker.core.clock import Clock

_log = logging.getLogger(__name__)

_MAX_WAIT = 0.2  # seconds that a line waits for company
_MAX_BATCH = 1000  # lines
_MAX_BATCH_BYTES = 1024 * 1024  # of a batch (PutLogEvents, API reference)
_EVENT_BYTES = 26  # that an event counts besides its message
_MAX_LINE = 256 * 1024 - _EVENT_BYTES  # bytes of a log event (PutLogEvents, API reference)
_TAIL = 60  # lines kept for the reason of a failure
_MAX_TOLD = 4096  # characters of each of them

LineListener = Callable[[str, float], None]


class ContainerLog:
    """Cuts output into lines and sends them in batches. One thread at a time."""

    def __init__(self, telemetry: Telemetry, clock: Clock, group: str, stream: str) -> None:
        self._telemetry = telemetry
        self._clock = clock
        self._group = group
        self._stream = stream
        self._listener: LineListener = lambda _line, _time: None
        self._partial = b""
        self._batch: list[tuple[int, str]] = []
        self._batch_bytes = 0
        self._oldest = 0.0
        self._tail: deque[str] = deque(maxlen=_TAIL)

    @property
    def tail(self) -> list[str]:
        """The job's own last lines, without the platform's."""
        return list(self._tail)

    def listen(self, listener: LineListener) -> None:
        """Have `listener` called with each of the job's lines and its time in epoch seconds."""
        self._listener = listener

    def feed(self, output: bytes) -> None:
        """Output of the job, cut anywhere."""
        *lines, self._partial = (self._partial + output).split(b"\n")
        for line in lines:
            self._add(line.rstrip(b"\r"))
        if len(self._partial) > _MAX_LINE:
            self._add(self._partial)
            self._partial = b""

    def say(self, *texts: str) -> None:
        """Lines of the platform's own, sent at once."""
        for text in texts:
            self._append(text, self._clock.now())
        self.flush()

    def flush_if_due(self) -> float | None:
        """Send what has waited long enough; seconds until the next is due, None when nothing waits."""
        if not self._batch:
            return None
        left = self._oldest + _MAX_WAIT - self._clock.monotonic()
        if left <= 0 or len(self._batch) >= _MAX_BATCH:
            self.flush()
            return None
        return left

    def flush(self) -> None:
        """Send everything that makes whole lines."""
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if not batch:
            return
        try:
            self._telemetry.put_log_events(self._group, self._stream, batch)
        except Exception:  # noqa: BLE001 - a log that can't be written doesn't end a job
            _log.exception("lost %d lines of %s", len(batch), self._stream)

    def close(self) -> None:
        """Send the rest, the last line without its end included."""
        if self._partial:
            self._add(self._partial)
            self._partial = b""
        self.flush()

    def _add(self, raw: bytes) -> None:
        now = self._clock.now()
        for line in _events(raw):
            self._tail.append(line[:_MAX_TOLD])
            self._append(line, now)
            self._listener(line, now)

    def _append(self, line: str, now: float) -> None:
        size = len(line.encode()) + _EVENT_BYTES
        if self._batch_bytes + size > _MAX_BATCH_BYTES or len(self._batch) >= _MAX_BATCH:
            self.flush()
        if not self._batch:
            self._oldest = self._clock.monotonic()
        self._batch.append((int(now * 1000), line or " "))  # an event's message can't be empty
        self._batch_bytes += size


def _events(raw: bytes) -> Iterator[str]:
    """A line in pieces of an event's size; what isn't UTF-8 is longer than its bytes."""
    for start in range(0, max(len(raw), 1), _MAX_LINE):
        text = raw[start : start + _MAX_LINE].decode("utf-8", "replace")
        step = len(text) if len(text.encode()) <= _MAX_LINE else _MAX_LINE // 4
        for begin in range(0, max(len(text), 1), max(step, 1)):
            yield text[begin : begin + step]


def failure_message(lines: list[str], limit: int = 700) -> str:
    """The reason of a failure in a job's last lines: the last traceback's end, or the lines themselves.

    Up to `limit` characters. What is raised is told from its start, however long it is or how many lines it has; of the
    way there, the last steps that fit.
    """
    told = [line.rstrip() for line in lines if line.strip()]
    start = max((index for index, line in enumerate(told) if line.startswith("Traceback (")), default=None)
    if start is None:
        *before, last = told[-8:] or [""]
        return "\n".join(_with_what_fits(before, [last[:limit]], limit))
    told = told[start:]
    raised = next((index for index, line in enumerate(told[1:], 1) if not line.startswith(" ")), len(told) - 1)
    return "\n".join(_with_what_fits(told[:raised], _first_characters(told[raised:], limit), limit))


def _first_characters(lines: list[str], limit: int) -> list[str]:
    kept: list[str] = []
    for line in lines:
        left = limit - _length(kept)
        if left <= 0:
            break
        kept.append(line[:left])
    return kept


def _length(lines: list[str]) -> int:
    return sum(len(line) + 1 for line in lines)


def _with_what_fits(before: list[str], kept: list[str], limit: int) -> list[str]:
    """`kept`, and as many of the lines before it as fit beside it."""
    for line in reversed(before):
        if _length(kept) + len(line) > limit:
            break
        kept = [line, *kept]
    return kept
