"""Ends and outcomes: how a container is ended from outside, how it ended, and why a job ends before its script."""

from __future__ import annotations

from dataclasses import dataclass

from localaws.sagemaker.containers.limits import Exceeded

# The causes of an end: the script's own, and from outside.
SCRIPT, STOP, MAX_RUNTIME, MAX_WAIT, INTERRUPTION = "script", "stop", "max runtime", "max wait", "interruption"
# What the container reads can't be streamed to its end.
DATA = "data"


class JobFailedError(Exception):
    """The job fails for this reason (FailureReason)."""


class StopRequestedError(Exception):
    """Someone asked the job to stop before its script ran."""


class ServerClosingError(Exception):
    """The server stops: leave everything as it is, recovery will say what happened."""


@dataclass(frozen=True)
class End:
    """An end that comes to a container from outside: SIGTERM at a time of the clock's monotonic(), SIGKILL `notice`
    seconds later.

    Without any notice there is no SIGTERM. None: supervision.STOP_GRACE.
    """

    at: float
    cause: str
    notice: float | None = None


@dataclass(frozen=True)
class Outcome:
    """How a job's containers ended: exit code, the cause, SCRIPT where the scripts ended by themselves, a limit met.

    host: which of them the exit code and the limit are of, from 0 on: the first one that failed.
    """

    exit_code: int
    cause: str
    exceeded: Exceeded | None = None
    host: int = 0


class EndedEarlyError(Exception):
    """What comes before the job's own container was ended from outside; `outcome` says how."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.cause)
        self.outcome = outcome
