"""Start, stop and look at the embedded AWS of a state folder. One server a folder; nothing outlives `stop`."""

from __future__ import annotations

import fcntl
import http.client
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from localaws.server_file import Server, read_server, server_file

__all__ = ["Server", "StartError", "start", "status", "stop"]

START_SECONDS = 30.0
STOP_SECONDS = 6.0
_POLL_SECONDS = 0.01
_LOG_TAIL_LINES = 15


class StartError(RuntimeError):
    """The embedded AWS could not be started; the message says why and where its log is."""


def start(state: Path, port: int | None = None, images: Path | None = None) -> Server:
    """The embedded AWS of this state folder, started unless it runs already, and answering.

    Without `port` it listens on 4566, or on a free port when that is taken. A running one is returned as it is,
    whatever port was asked for. Raises `StartError`.
    """
    state = state.resolve()
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    if (running := status(state)) is not None:
        return running
    if not _wait_until_unlocked(state, STOP_SECONDS):
        # Somebody else is starting it, or it hangs.
        return _wait_for_server(state, None, state / "server.log")
    server_file(state).unlink(missing_ok=True)
    log = state / "server.log"
    return _wait_for_server(state, _spawn(state, port, images, log), log)


def stop(state: Path) -> bool:
    """End the server and everything that it started, within seconds. False when none was running."""
    state = state.resolve()
    server = read_server(state)
    if not is_locked(state):
        server_file(state).unlink(missing_ok=True)
        return False
    if server is not None:
        _signal(server.pid, signal.SIGTERM)
    if not _wait_until_unlocked(state, STOP_SECONDS) and server is not None:
        # Its warden ends what is left of it and only then gives up the lock.
        _signal(server.pid, signal.SIGKILL)
        _wait_until_unlocked(state, STOP_SECONDS)
    server_file(state).unlink(missing_ok=True)
    return True


def status(state: Path) -> Server | None:
    """The server of this state folder if it runs and answers."""
    server = read_server(state)
    if server is None or not is_locked(state) or not _answers(server):
        return None
    return server


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


def _spawn(state: Path, port: int | None, images: Path | None, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "localaws.server", "--state", str(state), "--log", str(log)]
    command += ["--port", str(port)] if port is not None else []
    command += ["--images", str(images)] if images is not None else []
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=state,
            start_new_session=True,
        )


def _wait_for_server(state: Path, process: subprocess.Popen[bytes] | None, log: Path) -> Server:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if (server := status(state)) is not None:
            return server
        if process is not None and process.poll() is not None:
            raise StartError(f"the embedded AWS ended with code {process.returncode}; the end of {log}:\n{_tail(log)}")
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


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _tail(log: Path) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])
    except OSError:
        return "(no log)"
