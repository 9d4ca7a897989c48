"""The running containers of a job under supervision: their output read, time limits kept, their end brought about."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from localaws.sagemaker.containers.container import Container
from localaws.sagemaker.containers.logs import ContainerLog
from localaws.sagemaker.core.clock import Clock
from localaws.sagemaker.jobs.outcomes import SCRIPT, End, Outcome, ServerClosingError
from localaws.sagemaker.jobs.signals import Signals

STOP_GRACE = 120.0  # seconds between SIGTERM and SIGKILL (StopTrainingJob, API reference)
# The same for the other hosts of a job of which one has failed. AWS tells of none; few containers hear SIGTERM at all.
FAILURE_GRACE = 5.0
_CHUNK = 1 << 16
_LOOK_SECONDS = 0.02  # between looks at a container that has closed its output, while others have not


@dataclass(eq=False)
class Supervised:
    """A container of a job, its host's name and its log. exit_code: once it has ended."""

    host: str
    running: Container
    log: ContainerLog
    is_silent: bool = False
    exit_code: int | None = None

    def read(self) -> None:
        """Take what it has written."""
        output = os.read(self.running.output.fileno(), _CHUNK)
        self.log.feed(output)
        self.is_silent = not output

    def look(self, *, is_alone: bool) -> None:
        """Find out whether it has ended, once its output has; one that is alone is waited for."""
        if self.is_silent and self.exit_code is None:
            self.exit_code = self.running.wait() if is_alone else self.running.poll()

    def close(self) -> None:
        """Leave nothing of it."""
        self.running.kill()
        self.running.output.close()
        self.log.close()


class Supervision:
    """All containers of a job that run at once, in the job's thread. When one fails, the others have to end."""

    def __init__(self, containers: Sequence[Supervised], signals: Signals, clock: Clock) -> None:
        self._containers = containers
        self._signals = signals
        self._clock = clock
        self._at_fault: Supervised | None = None

    def until_end(self, first: End) -> Outcome:
        """Follow the containers to the end of the last, which `first` brings unless something else is earlier.

        Raises ServerClosingError. Nothing of the containers is left afterwards.
        """
        try:
            cause = self._follow(first)
            told = self._at_fault or self._containers[0]
            assert told.exit_code is not None  # noqa: S101 - all have ended
            return Outcome(told.exit_code, cause, told.running.exceeded, self._containers.index(told))
        finally:
            for each in self._containers:
                each.close()

    def _follow(self, first: End) -> str:
        """Read outputs until all have ended; the cause of the end."""
        cause, deadline, is_ending = SCRIPT, first.at, False
        while self._wait(deadline):
            if self._signals.is_closing:
                raise ServerClosingError
            end = None if is_ending else self._end_of_all(first)
            if end is not None:
                cause, deadline, is_ending = end.cause, self._terminate(end), True
            elif is_ending and self._clock.monotonic() >= deadline:
                deadline = self._kill()
        return cause

    def _end_of_all(self, first: End) -> End | None:
        """What makes all containers end now."""
        if end := self._signals.end():
            return end
        if self._at_fault is not None:
            self._tell_the_others(self._at_fault)
            return End(0.0, SCRIPT, FAILURE_GRACE)
        return first if self._clock.monotonic() >= first.at else None

    def _wait(self, deadline: float) -> bool:
        """Wait for output, a signal or an end, at most until `deadline`; False when all have ended."""
        outputs = {each.running.output.fileno(): each for each in self._containers if not each.is_silent}
        wake = self._signals.descriptor
        ready = self._clock.wait([*outputs, wake], max(0.0, min(self._seconds(deadline))))
        for descriptor in ready & outputs.keys():
            outputs[descriptor].read()
        if wake in ready:
            self._signals.heard()
        self._look()
        return bool(self._left)

    def _seconds(self, deadline: float) -> list[float]:
        """After how long something is due, for each thing that will be."""
        flushes = [due for each in self._left if (due := each.log.flush_if_due()) is not None]
        looks = [_LOOK_SECONDS for each in self._left if each.is_silent]
        return [deadline - self._clock.monotonic(), *flushes, *looks]

    def _look(self) -> None:
        for each in self._left:
            each.look(is_alone=len(self._containers) == 1)
            if each.exit_code and self._at_fault is None:
                self._at_fault = each

    @property
    def _left(self) -> list[Supervised]:
        return [each for each in self._containers if each.exit_code is None]

    def _tell_the_others(self, at_fault: Supervised) -> None:
        for each in self._left:
            each.log.say(f"{at_fault.host} has ended with exit code {at_fault.exit_code}; so this host is told to end.")

    def _terminate(self, end: End) -> float:
        """SIGTERM, unless there is no notice; when the containers are to be killed."""
        notice = STOP_GRACE if end.notice is None else end.notice
        if notice > 0:
            for each in self._left:
                each.running.stop()
        return self._clock.monotonic() + notice

    def _kill(self) -> float:
        for each in self._left:
            each.running.kill()
        return self._clock.monotonic() + STOP_GRACE
