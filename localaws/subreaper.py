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
from functools import partial

from localaws.confinement import linux
from localaws.confinement.processes import attended, end_descendants


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
    numbers = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    code = attended(child, {number: partial(os.kill, child, number) for number in numbers})
    end_descendants()
    os._exit(code & 0xFF)
