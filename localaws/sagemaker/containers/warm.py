"""Containers whose processes are forked from an interpreter that has imported their image's framework.

Most seconds of a small job go to starting Python and importing the framework. A warm interpreter, one for each image
environment and set of variables that are read while importing, is started when the first script needs its framework;
it ends after ten minutes without a container, and with the server. A script that imports none is forked from it where
it is there, else, from the second one on, from an interpreter that has imported nothing. What can't be forked rightly
is started as ever.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

import localaws
from localaws.confinement import startup
from localaws.confinement.warm_interpreter import BOOTSTRAP
from localaws.priority import yield_to_us
from localaws.sagemaker.containers import container
from localaws.sagemaker.containers.container import Container, ContainerSpec
from localaws.sagemaker.containers.warm_start import Warm

_log = logging.getLogger(__name__)

SCRIPTS = "scripts"
_MAY_BEGIN = b"1"
IDLE_SECONDS = 600.0
_MOST = 3  # interpreters at once: each holds some 100 MB; and as many without a framework, of 6 MB
_START_SECONDS = 120.0
_LOOK_SECONDS = 15.0
_PART_BYTES = 1 << 16
_ROOT = str(Path(localaws.__file__).parents[1])
# Read by Python itself when it starts, or by most libraries.
_COMMON = ("PATH", "HOME", "TMPDIR")
# A thread of pyarrow's allocator that gives memory back from time to time: without it others do that on their way.
_WITHOUT_THREADS = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}


class ForkedProcess:
    """A child of this process that another has forked; as subprocess.Popen, as far as a container needs it."""

    def __init__(self, pid: int, output: int, asked: socket.socket) -> None:
        self.pid = pid
        self.stdout = open(output, "rb", 0)  # noqa: SIM115 - a pipe, its container's
        self._asked = asked  # by which it knows that the server is there, and says how it ends
        self._may_tell = True
        self._returncode: int | None = None
        self._ends = os.pidfd_open(pid)
        self._waiting = threading.Lock()

    def poll(self) -> int | None:
        """Its exit status once it has ended; of one that a signal ended, the signal's number below 0."""
        with self._waiting:
            if self._returncode is None:
                told = self._told()
                self._returncode = self._ended() if told is None else told
            return self._returncode

    def _told(self) -> int | None:
        """What it has said: it has nothing left to do, and is ended, whatever it is at."""
        try:
            said = self._asked.recv(_PART_BYTES, socket.MSG_DONTWAIT) if self._may_tell else b""
        except BlockingIOError:
            return None
        except OSError:
            said = b""
        self._may_tell = False
        if not said.isdigit():
            return None
        os.kill(self.pid, signal.SIGKILL)
        threading.Thread(target=os.waitpid, args=(self.pid, 0), name=f"ends-{self.pid}", daemon=True).start()
        self._close()
        return int(said)

    def _ended(self) -> int | None:
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid != self.pid:
            return None
        self._close()
        return os.waitstatus_to_exitcode(status)

    def _close(self) -> None:
        os.close(self._ends)
        self._asked.close()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; its exit status. Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            self._look(left)
        return status

    def _look(self, seconds: float | None) -> None:
        looks = select.poll()
        with self._waiting:
            if self._returncode is not None:
                return
            ends = [os.dup(each) for each in (self._ends, self._asked.fileno())[: 1 + self._may_tell]]
        for each in ends:
            looks.register(each, select.POLLIN)
        looks.poll(None if seconds is None else seconds * 1000)
        for each in ends:
            os.close(each)


class Interpreter:
    """A warm interpreter that runs."""

    def __init__(
        self, warm: Warm, imports: Sequence[str], variables: Mapping[str, str], hidden: Sequence[Path]
    ) -> None:
        self.imports = imports
        self._ours, theirs = socket.socketpair()
        self._asking = threading.Lock()
        self._forked: set[int] = set()
        self.used_at = time.monotonic()
        with theirs:
            argv = [str(warm.python), "-c", BOOTSTRAP, _ROOT, str(theirs.fileno()), ",".join(imports)]
            options = container.interpreter_options(warm.root, hidden)
            self._process = container.start([*argv, *options], variables, [theirs.fileno()])
        self._ours.settimeout(_START_SECONDS)
        try:
            self._facts: Any = json.loads(self._line())
        except (OSError, ValueError) as error:
            self._facts = {"failed": f"no answer: {error}"}
        if why := self._facts.get("failed"):
            self.end()
            raise OSError(why)

    @property
    def pid(self) -> int:
        return self._process.pid

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            part = self._ours.recv(_PART_BYTES)
            if not part:
                raise ConnectionError("it has ended")
            line += part
        return line

    def has_read_the_same(self, variables: Mapping[str, str]) -> bool:
        """Whether what its imports have read is what a program has."""
        return not startup.differing(variables, self._facts["read"])

    @property
    def is_idle(self) -> bool:
        """Whether none of its containers is left, and it hasn't been asked for one for long.

        Containers that outlived it would see no names of files in /proc/self/maps.
        """
        self._forked = {pid for pid in self._forked if Path(f"/proc/{pid}").exists()}
        if self._forked:
            self.used_at = time.monotonic()
        return time.monotonic() - self.used_at > IDLE_SECONDS

    def fork(self) -> tuple[int, socket.socket]:
        """A new process, a child of this one's, and the socket by which it learns what it is to be. Raises OSError."""
        self.used_at = time.monotonic()
        ours, theirs = socket.socketpair()
        try:
            with theirs, self._asking:
                socket.send_fds(self._ours, [b"f"], [theirs.fileno()])
                pid = int(self._line())
                if pid < 0:
                    raise OSError("it can't be forked")
                self._forked.add(pid)
        except BaseException:
            ours.close()
            raise
        return pid, ours

    def end(self) -> None:
        self._ours.close()
        self._process.kill()
        self._process.wait()
        self._process.output.close()


class _Key(NamedTuple):
    """What tells interpreters apart: an image's environment, the variables of the start, what has been imported."""

    root: Path
    variables: frozenset[tuple[str, str]]
    imports: tuple[str, ...]


class WarmInterpreters:
    """The warm interpreters of a server. Thread-safe."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._known: dict[_Key, Future[Interpreter]] = {}
        self._seen: set[_Key] = set()  # what was wanted once
        self._closed = threading.Event()

    def launch(self, spec: ContainerSpec) -> Container:
        """Start a container, warm where it may be and that is right. Raises OSError."""
        interpreter = self._found(spec) if spec.warm is not None else None
        if interpreter is None:
            return container.launch(spec)
        try:
            return _launch(spec, interpreter)
        except (OSError, ValueError):
            _log.exception("a warm interpreter has ended")
            self._drop(interpreter)
            return container.launch(spec)

    @property
    def running(self) -> list[Interpreter]:
        """Those that run now."""
        with self._changing:
            return [future.result() for future in self._known.values() if future.done() and not future.exception()]

    def close(self) -> None:
        """End them all."""
        self._closed.set()
        for interpreter in self.running:
            interpreter.end()

    def _found(self, spec: ContainerSpec) -> Interpreter | None:
        warm = spec.warm
        if warm is None or not _can_be_warm(spec, warm):
            return None
        interpreter = self._of(spec, warm)
        if interpreter is None or not interpreter.has_read_the_same(warm.variables):
            return None
        return interpreter

    def _of(self, spec: ContainerSpec, warm: Warm) -> Interpreter | None:
        variables = startup.of_start(warm.variables)
        with_framework = _Key(warm.root, frozenset(variables.items()), warm.imports)
        with self._changing:
            key = self._chosen(with_framework, needs_it=warm.reading.imports)
            future = self._known.get(key)
            is_new = future is None and self._may_start(key)
            if is_new:
                future = self._known[key] = Future()
        if future is None:
            return None
        if is_new:
            self._start(future, spec, warm, key.imports)
        try:
            return future.result()
        except OSError:
            return None

    def _chosen(self, with_framework: _Key, *, needs_it: bool) -> _Key:
        """Where a script is forked from: one that needs no framework waits for none."""
        there = self._known.get(with_framework)
        if needs_it or (there is not None and there.done() and not there.exception()):
            return with_framework
        return with_framework._replace(imports=())

    def _may_start(self, key: _Key) -> bool:
        """Whether one may be started now: an interpreter that saves little only when a second script wants it."""
        was_wanted = bool(key.imports) or key in self._seen
        self._seen.add(key)
        return was_wanted and not self._closed.is_set()

    def _start(self, future: Future[Interpreter], spec: ContainerSpec, warm: Warm, imports: Sequence[str]) -> None:
        self._make_room(has_framework=bool(imports))
        common = {name: warm.variables[name] for name in _COMMON if name in warm.variables}
        variables = {**common, **_WITHOUT_THREADS, "PYTHONUNBUFFERED": "1", **startup.of_start(warm.variables)}
        try:
            future.set_result(Interpreter(warm, imports, variables, spec.hide))
        except Exception as error:  # noqa: BLE001 - it belongs to all who wait for it
            _log.warning("no warm interpreter of %s: %s", warm.root.name, error)
            future.set_exception(error if isinstance(error, OSError) else OSError(str(error)))
            return
        threading.Thread(target=self._end_when_idle, args=(future.result(),), daemon=True).start()

    def _make_room(self, *, has_framework: bool) -> None:
        alike = [interpreter for interpreter in self.running if bool(interpreter.imports) == has_framework]
        alike.sort(key=lambda interpreter: interpreter.used_at)
        for interpreter in alike[: max(0, len(alike) - _MOST + 1)]:
            self._drop(interpreter)

    def _end_when_idle(self, interpreter: Interpreter) -> None:
        while not self._closed.wait(_LOOK_SECONDS):
            if interpreter.is_idle:
                self._drop(interpreter)
                return

    def _drop(self, interpreter: Interpreter) -> None:
        with self._changing:
            for key, future in list(self._known.items()):
                if future.done() and not future.exception() and future.result() is interpreter:
                    del self._known[key]
        with contextlib.suppress(OSError):
            interpreter.end()


def _can_be_warm(spec: ContainerSpec, warm: Warm) -> bool:
    has_image_as_it_is = spec.layer is not None and not spec.layer.below and spec.layer.under == warm.root
    return (
        has_image_as_it_is
        and _can_join(spec.network)
        and warm.reading.bears
        and not startup.only_cold(warm.variables)
        and container.isolation() == "processes and files"
    )


def _can_join(network: str | Sequence[int]) -> bool:
    """Whether a warm interpreter's child can be in a network: an ordinary user's is in a user namespace of its own."""
    return isinstance(network, str) or os.geteuid() == 0


def _launch(spec: ContainerSpec, interpreter: Interpreter) -> Container:
    """Fork a container, and keep it to its limits while it gets ready, before its program begins."""
    options = container.options_of(spec)
    forks = spec.warm.forks if spec.warm else "program"
    listener = _listening(spec.tools) if forks == "scripts" and spec.tools else None
    pid, asked = interpreter.fork()
    output, written = os.pipe()
    started = Container(ForkedProcess(pid, output, asked), owns_processes=True)
    try:
        yield_to_us(pid)
        document = {
            "options": [*options, "--parent", str(os.getpid()), "--", *spec.command],
            "environment": dict(spec.environment),
            "descriptors": container.inherited(spec),
            "forks": forks,
        }
        message = json.dumps(document).encode() + b"\n"
        others = [listener.fileno()] if listener else []
        sent = socket.send_fds(asked, [message], [written, *container.inherited(spec), *others])
        if sent < len(message):  # else it may have ended already
            asked.sendall(message[sent:])
        container.keep_to_limits(started, spec)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has said why it can't begin
            asked.sendall(_MAY_BEGIN)
    except BaseException:
        started.kill()
        started.wait()
        started.output.close()
        raise
    finally:
        os.close(written)
        if listener:
            listener.close()
    return started


def _listening(tools: Path) -> socket.socket:
    """A socket in the directory of the container's tools; a path of it may be longer than a socket's may be."""
    listener = socket.socket(socket.AF_UNIX)
    folder = os.open(tools, os.O_PATH | os.O_DIRECTORY)
    try:
        listener.bind(f"/proc/self/fd/{folder}/{SCRIPTS}")
        listener.listen(16)
    except BaseException:
        listener.close()
        raise
    finally:
        os.close(folder)
    return listener
