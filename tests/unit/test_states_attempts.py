"""Waiting for a task: by its own end, by its token, until a deadline, or until the execution is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import pytest

from localaws.states.attempts import Attempt, TaskTokenError, TaskTokens
from localaws.states.cancellation import Cancellation, CancelledError
from localaws.states.errors import StatesError


def clock(moments: Iterable[float]) -> Callable[[], float]:
    """A clock that is at the next of these moments, in seconds, each time that somebody looks."""
    return iter(moments).__next__


def failed(wait: Callable[[], object]) -> str:
    with pytest.raises(StatesError) as error:
        wait()
    assert error.value.cause == ("c" if error.value.error == "E" else "")
    return error.value.error


# --- attempts ---


def test_the_first_outcome_counts() -> None:
    attempt = Attempt(Cancellation())
    assert attempt.succeed(1)
    assert not attempt.succeed(2)
    assert not attempt.fail(StatesError("E", ""))
    assert attempt.wait(None, None) == 1


def test_a_failure_is_raised() -> None:
    attempt = Attempt(Cancellation())
    assert attempt.fail(StatesError("E", "c"))
    assert failed(lambda: attempt.wait(None, None)) == "E"
    assert not attempt.abandoned


def test_an_outcome_wakes_who_waits() -> None:
    attempt = Attempt(Cancellation())
    threading.Timer(0.002, attempt.succeed, ("later",)).start()
    assert attempt.wait(None, None) == "later"


def test_a_task_ends_at_its_timeout_and_not_before() -> None:
    """States Language, "Timeouts and Heartbeats"; moments: made, waited for, looked at twice."""
    attempt = Attempt(Cancellation(), clock([0, 2, 11.999, 12]))
    assert failed(lambda: attempt.wait(10, None)) == "States.Timeout"
    assert attempt.abandoned
    assert not attempt.succeed("too late")


@pytest.mark.fidelity(
    "Step Functions",
    "A heartbeat starts the task's heartbeat clock anew.",
    "States Language, Timeouts and Heartbeats",
)
def test_a_heartbeat_puts_the_deadline_off() -> None:
    """Same page: the time "between heartbeats"; moments: made, waited for, a heartbeat, then looked at."""
    attempt = Attempt(Cancellation(), clock([0, 4, 5, 8.999, 9]))
    attempt.heartbeat()
    assert failed(lambda: attempt.wait(None, 5)) == "States.HeartbeatTimeout"


def test_the_nearer_deadline_ends_the_task() -> None:
    beats = Attempt(Cancellation(), clock([0, 0, 2.999, 3]))
    assert failed(lambda: beats.wait(4, 3)) == "States.HeartbeatTimeout"
    times_out = Attempt(Cancellation(), clock([0, 0, 2.999, 3]))
    assert failed(lambda: times_out.wait(3, 4)) == "States.Timeout"


@pytest.mark.fidelity(
    "Step Functions",
    "A task that is given up stops its job, best effort.",
    "Step Functions DG, Run a job (.sync)",
)
def test_giving_a_task_up_stops_its_job_once_whatever_fails_meanwhile() -> None:
    """Developer Guide, "Run a job": "Step Functions will … stop the job" of an execution that is stopped."""
    called: list[str] = []

    def breaks() -> None:
        called.append("breaks")
        raise OSError

    attempt = Attempt(Cancellation())
    attempt.on_abandon(breaks)
    attempt.on_abandon(lambda: called.append("stops"))
    assert failed(lambda: attempt.wait(0, None)) == "States.Timeout"
    attempt.on_abandon(lambda: called.append("at once"))
    assert called == ["breaks", "stops", "at once"]


def test_a_task_that_succeeds_is_not_given_up() -> None:
    attempt = Attempt(Cancellation())
    attempt.on_abandon(lambda: pytest.fail("nobody gave it up"))
    attempt.succeed(None)
    assert attempt.wait(5, 5) is None
    assert not attempt.abandoned


def test_a_stop_wakes_who_waits_and_gives_the_task_up() -> None:
    cancellation = Cancellation()
    attempt = Attempt(cancellation)
    threading.Timer(0.002, cancellation.cancel).start()
    with pytest.raises(CancelledError):
        attempt.wait(None, None)
    assert attempt.abandoned


# --- task tokens (API reference, SendTaskSuccess, SendTaskFailure, SendTaskHeartbeat) ---


def registered() -> tuple[TaskTokens, Attempt]:
    tokens, attempt = TaskTokens(), Attempt(Cancellation())
    tokens.register("t", attempt)
    return tokens, attempt


def refused(call: Callable[[], None]) -> str:
    with pytest.raises(TaskTokenError) as error:
        call()
    return error.value.code


def test_a_token_gives_its_task_an_output_once() -> None:
    tokens, attempt = registered()
    tokens.succeed("t", '{"a": 1}')
    assert attempt.wait(None, None) == {"a": 1}
    assert refused(lambda: tokens.succeed("t", "{}")) == "TaskTimedOut"
    assert refused(lambda: tokens.heartbeat("t")) == "TaskTimedOut"


def test_a_token_gives_its_task_an_error() -> None:
    tokens, attempt = registered()
    tokens.fail("t", "Refused", "by hand")
    with pytest.raises(StatesError) as error:
        attempt.wait(None, None)
    assert error.value.output() == {"Error": "Refused", "Cause": "by hand"}


def test_an_output_that_is_no_json_leaves_the_task_waiting() -> None:
    tokens, attempt = registered()
    assert refused(lambda: tokens.succeed("t", "{")) == "InvalidOutput"
    tokens.succeed("t", "1")
    assert attempt.wait(None, None) == 1


@pytest.mark.fidelity(
    "Step Functions",
    "An unknown token is TaskDoesNotExist, that of a task that has ended TaskTimedOut.",
    "Step Functions API, SendTaskSuccess: errors",
)
def test_an_unknown_token_and_one_whose_task_has_ended_are_refused() -> None:
    tokens, attempt = registered()
    assert refused(lambda: tokens.succeed("other", "{}")) == "TaskDoesNotExist"
    attempt.fail(StatesError("E", ""))
    assert refused(lambda: tokens.succeed("t", "{}")) == "TaskTimedOut"
    tokens.end("t")
    assert refused(lambda: tokens.fail("t", "", "")) == "TaskTimedOut"


def test_a_heartbeat_by_token_keeps_the_task() -> None:
    tokens, attempt = TaskTokens(), Attempt(Cancellation(), clock([0, 4, 5, 8.999, 9]))
    tokens.register("t", attempt)
    tokens.heartbeat("t")
    assert failed(lambda: attempt.wait(None, 5)) == "States.HeartbeatTimeout"


# --- cancellation ---


def test_a_cancellation_reaches_its_children_and_not_its_parent() -> None:
    parent = Cancellation()
    child, left = Cancellation(parent), Cancellation(parent)
    left.close()
    grandchild = Cancellation(child)
    child.cancel()
    assert (grandchild.cancelled, child.cancelled, parent.cancelled) == (True, True, False)
    parent.cancel()
    assert not left.cancelled
    assert Cancellation(parent).cancelled


def test_callbacks_are_called_once_and_can_be_taken_back() -> None:
    cancellation, called = Cancellation(), list[str]()

    def breaks() -> None:
        raise OSError

    cancellation.on_cancel(breaks)
    cancellation.on_cancel(lambda: called.append("kept"))
    cancellation.on_cancel(lambda: called.append("taken back"))()
    cancellation.cancel()
    cancellation.cancel()
    cancellation.on_cancel(lambda: called.append("at once"))()
    assert called == ["kept", "at once"]


def test_a_sleep_ends_with_the_cancellation() -> None:
    cancellation = Cancellation()
    cancellation.sleep(0)
    cancellation.sleep(0.001)
    threading.Timer(0.002, cancellation.cancel).start()
    with pytest.raises(CancelledError):
        cancellation.sleep(600)
    with pytest.raises(CancelledError):
        cancellation.sleep(0)
