"""Start, stop and look at the embedded AWS of a state folder. One server a folder; nothing outlives `stop`."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from localaws import leftovers
from localaws.sagemaker.containers import cgroups
from localaws.server_file import EXIT_STATE_IN_USE, Server, read_server, server_file

__all__ = ["Server", "StartError", "StopError", "start", "status", "stop", "wipe"]

START_SECONDS = 30.0
STOP_SECONDS = 6.0
_POLL_SECONDS = 0.01
_LOG_TAIL_LINES = 15


class StopError(RuntimeError):
    """The embedded AWS could not be stopped."""


class StartError(RuntimeError):
    """The embedded AWS could not be started; the message says why and where its log is."""


def start(
    state: Path, port: int | None = None, images: Path | None = None, rule_evaluator: Sequence[Path] = ()
) -> Server:
    """The embedded AWS of this state folder, started unless it runs already, and answering.

    Without `port` it listens on 4566, or on a free port when that is taken. `rule_evaluator` is the program that
    evaluates SageMaker Debugger's rules, and the folders that it must see; without one, training jobs with rules are
    refused. A running one is returned as it is, whatever was asked for. Raises `StartError`.
    """
    options = _options(port, images, rule_evaluator)
    state = state.resolve()
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = state / "server.log"
    while (server := _running(state, log)) is None:
        process = _spawn(state, options, log)
        server = _wait_for(state, process, log)
        if server is not None:
            return server
        if process.returncode != EXIT_STATE_IN_USE:  # then somebody else was faster
            raise StartError(f"the embedded AWS ended with code {process.returncode}; the end of {log}:\n{_tail(log)}")
    return server


def stop(state: Path) -> bool:
    """End the server and everything that it started, within seconds. False when none was running.

    Raises StopError when something still holds the state after all of that.
    """
    stopped = _stopped(state.resolve())
    cgroups.sweep()
    return stopped


def wipe(state: Path) -> None:
    """Delete the state of a server that was stopped, with what images of an ordinary user's builds have closed."""
    from localaws.sagemaker.containers import beneath  # noqa: PLC0415 - nobody else who starts a server needs it

    beneath.remove(state)


def _stopped(state: Path) -> bool:
    if not is_locked(state):
        leftovers.end(state)
        return False
    for number in (signal.SIGTERM, signal.SIGKILL):
        _signal(_holder(state), number)
        _signal(_holder(state), signal.SIGCONT)  # one that is stopped hears nothing else
        # The server's subreaper ends what is left of it and only then gives up the lock.
        if _wait_until_unlocked(state, STOP_SECONDS):
            server_file(state).unlink(missing_ok=True)
            return True
    raise StopError(f"{state} is still held by process {_holder(state)}")


def status(state: Path) -> Server | None:
    """The server of this state folder if it runs and answers."""
    server = read_server(state)
    if server is None or not is_locked(state) or not _answers(server):
        return None
    # One that follows a killed one answers at the same port: the file that was read may tell of the killed one.
    return server if read_server(state) == server else None


def is_locked(state: Path) -> bool:
    """Whether a server (or what is left of one) holds this state."""
    try:
        descriptor = os.open(state / "server.lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _running(state: Path, log: Path) -> Server | None:
    """The server that runs, or that somebody else is starting at this moment; None where there is none."""
    return _wait_for(state, None, log) if is_locked(state) else None


def _options(port: int | None, images: Path | None, rule_evaluator: Sequence[Path]) -> list[str]:
    given = {"--port": port, "--images": images and images.resolve()}
    options = [word for name, value in given.items() if value is not None for word in (name, str(value))]
    # The server's working directory is its state.
    evaluator = [str(path.resolve()) for path in rule_evaluator]
    return [*options, "--rule-evaluator", *evaluator] if evaluator else options


def _spawn(state: Path, options: list[str], log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "localaws.server", "--state", str(state), "--log", str(log), *options]
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=state,
            start_new_session=True,
        )


def _wait_for(state: Path, process: subprocess.Popen[bytes] | None, log: Path) -> Server | None:
    """The server when it answers; None when it (the one that holds the state, without `process`) has ended."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if (server := status(state)) is not None:
            return server
        if process.poll() is not None if process is not None else not is_locked(state):
            return None
        time.sleep(_POLL_SECONDS)
    raise StartError(f"the embedded AWS did not answer within {START_SECONDS:.0f} s; the end of {log}:\n{_tail(log)}")


def _wait_until_unlocked(state: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_locked(state):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _answers(server: Server) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=2)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def _holder(state: Path) -> int:
    """The pid of the server that holds the state, which it writes into its lock file; 0 where it isn't there yet."""
    try:
        return int((state / "server.lock").read_text().split("\n")[0] or 0)
    except (OSError, ValueError):
        return 0


def _signal(pid: int, number: int) -> None:
    if pid > 0:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _tail(log: Path) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])
    except OSError:
        return "(no log)"
