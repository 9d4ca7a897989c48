"""The server's subreapers: small processes above it that leave nothing behind when it ends, however it ends.

The server's children (jobs, model servers, Lambda workers) come and go in sessions and threads of their own, so
neither a process group nor a parent-death signal finds them all. Linux can name an ancestor that inherits orphans
(`PR_SET_CHILD_SUBREAPER`, prctl(2)): when the server dies, even by SIGKILL, all that it started becomes the subreaper's
and is killed. There are two, one above the other: who kills one and the server leaves the other. The state's lock is
theirs until the last process is gone. Of who kills all three at once, the next start ends what is left (`leftovers`).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def fork_under_subreapers() -> None:
    """Return in a new process, which becomes the server; those above it stay as its subreapers and never return."""
    if sys.platform != "linux":
        return  # no such ancestor on other systems: a graceful stop still ends every child
    _fork_under_one()
    _fork_under_one()
    # Whoever kills the subreaper means the server too.
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _fork_under_one() -> None:
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    child = os.fork()
    if child == 0:
        return
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: os.kill(child, received))
    status = _wait_for(child)
    _kill_descendants()
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _wait_for(child: int) -> int:
    """Reap orphans until the child itself has ended; its wait status."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return status


def _kill_descendants() -> None:
    """Kill all that is below this process, until nothing is: of one that is ending the children aren't ours yet."""
    while not _all_reaped():
        for pid in _descendants(os.getpid()):
            _kill(pid)
        time.sleep(0.002)


def _descendants(pid: int) -> list[int]:
    """Every process below this one that still runs, read from /proc."""
    children = [child for child in _children(pid) if not _is_zombie(child)]
    return children + [below for child in children for below in _descendants(child)]


def _children(pid: int) -> list[int]:
    found = []
    for task in _listed(Path(f"/proc/{pid}/task")):
        try:
            found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _all_reaped() -> bool:
    """Reap what has ended; whether there is no child left."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            continue
    except ChildProcessError:
        return True
    return False


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl option {option} was refused")
