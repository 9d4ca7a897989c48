"""One container that serves, as the platform sees it: the way to it, its health, its end.

A model server of the platform's own has no address: a connection is one end of a socket pair whose other end it got
through its control socket. A container of one's own listens in a private network (`own_container`). Either way nothing
else on the machine can reach a model around InvokeEndpoint and its permissions, and nothing is left behind when the
platform is killed.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Mapping
from mmap import mmap
from typing import Protocol

from localaws.sagemaker.containers.limits import Exceeded
from localaws.sagemaker.hosting.connection import MAX_ANSWER, Answer, NoAnswerError, request_head
from localaws.sagemaker.hosting.pool import Pool

PING_PAUSE_SECONDS = 0.02  # between two pings that were answered with something else than 200
STOP_SECONDS = 30.0  # SIGTERM to SIGKILL (developer guide, "Use Your Own Inference Code with Hosting Services")


class WorkerGoneError(NoAnswerError):
    """The process ended, or closed the connection in the middle of an answer."""


class WorkerTimeoutError(NoAnswerError):
    """No whole answer came in time."""


class UnhealthyError(Exception):
    """The process ended, or didn't answer /ping with 200 in time; the text says which.

    exceeded: see `Process`. container: which of an instance's it was, as AWS says it. has_started: whether its program
    ran at all.
    """

    def __init__(
        self,
        message: str,
        exceeded: Exceeded | None = None,
        container: str = "primary container",
        *,
        has_started: bool = True,
    ) -> None:
        super().__init__(message)
        self.exceeded = exceeded
        self.container = container
        self.has_started = has_started


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


class Door(Protocol):
    """The way to a container's server.

    patience: how long one /ping is waited for while the container starts; None where
    the server answers the first of them once its model is loaded. not_started: exit codes of a container whose program
    couldn't be started. ends_when_hung: whether its server ends what it hasn't answered in an invocation's time, as
    those of the frameworks' images do; any other may take as long as it likes. serves_several: whether it is known to
    serve several connections at once.
    """

    patience: float | None
    not_started: Collection[int]
    ends_when_hung: bool
    serves_several: bool

    def headers(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """The headers of a request, as its server is to get them."""

    def connect(self, seconds: float) -> socket.socket:
        """A new connection. Raises OSError."""

    def close(self) -> None:
        """Let nobody through any more."""


class ControlDoor:
    """To a model server of the platform's own, which takes its connections from a control socket."""

    patience: float | None = None
    not_started: Collection[int] = ()
    ends_when_hung = serves_several = True

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._passing = threading.Lock()

    def headers(self, given: Mapping[str, str]) -> Mapping[str, str]:
        return given

    def connect(self, _seconds: float) -> socket.socket:
        ours, theirs = socket.socketpair()
        try:
            with theirs, self._passing:
                socket.send_fds(self._control, [b"c"], [theirs.fileno()])
        except OSError:
            ours.close()
            raise
        return ours

    def close(self) -> None:
        self._control.close()


class Worker:
    """A running model server and the connections to it. All methods may be called from any thread.

    max_answer: bytes of the body of an answer, at most. when_over: called when all of it has ended.
    """

    def __init__(self, process: Process, door: Door) -> None:
        self.process = process
        self._door = door
        self._pool = Pool(door.connect, serves_several=door.serves_several)
        self.max_answer = MAX_ANSWER
        self.when_over: Callable[[], None] = lambda: None
        self.answered_at = 0.0  # when it last answered an invocation, on the monotonic clock

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes | mmap, timeout: float) -> Answer:
        """One request over a pooled connection. NoAnswerError."""
        head = request_head(method, path, self._door.headers(headers), len(body))
        if timeout <= 0:  # the containers before it in a pipeline have taken all of it
            raise WorkerTimeoutError("no time is left to ask")
        try:
            connection = self._pool.take(timeout)
            try:
                answer = connection.ask(head, body, timeout, self.max_answer)
            except BaseException:
                self._pool.drop(connection)
                raise
        except TimeoutError as error:
            raise WorkerTimeoutError(f"no answer within {timeout:g} s") from error
        except OSError as error:
            raise WorkerGoneError(str(error)) from error
        self._pool.give_back(connection)
        return answer

    def ends_when_hung(self, _container: str) -> bool:
        """Whether a container that hasn't answered an invocation is to be ended, see `Door`."""
        return self._door.ends_when_hung

    def pings(self, seconds: float) -> bool:
        """Whether /ping is answered with 200 within `seconds`."""
        try:
            return self.ask("GET", "/ping", {}, b"", seconds).status == 200
        except NoAnswerError:
            return False

    def wait_until_healthy(self, seconds: float) -> None:
        """Return when /ping answers 200; UnhealthyError when the process ends first, or the time does."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                if self.ask("GET", "/ping", {}, b"", min(left, self._door.patience or left)).status == 200:
                    return
            except WorkerGoneError as error:
                self._check_runs(error)
                continue
            except NoAnswerError:
                pass
            time.sleep(PING_PAUSE_SECONDS)
        raise UnhealthyError(f"/ping was not answered with 200 within {seconds:g} s")

    def _check_runs(self, gone: WorkerGoneError) -> None:
        """UnhealthyError where it has ended. One that runs and gave no answer is asked anew."""
        try:
            code = self.process.wait(PING_PAUSE_SECONDS)
        except subprocess.TimeoutExpired:
            return
        raise UnhealthyError(
            f"the container ended with exit code {code}",
            self.process.exceeded,
            has_started=code not in self._door.not_started,
        ) from gone

    def stop(self, grace: float = STOP_SECONDS) -> None:
        """SIGTERM, and an end to whatever is left after `grace` seconds; returns when all of it has ended."""
        self.process.stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(grace)
        self.process.kill()
        self.process.wait()
        self._door.close()
        self._pool.close()
        self.when_over()


def start_worker(spawn: Callable[[int], Process]) -> Worker:
    """Start a model server: `spawn(descriptor)` starts it with `--control-fd descriptor` and the descriptor open."""
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = spawn(theirs.fileno())
        except BaseException:
            ours.close()
            raise
    return Worker(process, ControlDoor(ours))
