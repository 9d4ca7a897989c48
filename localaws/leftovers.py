"""What a server left running that was killed together with its subreapers: whoever comes next ends it.

Such a server's `server.json` is still there; only then is it looked for. A process is one of its own when its command
is a program of this package on the state's folder (a function's worker), or when it has an environment variable that
only AWS's runtimes have, and that names a folder beneath the state's (a function, or a container that has no namespace
of its own, and whatever they started). Nobody's pid is trusted: it may be another's by now.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from localaws.server_file import server_file

_PACKAGE = os.fsencode(Path(__file__).parent)
# Where a function's and a container's files are.
_VARIABLES = (b"LAMBDA_TASK_ROOT=", b"SAGEMAKER_BASE_DIR=")
_ROUNDS, _PAUSE_SECONDS = 200, 0.01


def end(state: Path) -> None:
    """End what a killed server of this state, whose lock nobody else holds, has left; forget that server."""
    if not server_file(state).exists():
        return
    if sys.platform == "linux":
        for _ in range(_ROUNDS):  # what is being killed may still be starting others
            if not [pid for pid, started in _left(state).items() if _killed(pid, started)]:
                break
            time.sleep(_PAUSE_SECONDS)
    server_file(state).unlink(missing_ok=True)


def _left(state: Path) -> dict[int, str]:
    """Every process of the state's and all below them, with when it was started; never this one or one above it."""
    running = {pid: found for pid in _pids() if (found := _parent_and_start(pid)) is not None}
    parents = {pid: parent for pid, (parent, _) in running.items()}
    own = {pid for pid in running if _is_of(pid, state)}
    left = {pid for pid in running if own.intersection(_line(pid, parents))}
    return {pid: running[pid][1] for pid in left - set(_line(os.getpid(), parents))}


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - names are what is needed


def _parent_and_start(pid: int) -> tuple[int, str] | None:
    """What runs, by its parent and when it was started; None for what has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else (int(fields[1]), fields[19])


def _line(pid: int, parents: dict[int, int]) -> Iterator[int]:
    """A process and those above it."""
    while pid in parents:
        yield pid
        pid = parents[pid]


def _is_of(pid: int, state: Path) -> bool:
    beneath = os.fsencode(state) + b"/"
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False  # it has ended, or is another user's
    if any(word.startswith(_PACKAGE) for word in command) and any(word.startswith(beneath) for word in command):
        return True
    return any(word.startswith(tuple(name + beneath for name in _VARIABLES)) for word in variables)


def _killed(pid: int, started: str) -> bool:
    """Whether a process that was found is still that one, and has been sent SIGKILL."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        found = _parent_and_start(pid)
        if found is None or found[1] != started:
            return False
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
