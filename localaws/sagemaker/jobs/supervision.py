"""A running container under supervision: its output read, its time limits kept, its end brought about."""

from __future__ import annotations

import os

from localaws.sagemaker.containers.container import Container
from localaws.sagemaker.containers.logs import ContainerLog
from localaws.sagemaker.core.clock import Clock
from localaws.sagemaker.jobs.outcomes import SCRIPT, End, Outcome, ServerClosingError
from localaws.sagemaker.jobs.signals import Signals

STOP_GRACE = 120.0  # seconds between SIGTERM and SIGKILL (StopTrainingJob, API reference)
_CHUNK = 1 << 16


class Supervision:
    """One container of a job, in the job's thread."""

    def __init__(self, running: Container, log: ContainerLog, signals: Signals, clock: Clock) -> None:
        self._running = running
        self._log = log
        self._signals = signals
        self._clock = clock

    def until_end(self, first: End) -> Outcome:
        """Follow the container to its end, which `first` brings unless something else is earlier.

        Raises ServerClosingError. Nothing of the container is left afterwards.
        """
        try:
            cause = self._follow(first)
            exit_code = self._running.wait()
            return Outcome(exit_code, cause, self._running.exceeded)
        finally:
            self._running.kill()
            self._running.output.close()
            self._log.close()

    def _follow(self, first: End) -> str:
        """Read output until its end; the cause of the container's."""
        cause, deadline = SCRIPT, first.at
        while self._wait(deadline):
            if self._signals.is_closing:
                raise ServerClosingError
            if cause == SCRIPT and (end := self._signals.end()):
                cause, deadline = end.cause, self._terminate(end)
            elif self._clock.monotonic() >= deadline:
                if cause == SCRIPT:
                    cause, deadline = first.cause, self._terminate(first)
                else:
                    deadline = self._kill()
        return cause

    def _wait(self, deadline: float) -> bool:
        """Wait for output or a signal, at most until `deadline`; False when the output has ended."""
        output, wake = self._running.output.fileno(), self._signals.descriptor
        flush_in = self._log.flush_if_due()
        left = deadline - self._clock.monotonic()
        ready = self._clock.wait([output, wake], max(0.0, min(left, flush_in or left)))
        if output in ready and not self._read(output):
            return False
        if wake in ready:
            self._signals.heard()
        return True

    def _read(self, descriptor: int) -> bool:
        output = os.read(descriptor, _CHUNK)
        self._log.feed(output)
        return bool(output)

    def _terminate(self, end: End) -> float:
        """SIGTERM, unless there is no notice; when the container is to be killed."""
        notice = STOP_GRACE if end.notice is None else end.notice
        if notice > 0:
            self._running.stop()
        return self._clock.monotonic() + notice

    def _kill(self) -> float:
        self._running.kill()
        return self._clock.monotonic() + STOP_GRACE
