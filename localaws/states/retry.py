"""Retriers and catchers (States Language, "Errors"; Developer Guide, "Retrying after an error")."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from localaws.states.errors import error_matches

DEFAULT_INTERVAL_SECONDS = 1
DEFAULT_BACKOFF_RATE = 2.0
DEFAULT_MAX_ATTEMPTS = 3


class Retries:
    """Counts the tries of one state and says how long to wait before the next one.

    Each retrier has a count of its own; the first that matches an error decides.
    """

    def __init__(
        self, retriers: Sequence[Mapping[str, Any]], uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._retriers = retriers
        self._uniform = uniform
        self._counts = [0] * len(retriers)

    @property
    def count(self) -> int:
        return sum(self._counts)

    def delay(self, error: str) -> float | None:
        """Seconds until the next try, or None where the error isn't retried (any more)."""
        for index, retrier in enumerate(self._retriers):
            if not error_matches(retrier["ErrorEquals"], error):
                continue
            if self._counts[index] >= retrier.get("MaxAttempts", DEFAULT_MAX_ATTEMPTS):
                return None
            seconds = retry_interval(retrier, self._counts[index])
            self._counts[index] += 1
            return self._uniform(0, seconds) if retrier.get("JitterStrategy") == "FULL" else seconds
        return None


def retry_interval(retrier: Mapping[str, Any], retries: int) -> float:
    """Seconds before the retry after `retries` earlier ones: IntervalSeconds x BackoffRate^retries, at most
    MaxDelaySeconds."""
    seconds = float(retrier.get("IntervalSeconds", DEFAULT_INTERVAL_SECONDS))
    seconds *= float(retrier.get("BackoffRate", DEFAULT_BACKOFF_RATE)) ** retries
    return min(seconds, float(retrier.get("MaxDelaySeconds", seconds)))


def find_catcher(catchers: Sequence[Mapping[str, Any]], error: str) -> Mapping[str, Any] | None:
    return next((catcher for catcher in catchers if error_matches(catcher["ErrorEquals"], error)), None)
