"""Waiting in tests. A test never sleeps and hopes: it looks until something is so, or fails after a long while."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Where tests run on a machine that is busy or slow, every deadline is so many times as long.
PATIENCE = float(os.environ.get("RATCHET_TEST_PATIENCE", "1"))
# Far more than anything takes where nothing else runs: a deadline only says when to give up.
WAIT_SECONDS = 180.0
# Looks take time of the machine that what is waited for needs: the longer it takes, the rarer they are.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, SLOWER = 0.02, 0.5, 1.3


def until(condition: Callable[[], T], what: str = "it", seconds: float = WAIT_SECONDS) -> T:
    """The first true value of `condition`.

    Raises:
        AssertionError: there is none within `seconds`, times PATIENCE.
    """
    deadline, pause = time.monotonic() + seconds * PATIENCE, FIRST_PAUSE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds * PATIENCE:g} s in vain for {what}: still {found!r}"
        time.sleep(pause)
        pause = min(SLOWER * pause, LONGEST_PAUSE_SECONDS)
    return found
