"""A user of the endpoint who asks all the time, and minds every answer that fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType

# One who never paused would take the cores that training needs.
PAUSE_SECONDS = 0.02


@dataclass
class Traffic:
    """Asks from a thread of its own while the `with` block runs.

    ask: a request's body -> the answer; raises if it fails. `accepted`: the answers that make sense.
    """

    ask: Callable[[str], str]
    bodies: Sequence[str]
    accepted: frozenset[str]
    sent: int = 0
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        started = time.monotonic()
        while not self._stopping.is_set():
            self._ask(self.bodies[self.sent % len(self.bodies)])
            self.seconds = time.monotonic() - started
            self._stopping.wait(PAUSE_SECONDS)

    def _ask(self, body: str) -> None:
        self.sent += 1
        try:
            answer = self.ask(body)
        except Exception as error:  # noqa: BLE001 - whatever it is, the user's request has failed
            self.failures.append(f"{type(error).__name__}: {error}")
            return
        if answer not in self.accepted:
            self.failures.append(f"answered {answer[:80]!r}")
