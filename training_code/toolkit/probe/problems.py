"""Counts whatever goes wrong inside the probe, and logs each kind once; training goes on."""

from __future__ import annotations

import functools
import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from typing import ParamSpec

    P = ParamSpec("P")

log = logging.getLogger("ratchet.probe")
T = TypeVar("T")


class Problems:
    """Counts of what went wrong, by what was being done. Thread-safe."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def caught(self, doing: str, error: BaseException) -> None:
        """Counts an error inside the probe."""
        self.warn(doing, f"{doing} failed, and training goes on: {type(error).__name__}: {error}", error)

    def warn(self, key: str, sentence: str, error: BaseException | None = None) -> None:
        """Counts a problem, and logs the sentence the first time."""
        with self._lock:
            self._counts[key] += 1
            first = self._counts[key] == 1
        if first:
            log.warning("probe: %s (further ones are only counted)", sentence)
            log.debug("probe: where it happened", exc_info=error)

    def counts(self) -> dict[str, int]:
        """The number of times that each happened."""
        with self._lock:
            return dict(self._counts)


def harmless(doing: str) -> Callable[[Callable[P, T]], Callable[P, T | None]]:
    """Makes a method count its errors in its object's `problems` instead of raising them; it then returns None."""

    def wrap(method: Callable[P, T]) -> Callable[P, T | None]:
        @functools.wraps(method)
        def quiet(*args: P.args, **kwargs: P.kwargs) -> T | None:
            try:
                return method(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - the training is worth more than its picture
                owner: Any = args[0]
                owner.problems.caught(doing, error)
                return None

        return quiet

    return wrap
