"""One model-server process, as the platform sees it: connections to it, its health, its end.

A connection is one end of a socket pair whose other end the process got through its control socket. There is no
address: nothing else on the machine can reach a model around InvokeEndpoint and its permissions, and nothing is left
behind when the platform is killed.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from mmap import mmap
from typing import BinaryIO, Protocol

from localaws.sagemaker.containers.limits import Exceeded

MAX_LINE = 64 * 1024
MAX_HEADERS = 100
MAX_ANSWER = 25 * 1024 * 1024  # bytes of a response body, as of a request's (SageMaker endpoints and quotas)
_APART = 1024 * 1024  # bytes of a body that isn't copied behind its head
PING_PAUSE_SECONDS = 0.02  # between two pings that were answered with something else than 200
STOP_SECONDS = 30.0  # SIGTERM to SIGKILL (developer guide, "Use Your Own Inference Code with Hosting Services")


PRIMARY = "primary"  # what AWS calls the container of an instance that has one


class NoAnswerError(Exception):
    """A container gave no answer; `container` says which."""

    container = PRIMARY


class WorkerGoneError(NoAnswerError):
    """The process ended, or closed the connection in the middle of an answer."""


class WorkerTimeoutError(NoAnswerError):
    """No whole answer came in time."""


class AnswerTooLargeError(NoAnswerError):
    """The answer is larger than an endpoint may give; the text says so."""


class UnhealthyError(Exception):
    """The process ended, or didn't answer /ping with 200 in time; the text says which. `exceeded`: see `Process`;
    `container`: which of an instance's containers it was, as AWS says it."""

    def __init__(self, message: str, exceeded: Exceeded | None = None, container: str = "primary container") -> None:
        super().__init__(message)
        self.exceeded = exceeded
        self.container = container


@dataclass(frozen=True)
class Answer:
    """An HTTP response; header names are lower case. `container` is the one that gave it."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    container: str = PRIMARY


class Connection:
    """One keep-alive connection; used by one thread at a time."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._stream = end.makefile("rb")

    def ask(self, head: bytes, body: bytes | mmap, timeout: float, limit: int = MAX_ANSWER) -> Answer:
        """Send a request and read its answer. TimeoutError, AnswerTooLargeError, OSError when the other side is gone.

        `timeout` is for all of it, however slowly the other side trickles; `limit` is of the answer's body, in bytes.
        """
        deadline = time.monotonic() + timeout
        self._socket.settimeout(timeout)
        if len(body) > _APART:
            self._socket.sendall(head)
            self._socket.sendall(body)
        else:
            self._socket.sendall(head + body[:])
        status_line = self._stream.readline(MAX_LINE).split(None, 2)
        if len(status_line) < 2:
            raise ConnectionResetError("closed before an answer")
        headers = _read_headers(self._stream, deadline)
        length = int(headers.get("content-length", "0"))
        if not 0 <= length <= limit:
            raise AnswerTooLargeError(f"The container's answer has {length} bytes; the limit is {limit} bytes.")
        return Answer(int(status_line[1]), headers, self._read(length, deadline))

    def _read(self, length: int, deadline: float) -> bytes:
        parts, left = [], length
        while left:
            self._socket.settimeout(max(deadline - time.monotonic(), 1e-3))
            part = self._stream.read1(left)
            if not part:
                raise ConnectionResetError("closed in the middle of an answer")
            parts.append(part)
            left -= len(part)
            if time.monotonic() > deadline:
                raise TimeoutError
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Close both the stream and its socket."""
        with contextlib.suppress(OSError):
            self._stream.close()
        self._socket.close()


def _read_headers(stream: BinaryIO, deadline: float) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(MAX_HEADERS):
        line = stream.readline(MAX_LINE)
        if not line.strip():
            return headers
        if time.monotonic() > deadline:
            raise TimeoutError
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    raise AnswerTooLargeError(f"The container's answer has more than {MAX_HEADERS} headers.")


def request_head(method: str, path: str, headers: Mapping[str, str], length: int) -> bytes:
    """Request line and headers; a line break inside a value would start another header, so it is refused."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header value holds a line break")
    return ("\r\n".join([*lines, f"Content-Length: {length}"]) + "\r\n\r\n").encode("latin-1")


class Process(Protocol):
    """A started container, as far as its worker is concerned; all of it may be called from any thread."""

    @property
    def exceeded(self) -> Exceeded | None:
        """Which of its limits has ended it; asked once it has ended."""

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status. Raises subprocess.TimeoutExpired."""

    def stop(self) -> None:
        """Ask it to end (SIGTERM)."""

    def kill(self) -> None:
        """End it and all that it started."""


class Worker:
    """A running model server and a pool of connections to it. All methods may be called from any thread.

    max_answer: bytes of the body of an answer, at most.
    """

    def __init__(self, process: Process, control: socket.socket) -> None:
        self.process = process
        self._control = control
        self._idle: deque[Connection] = deque()
        self._passing = threading.Lock()
        self.max_answer = MAX_ANSWER
        self.answered_at = 0.0  # when it last answered an invocation, on the monotonic clock

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes | mmap, timeout: float) -> Answer:
        """One request over a pooled connection. WorkerGoneError, WorkerTimeoutError, AnswerTooLargeError."""
        head = request_head(method, path, headers, len(body))
        connection = self._take()
        try:
            answer = connection.ask(head, body, timeout, self.max_answer)
        except TimeoutError as error:
            connection.close()
            raise WorkerTimeoutError(f"no answer within {timeout:g} s") from error
        except (OSError, ValueError) as error:
            connection.close()
            raise WorkerGoneError(str(error)) from error
        except AnswerTooLargeError:
            connection.close()
            raise
        self._idle.append(connection)
        return answer

    def _take(self) -> Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def _connect(self) -> Connection:
        ours, theirs = socket.socketpair()
        try:
            with theirs, self._passing:
                socket.send_fds(self._control, [b"c"], [theirs.fileno()])
        except OSError as error:
            ours.close()
            raise WorkerGoneError(str(error)) from error
        return Connection(ours)

    def pings(self, seconds: float) -> bool:
        """Whether /ping is answered with 200 within `seconds`."""
        try:
            return self.ask("GET", "/ping", {}, b"", seconds).status == 200
        except (WorkerGoneError, WorkerTimeoutError, AnswerTooLargeError):
            return False

    def wait_until_healthy(self, seconds: float) -> None:
        """Return when /ping answers 200; UnhealthyError when the process ends first, or the time does.

        The server answers its first connection once the model is loaded, so this wakes up at that moment.
        """
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                if self.ask("GET", "/ping", {}, b"", left).status == 200:
                    return
            except WorkerGoneError as error:
                code = self._exit_code()
                raise UnhealthyError(f"the container ended with exit code {code}", self.process.exceeded) from error
            except (WorkerTimeoutError, AnswerTooLargeError):
                break
            time.sleep(PING_PAUSE_SECONDS)
        raise UnhealthyError(f"/ping was not answered with 200 within {seconds:g} s")

    def _exit_code(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(5)
        return None

    def stop(self, grace: float = STOP_SECONDS) -> None:
        """SIGTERM, and an end to whatever is left after `grace` seconds; returns when all of it has ended."""
        self.process.stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(grace)
        self.process.kill()
        self.process.wait()
        self._control.close()
        while self._idle:
            self._idle.pop().close()


def start_worker(spawn: Callable[[int], Process]) -> Worker:
    """Start a model server: `spawn(descriptor)` starts it with `--control-fd descriptor` and the descriptor open."""
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = spawn(theirs.fileno())
        except BaseException:
            ours.close()
            raise
    return Worker(process, ours)
