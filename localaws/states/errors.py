"""Errors as Step Functions names them (Developer Guide, "Handling errors in Step Functions workflows")."""

from __future__ import annotations

from collections.abc import Iterable

TIMEOUT = "States.Timeout"
HEARTBEAT_TIMEOUT = "States.HeartbeatTimeout"
RUNTIME = "States.Runtime"
DATA_LIMIT_EXCEEDED = "States.DataLimitExceeded"
QUERY_EVALUATION_ERROR = "States.QueryEvaluationError"

# "can't be caught by the States.ALL error type" (same page).
_BEYOND_ALL = frozenset({RUNTIME, DATA_LIMIT_EXCEEDED})


class StatesError(Exception):
    """A state failed with an error name and a cause, as they stand in `$states.errorOutput`."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause

    def output(self) -> dict[str, str]:
        return {"Error": self.error, "Cause": self.cause}


def error_matches(error_equals: Iterable[str], error: str) -> bool:
    """Whether a retrier's or catcher's `ErrorEquals` takes this error.

    `States.Runtime` is never retried or caught. `States.Timeout` also stands for a missed heartbeat;
    `States.TaskFailed` stands for every error except a timeout.
    """
    names = set(error_equals)
    if error == RUNTIME:
        return False
    if error in names or (error == HEARTBEAT_TIMEOUT and TIMEOUT in names):
        return True
    if error in _BEYOND_ALL:
        return False
    return "States.ALL" in names or ("States.TaskFailed" in names and error not in (TIMEOUT, HEARTBEAT_TIMEOUT))
