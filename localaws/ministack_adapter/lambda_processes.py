"""Processes of Lambda functions, as the server sees them: each is forked by a process that `Forkserver` starts."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

from localaws.priority import yield_to_us
from localaws.sagemaker.containers import container

_WORD_BYTES = 64
_FORKSERVER = Path(__file__).with_name("lambda_forkserver.py")
# What decides, when an interpreter begins, how it reads and writes text.
_ENVIRONMENT = {"LANG": "en_US.UTF-8", "TZ": ":UTC", "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent"}


_CREDENTIALS = struct.Struct("iII")  # of the process that sent a message: its id, user and group (unix(7))


@dataclass(frozen=True)
class Files:
    """What a function is made of: folders with its code and its layers, the size of its /tmp, and its bytecode."""

    code: Path
    layers: Sequence[Path] = ()
    tmp_megabytes: int = 512
    bytecode: Path | None = None


@dataclass(frozen=True)
class Pipes:
    """The server's ends of a function's pipes, and the process's ends in the order of `lambda_forkserver.STREAMS`."""

    requests: BinaryIO
    log: BufferedReader
    answers: BinaryIO
    status: socket.socket
    of_process: tuple[int, ...]

    @classmethod
    def new(cls) -> Pipes:
        (its_requests, requests), *reading = (os.pipe() for _ in range(3))
        log, answers = (os.fdopen(ours, "rb") for ours, _ in reading)
        status, its_status = socket.socketpair()
        if sys.platform == "linux":
            status.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        of_process = (its_requests, *(its for _, its in reading), its_status.detach())
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
        self.pid, self._said = _beginning(pipes.status)

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        if self._code is None:
            if not self._said and not _is_readable(self._status, timeout):
                raise subprocess.TimeoutExpired("a function's process", timeout or 0)
            _, _, status = (self._said or self._status.recv(_WORD_BYTES)).decode().partition(" ")
            # Without a word the process was killed with the one that watches it.
            self._code = os.waitstatus_to_exitcode(int(status or signal.SIGKILL))
            self._status.close()
        return self._code

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it; whoever watches it ends all that it has started."""
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        if self.pid is not None and self._code is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, number)


def _beginning(status: socket.socket) -> tuple[int | None, bytes]:
    """The process that says that it began, None where none did; and what has been said besides.

    By its id as the kernel tells it here, since in its own namespace it has another.
    """
    said, ancillary, _, _ = status.recvmsg(_WORD_BYTES, socket.CMSG_SPACE(_CREDENTIALS.size))
    word, _, more = said.partition(b"\n")
    if not word.startswith(b"began "):
        return None, b""
    told = [_CREDENTIALS.unpack(data)[0] for level, _, data in ancillary if level == socket.SOL_SOCKET]
    return (told[0] if told else int(word.split()[1])), more


class Forkserver:
    """Forks functions' processes. Its own process begins when the first is asked for, and again if it was killed."""

    def __init__(self, runtime: Path) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        """Its process, once it has begun."""
        return self._process.pid if self._process else None

    def start(self, environment: dict[str, str], files: Files) -> FunctionProcess:
        """A process with these variables, in its code's folder, that reads settings and then invocations."""
        asked = {
            "environment": environment,
            "code_dir": str(files.code),
            "layers": [str(layer) for layer in files.layers],
            "tmp_megabytes": files.tmp_megabytes,
            "bytecode": files.bytecode and str(files.bytecode),
        }
        message = json.dumps(asked).encode() + b"\n"
        # The next one is asked for when this one has begun: a stream doesn't tell two requests apart.
        with self._lock:
            process = self._fork(message)
            if process.pid is None:  # the forkserver has been killed
                self._control = None
                process = self._fork(message)
            return process

    def _fork(self, message: bytes) -> FunctionProcess:
        pipes = Pipes.new()
        try:
            with contextlib.suppress(ConnectionError):
                _send(self._running(), message, pipes.of_process)
        finally:
            pipes.close_those_of_the_process()
        return FunctionProcess(pipes)

    def close(self) -> None:
        """End it, and functions' processes with it; without namespaces they end when they are asked nothing more."""
        with self._lock:
            if self._control is not None and self._process is not None:
                self._control.close()
                self._process.wait()
            self._control = self._process = None

    def _running(self) -> socket.socket:
        if self._process is not None and self._process.poll() is not None:
            self._control = None  # it has been killed; what is left of it may answer yet, and ends with it
        if self._control is None:
            if self._process is not None:
                self._process.wait()
            self._control, its = socket.socketpair()
            with its:
                self._process = _begin(its.fileno())
            self._control.sendall(json.dumps(_told(self._runtime)).encode() + b"\n")
        return self._control


def _told(runtime: Path) -> dict[str, Any]:
    """What the forkserver is told before it is asked for processes."""
    is_confined = container.isolation() == "processes and files"
    return {"confined": is_confined, "runtime": str(runtime), "home": str(Path.home())}


def _begin(control: int) -> subprocess.Popen[bytes]:
    begun = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_FORKSERVER), str(control)],
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


def _is_readable(stream: socket.socket, seconds: float | None) -> bool:
    looking = select.poll()
    looking.register(stream, select.POLLIN)
    return bool(looking.poll(None if seconds is None else 1000 * seconds))
