"""The server's subreapers: small processes above it that leave nothing behind when it ends, however it ends.

The server's children (jobs, model servers, Lambda workers) come and go in sessions and threads of their own, so
neither a process group nor a parent-death signal finds them all. Linux can name an ancestor that inherits orphans
(`PR_SET_CHILD_SUBREAPER`, prctl(2)): when the server dies, even by SIGKILL, all that it started becomes the subreaper's
and is killed. There are two, one above the other: who kills one and the server leaves the other. The state's lock is
theirs until the last process is gone. Of who kills all three at once, the next start ends what is left (`leftovers`).
"""

from __future__ import annotations

import os
import signal
import sys

from localaws.confinement import linux
from localaws.confinement.processes import end_descendants


def fork_under_subreapers() -> None:
    """Return in a new process, which becomes the server; those above it stay as its subreapers and never return."""
    if sys.platform != "linux":
        return  # no such ancestor on other systems: a graceful stop still ends every child
    _fork_under_one()
    _fork_under_one()
    # Whoever kills the subreaper means the server too.
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)


def _fork_under_one() -> None:
    linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
    child = os.fork()
    if child == 0:
        return
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: os.kill(child, received))
    status = _wait_for(child)
    end_descendants()
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _wait_for(child: int) -> int:
    """Reap orphans until the child itself has ended; its wait status."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return status
