"""A time limit that is passed down, so that a function ends its work while it can still say so."""

from __future__ import annotations

import time


class TooLongError(Exception):
    """The work isn't done and the time is over; doing it again goes on where it stopped."""


class Deadline:
    """`seconds` from now."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def check(self, what: str) -> None:
        """
        Raises:
            TooLongError: the time is over.
        """
        if time.monotonic() >= self._end:
            raise TooLongError(f"{what} takes longer than the function may run; do it again, it goes on from here")
