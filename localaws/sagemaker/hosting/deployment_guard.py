"""What can end a deployment while it goes on: an alarm, its time, the end of the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from localaws.sagemaker.core.aws_platform import Platform
from localaws.sagemaker.core.errors import SageMakerError

LOOK_EVERY_SECONDS = 0.25


class RollbackError(Exception):
    """The deployment is to be rolled back; the message is the endpoint's FailureReason."""


class ServerClosedError(Exception):
    """The server is stopping: the deployment goes on when it is up again."""


class Alarms:
    """The alarms of an AutoRollbackConfiguration, as the models' execution roles may describe them."""

    def __init__(self, platform: Platform, roles: Sequence[str], names: Sequence[str], since: float) -> None:
        self._platform = platform
        self._roles = sorted(set(roles))
        self.names = names
        self._since = since

    def check(self) -> None:
        """Raise RollbackError when one is in ALARM or has been since the deployment began, is gone or can't be seen."""
        for role in self._roles if self.names else ():
            try:
                states = self._platform.alarm_states(role, self.names, self._since)
            except SageMakerError as error:
                raise RollbackError(f"The alarms of the deployment can't be monitored: {error.message}") from error
            self._judge(states)

    def _judge(self, states: dict[str, str]) -> None:
        gone = [name for name in self.names if name not in states]
        tripped = [name for name, state in states.items() if state == "ALARM"]
        if tripped:
            raise RollbackError(f"Alarms of the auto-rollback configuration are in ALARM state: {', '.join(tripped)}.")
        if gone:
            raise RollbackError(f"Alarms of the auto-rollback configuration don't exist: {', '.join(gone)}.")


class Guard:
    """Counts a deployment's seconds, of which those of bakes pass `clock_scale` times as fast, and looks at its alarms.

    `wait_closed` waits so many seconds at most for the end of the server. Used by one thread.
    """

    def __init__(
        self,
        alarms: Alarms,
        max_seconds: int | None,
        clock_scale: float,
        wait_closed: Callable[[float], bool],
        used: float = 0.0,
    ) -> None:
        self._alarms = alarms
        self._max = max_seconds
        self._scale = clock_scale
        self._wait_closed = wait_closed
        self._used = used
        self._looked = time.monotonic()

    @property
    def used(self) -> float:
        """The seconds that the deployment has taken, bakes counted in full."""
        return self._counted(1.0)

    @property
    def left(self) -> float | None:
        """The seconds that it may still take; None without a limit."""
        return None if self._max is None else self._max - self.used

    def check(self) -> None:
        """Raise RollbackError when an alarm or the time ends the deployment."""
        self._alarms.check()
        if (left := self.left) is not None and left <= 0:
            raise RollbackError(timed_out(self._max))

    def bake(self, seconds: float) -> None:
        """Wait, and watch. RollbackError, ServerClosedError."""
        self.check()
        end = self._used + seconds
        while (left := end - self._counted(self._scale)) > 1e-9:
            if self._wait_closed(min(LOOK_EVERY_SECONDS, left / self._scale)):
                raise ServerClosedError
            self._counted(self._scale)
            self.check()

    def _counted(self, rate: float) -> float:
        now = time.monotonic()
        self._used += (now - self._looked) * rate
        self._looked = now
        return self._used


def timed_out(max_seconds: int | None) -> str:
    """The FailureReason of a deployment that took too long."""
    return f"The deployment exceeded MaximumExecutionTimeoutInSeconds, {max_seconds} seconds."
