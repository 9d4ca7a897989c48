"""The probe's own troubles: said once each, counted always, never the training's."""

from __future__ import annotations

import functools
import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

log = logging.getLogger("ratchet.probe")
P, T = ParamSpec("P"), TypeVar("T")


class Problems:
    """Counts by what was being done. Thread-safe."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def caught(self, doing: str, error: BaseException) -> None:
        """An error inside the probe."""
        self.warn(doing, f"{doing} failed, and training goes on: {type(error).__name__}: {error}", error)

    def warn(self, key: str, sentence: str, error: BaseException | None = None) -> None:
        """Says it the first time; counts it."""
        with self._lock:
            self._counts[key] += 1
            first = self._counts[key] == 1
        if first:
            log.warning("probe: %s (further ones are only counted)", sentence)
            log.debug("probe: where it happened", exc_info=error)

    def counts(self) -> dict[str, int]:
        """How often each happened."""
        with self._lock:
            return dict(self._counts)


def harmless(doing: str) -> Callable[[Callable[P, T]], Callable[P, T | None]]:
    """A method of an object with `problems` whose errors are counted there instead of raised; it then returns None."""

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
