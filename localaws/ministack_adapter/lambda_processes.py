"""Processes of Lambda functions, as the server sees them: each is forked by a process that `Forkserver` starts."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from localaws.priority import yield_to_us

_FORKSERVER = Path(__file__).with_name("lambda_forkserver.py")
# What decides, when an interpreter begins, how it reads and writes text.
_ENVIRONMENT = {"LANG": "en_US.UTF-8", "TZ": ":UTC", "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent"}


@dataclass(frozen=True)
class Pipes:
    """The server's ends of a function's pipes, and the process's ends in the order of `lambda_forkserver.STREAMS`."""

    requests: BinaryIO
    log: BinaryIO
    answers: BinaryIO
    status: BinaryIO
    of_process: tuple[int, ...]

    @classmethod
    def new(cls) -> Pipes:
        (its_requests, requests), *reading = (os.pipe() for _ in range(4))
        log, answers, status = (os.fdopen(ours, "rb") for ours, _ in reading)
        of_process = (its_requests, *(its for _, its in reading))
        return cls(os.fdopen(requests, "wb"), log, answers, status, of_process)

    def close_those_of_the_process(self) -> None:
        for descriptor in self.of_process:
            os.close(descriptor)


class FunctionProcess:
    """A process that runs one function. `log` and `answers` end when it ends.

    MiniStack ends it too, so what a `subprocess.Popen` has by the same name it has as well.
    """

    def __init__(self, pipes: Pipes) -> None:
        self.requests, self.log, self.answers = pipes.requests, pipes.log, pipes.answers
        self._status = pipes.status
        self._code: int | None = None
        word, _, number = self._status.readline().decode().partition(" ")
        self._pid = int(number) if word == "began" else None

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        if self._code is None:
            if not _is_readable(self._status, timeout):
                raise subprocess.TimeoutExpired("a function's process", timeout or 0)
            _, _, status = self._status.readline().decode().partition(" ")
            # Without a word the forkserver has been killed, and nobody knows.
            self._code = os.waitstatus_to_exitcode(int(status or signal.SIGKILL))
        return self._code

    def terminate(self) -> None:
        self._send(os.kill, signal.SIGTERM)

    def kill(self) -> None:
        """Kill it and all that it has started."""
        self._send(os.killpg, signal.SIGKILL)

    def _send(self, send: Callable[[int, int], None], number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._pid is not None:
                send(self._pid, number)


class Forkserver:
    """Forks functions' processes. Its own process begins when the first is asked for, and again if it was killed."""

    def __init__(self, runtime: Path) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def start(self, environment: dict[str, str], code_dir: str, layer_paths: Sequence[str]) -> FunctionProcess:
        """A process with these variables, in its code's folder, that reads settings and then invocations."""
        asked = {"environment": environment, "code_dir": code_dir, "layer_paths": layer_paths}
        pipes = Pipes.new()
        # The next one is asked for when this one has begun: a stream doesn't tell two requests apart.
        with self._lock:
            try:
                self._ask(json.dumps(asked).encode() + b"\n", pipes.of_process)
            finally:
                pipes.close_those_of_the_process()
            return FunctionProcess(pipes)

    def close(self) -> None:
        """End it; functions' processes end by themselves when they are asked nothing more."""
        with self._lock:
            if self._control is not None and self._process is not None:
                self._control.close()
                self._process.wait()
            self._control = self._process = None

    def _ask(self, message: bytes, descriptors: tuple[int, ...]) -> None:
        try:
            _send(self._running(), message, descriptors)
        except ConnectionError:  # it has been killed
            self._control = None
            _send(self._running(), message, descriptors)

    def _running(self) -> socket.socket:
        if self._control is None:
            if self._process is not None:
                self._process.wait()
            self._control, its = socket.socketpair()
            with its:
                self._process = _begin(its.fileno(), self._runtime)
        return self._control


def _begin(control: int, runtime: Path) -> subprocess.Popen[bytes]:
    begun = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_FORKSERVER), str(control), str(runtime)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=_ENVIRONMENT,
        cwd="/",
        pass_fds=(control,),
        start_new_session=True,
    )
    yield_to_us(begun.pid)
    return begun


def _send(control: socket.socket, message: bytes, descriptors: tuple[int, ...]) -> None:
    sent = socket.send_fds(control, [message], descriptors)
    control.sendall(message[sent:])


def _is_readable(stream: BinaryIO, seconds: float | None) -> bool:
    looking = select.poll()
    looking.register(stream, select.POLLIN)
    return bool(looking.poll(None if seconds is None else 1000 * seconds))
