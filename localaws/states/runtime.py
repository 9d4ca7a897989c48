"""The surroundings of an execution, which are passed in, and one state of it while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from localaws.states.attempts import Attempt, TaskTokens
from localaws.states.cancellation import Cancellation
from localaws.states.dataflow import DataFlow, Frame, State
from localaws.states.history import Trace

SHORTEST_WAIT_SECONDS = 0.5  # of a Wait state, however much it is shortened


@dataclass(frozen=True)
class TaskCall:
    """A task to be run: `resource` is the state's ARN with its `.sync` or `.waitForTaskToken`."""

    resource: str
    arguments: Any
    attempt: Attempt
    submitted: Callable[[Any], None]
    """To be called by an integration that waits for a job, with the response that started it."""


@dataclass(frozen=True)
class Runtime:
    """The tasks, query languages, clock and region that an execution uses."""

    run_task: Callable[[TaskCall], Any]
    tokens: TaskTokens
    languages: Mapping[str, DataFlow]
    region: str
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    wait_scale: float = 1.0
    """Seconds that one second of a Wait state or a retry's interval takes here."""
    clock_scale: float = 1.0
    """How many seconds of a Wait state pass in one second; a retry's interval isn't shortened, since it lets somebody
    get ready."""


@dataclass(frozen=True)
class Step:
    """One state while it runs: its definition, its data and its line in the history."""

    runtime: Runtime
    cancellation: Cancellation
    name: str
    state: State
    language: str
    frame: Frame
    trace: Trace

    @property
    def flow(self) -> DataFlow:
        return self.runtime.languages[self.language]

    def sleep(self, seconds: float) -> None:
        """Wait for these seconds of the definition. Raises CancelledError."""
        self.cancellation.sleep(seconds * self.runtime.wait_scale)

    def let_pass(self, seconds: float) -> None:
        """Wait for the seconds of a Wait state, which may pass faster. Raises CancelledError.

        None becomes shorter than half a second: most short ones are between two looks at something.
        """
        shortest = min(seconds, SHORTEST_WAIT_SECONDS)
        self.sleep(max(seconds / self.runtime.clock_scale, shortest))
