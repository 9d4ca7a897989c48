"""The server comes first: what it runs for its users yields to it, so that it answers however much they compute."""

from __future__ import annotations

import contextlib
import os
import sys

_NICER = 5
# Seconds that a thread may keep the interpreter while another waits for it; Python's own choice is five times this.
_SWITCH_SECONDS = 0.001


def come_first() -> None:
    """Let the thread that answers wait less for those that work. Called once, by the server."""
    sys.setswitchinterval(_SWITCH_SECONDS)


def yield_to_us(pid: int) -> None:
    """Give a process that was just started, and what it will start, less of the processor where both want it."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, min(19, os.getpriority(os.PRIO_PROCESS, 0) + _NICER))
