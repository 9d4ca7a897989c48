"""Passages through states, read from events in the shape of GetExecutionHistory's."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contract import histories, states
from contract.histories import Execution, Visit, of_events, seconds_by_state

START = datetime(2026, 11, 20, 10, tzinfo=UTC)


def event(at: float, kind: str, details: str = "", **fields: Any) -> dict[str, Any]:
    """HistoryEvent: its details stand under a name that follows from its type."""
    told = {f"{details}EventDetails": fields} if details else {}
    return {"timestamp": START + timedelta(seconds=at), "type": kind, "id": 1, "previousEventId": 0, **told}


def entered(at: float, name: str, kind: str = "Task") -> dict[str, Any]:
    return event(at, f"{kind}StateEntered", "stateEntered", name=name, input="{}")


def exited(at: float, name: str, kind: str = "Task", **fields: Any) -> dict[str, Any]:
    return event(at, f"{kind}StateExited", "stateExited", name=name, **fields)


def scheduled(at: float, **fields: Any) -> dict[str, Any]:
    told = {
        "resourceType": "sagemaker",
        "resource": "createTrainingJob.sync",
        "region": "us-east-1",
        "parameters": "{}",
    }
    return event(at, "TaskScheduled", "taskScheduled", **{**told, **fields})


def failed(at: float, kind: str = "TaskFailed", error: str = "E", cause: str = "why") -> dict[str, Any]:
    return event(at, kind, "taskFailed", resourceType="sagemaker", resource="x", error=error, cause=cause)


def visit_of(*events: dict[str, Any]) -> Visit:
    """The visit of the first state among these."""
    return of_events([entered(0, "Train"), *events]).visits[0]


# ------------------------------------------------------------------------------------------------------- a visit


def test_a_visit_is_from_entering_to_leaving() -> None:
    visit = visit_of(scheduled(0.5, parameters='{"TrainingJobName": "t"}'), exited(2.5, "Train", output='{"a": 1}'))
    assert (visit.name, visit.kind, visit.seconds, visit.attempts) == ("Train", "Task", 2.5, 1)
    assert (visit.resource, visit.parameters, visit.output) == (
        "createTrainingJob.sync",
        {"TrainingJobName": "t"},
        '{"a": 1}',
    )
    assert (visit.error, visit.cause, visit.failed, visit.handled) == (None, None, False, False)
    assert (visit.entered, visit.exited) == (START, START + timedelta(seconds=2.5))


def test_a_functions_own_events_count_as_well() -> None:
    """A state machine that names a function's ARN as its task's resource."""
    lambda_scheduled = event(
        0.1, "LambdaFunctionScheduled", "lambdaFunctionScheduled", resource="arn", input='{"x": 1}'
    )
    visit = visit_of(lambda_scheduled, event(1, "LambdaFunctionFailed", "lambdaFunctionFailed", error="E", cause="c"))
    assert (visit.attempts, visit.parameters, visit.error) == (1, {"x": 1}, "E")
    again = visit_of(lambda_scheduled, failed(1), lambda_scheduled, event(2, "LambdaFunctionSucceeded"))
    assert (again.attempts, again.error) == (2, None)


def test_a_state_that_goes_on_has_no_length() -> None:
    visit = visit_of(scheduled(0.5))
    assert (visit.exited, visit.seconds) == (None, None)


@pytest.mark.parametrize("parameters", ["{not json", "[1]", "5", None])
def test_parameters_that_are_no_document_are_none(parameters: Any) -> None:
    assert visit_of(scheduled(0.1, parameters=parameters)).parameters == {}


@pytest.mark.parametrize(
    ("kind", "measured"),
    [("Task", True), ("Wait", True), ("Parallel", True), ("Map", True), ("Choice", False), ("Pass", False)],
)
def test_only_some_kinds_of_states_take_time(kind: str, measured: bool) -> None:
    visit = of_events([entered(0, "X", kind), exited(1, "X", kind)]).visits[0]
    assert (visit.kind, visit.takes_time) == (kind, measured)


# --------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "kind",
    [
        "TaskFailed",
        "TaskTimedOut",
        "TaskStartFailed",
        "TaskSubmitFailed",
        "LambdaFunctionScheduleFailed",
        "MapRunAborted",
    ],
)
def test_every_kind_of_failure_is_one(kind: str) -> None:
    visit = visit_of(scheduled(0.1), failed(1, kind, "States.Timeout", "too long"))
    assert (visit.error, visit.cause, visit.failed) == ("States.Timeout", "too long", True)


def test_a_state_that_was_left_is_not_changed_any_more() -> None:
    """Of two visits, the one that is open has failed."""
    left, open_ = of_events([entered(0, "Plan"), exited(1, "Plan"), entered(1, "Train"), failed(2)]).visits
    assert (left.error, open_.error) == (None, "E")


def test_a_failure_without_words_is_a_failure() -> None:
    visit = visit_of(event(1, "TaskFailed", "taskFailed"))
    assert (visit.error, visit.cause) == ("Failed", "")
    assert visit_of(event(1, "TaskFailed")).failed


def test_a_retry_that_went_well_leaves_no_error() -> None:
    visit = visit_of(scheduled(0), failed(1), scheduled(2), event(3, "TaskSucceeded", "taskSucceeded", output="{}"))
    assert (visit.attempts, visit.error, visit.cause, visit.failed) == (2, None, None, False)


def test_an_executions_own_failure_is_no_states() -> None:
    """The state that was open is left without an end; what the execution says stands with it."""
    execution = of_events(
        [entered(0, "Plan"), event(3, "ExecutionFailed", "executionFailed", error="E", cause="because")]
    )
    assert execution.visits[0].error is None
    assert (execution.status, execution.error, execution.cause) == ("Failed", "E", "because")
    assert execution.ended == START + timedelta(seconds=3)


@pytest.mark.parametrize(
    ("after", "handled"),
    [
        ([("Record", "Task")], False),
        ([("Undo", "Task")], False),
        ([("Undo", "Choice"), ("RestoreChampion", "Task"), ("Record", "Task")], False),
        ([("NotRecorded", "Task")], False),
        ([("CreateEndpoint", "Task")], True),
        # Choices and passes on the way say nothing yet.
        ([("EndpointMissing", "Choice"), ("Record", "Task")], False),
        ([("EndpointMissing", "Choice"), ("CreateEndpoint", "Task"), ("Record", "Task")], True),
        ([("Wait", "Wait")], True),
        ([("NotRecorded", "Fail")], False),
        ([], False),
    ],
)
def test_an_error_is_handled_if_the_machine_goes_on_with_its_work(after: list[tuple[str, str]], handled: bool) -> None:
    events = [entered(0, "FindEndpoint"), failed(1), exited(1, "FindEndpoint")]
    for name, kind in after:
        events += [entered(2, name, kind), exited(3, name, kind)]
    visit = of_events(events).visits[0]
    assert (visit.handled, visit.failed) == (handled, not handled)


WRONG = json.dumps({"state": "Verify", "error": "VerificationFailed", "cause": "answered '1', not '7'"})


@pytest.mark.parametrize(
    ("after", "failed"),
    [
        ([], True),
        ([("Undo", "Choice"), ("RestoreChampion", "Task")], True),
        ([("Undo", "Choice"), ("RestoreChampion", "Task"), ("AwaitChampion", "Task"), ("Record", "Task")], True),
        ([("Record", "Task")], True),
        ([("WhyStopped", "Task"), ("StoppedBy", "Choice"), ("Record", "Task")], True),
        # As where `rules_then: evaluate` goes on with what training had saved.
        ([("WhyStopped", "Task"), ("StoppedBy", "Choice"), ("Evaluate", "Task"), ("Record", "Task")], False),
    ],
)
def test_a_failure_that_a_choice_keeps_is_its_state_s_while_the_run_goes_on(
    after: list[tuple[str, str]], failed: bool
) -> None:
    """Verify's function answers that the endpoint is wrong: a success for Step Functions, none for a reader."""
    events = [entered(0, "Verify"), scheduled(0), event(1, "TaskSucceeded", "taskSucceeded"), exited(1, "Verify")]
    events += [entered(1, "Verified", "Choice"), exited(1, "Verified", "Choice", assignedVariables={"failure": WRONG})]
    for name, kind in after:
        events += [entered(2, name, kind), exited(3, name, kind)]
    visit = of_events(events).visits[0]
    assert visit.failed is failed
    assert (visit.error, visit.cause) == (("VerificationFailed", "answered '1', not '7'") if failed else (None, None))


def test_a_stopped_job_is_told_in_words() -> None:
    job = json.dumps({"TrainingJobName": "t", "TrainingJobStatus": "Stopped"})
    told = json.dumps({"state": "Train", "error": "JobNotCompleted", "cause": job})
    left = exited(1, "Trained", "Choice", assignedVariables={"failure": told})
    visit = visit_of(exited(1, "Train"), entered(1, "Trained", "Choice"), left)
    assert visit.cause == "training job t was stopped (StopTrainingJob) before it was done"


@pytest.mark.parametrize("assigned", [{}, {"failure": "null"}, {"failure": "{}"}, {"outcome": '"Promoted"'}])
def test_a_choice_that_keeps_no_failure_blames_nobody(assigned: dict[str, str]) -> None:
    left = exited(1, "Verified", "Choice", assignedVariables=assigned)
    assert not visit_of(exited(1, "Train"), entered(1, "Verified", "Choice"), left, entered(1, "Record")).failed


def test_a_task_that_failed_by_itself_keeps_its_own_error() -> None:
    told = json.dumps({"state": "Train", "error": "Other", "cause": "another"})
    left = exited(2, "Trained", "Choice", assignedVariables={"failure": told})
    visit = visit_of(failed(1), exited(1, "Train"), entered(1, "Trained", "Choice"), left, entered(2, "Record"))
    assert (visit.error, visit.cause) == ("E", "why")


def test_only_errors_are_handled() -> None:
    first, second = of_events([entered(0, "Plan"), exited(1, "Plan"), entered(1, "Train"), exited(2, "Train")]).visits
    assert not first.handled and not second.handled


# ------------------------------------------------------------------------------------------------ an execution


def test_a_state_that_is_visited_again_is_left_again() -> None:
    execution = of_events(
        [entered(0, "Settle"), exited(1, "Settle"), entered(2, "Settle"), exited(5, "Settle", output="second")]
    )
    assert [visit.seconds for visit in execution.visits] == [1, 3]
    assert [visit.output for visit in execution.visits] == [None, "second"]


def test_what_happens_inside_a_state_is_the_innermosts() -> None:
    """Of a Parallel state and its branch, the task's events are the branch's."""
    outer, inner = of_events(
        [
            event(0, "ExecutionStarted", "executionStarted", input="{}"),
            entered(1, "Both", "Parallel"),
            entered(2, "One"),
            scheduled(2),
            exited(3, "One"),
            exited(4, "Both", "Parallel"),
        ]
    ).visits
    assert (outer.attempts, inner.attempts) == (0, 1)
    assert (outer.seconds, inner.seconds) == (3, 1)


def test_a_branch_that_is_cut_off_is_never_left() -> None:
    """Another branch has failed: the Parallel state fails and is left, the task in this branch is not."""
    outer, other, cut_off = of_events(
        [
            entered(0, "Both", "Parallel"),
            entered(1, "Other"),
            exited(2, "Other"),
            entered(1, "One"),
            exited(3, "Both", "Parallel"),
        ]
    ).visits
    assert (outer.seconds, other.seconds, cut_off.seconds) == (3, 1, None)


def test_a_failure_behind_a_branch_is_the_outer_states() -> None:
    events = [entered(0, "Both", "Parallel"), entered(1, "One"), exited(2, "One"), event(3, "ParallelStateFailed")]
    outer, inner = of_events(events).visits
    assert (outer.error, inner.error) == ("Failed", None)


def test_events_that_tell_nothing_of_a_state_are_left_out() -> None:
    started = event(0, "TaskStarted", "taskStarted", resource="x")
    assert visit_of(scheduled(0), started).attempts == 1
    assert of_events([exited(1, "Never"), scheduled(1), failed(2)]).visits == ()


def test_where_an_execution_is_now() -> None:
    running = of_events([entered(0, "Plan"), exited(1, "Plan"), entered(1, "Train")])
    assert running.current is not None and running.current.name == "Train"
    assert (running.status, running.error, running.cause, running.ended) == (None, None, None, None)
    ended = of_events([entered(0, "Plan"), event(1, "ExecutionAborted", "executionAborted", error="e")])
    assert (ended.current, ended.status, ended.error) == (None, "Aborted", "e")
    assert of_events([event(0, "ExecutionStarted")]) == Execution(())
    assert Execution(()).current is None
    assert of_events([entered(0, "Plan"), exited(1, "Plan")]).current is None


@pytest.mark.parametrize("status", ["Succeeded", "Failed", "TimedOut", "Aborted"])
def test_how_an_execution_ended(status: str) -> None:
    assert of_events([event(9, f"Execution{status}")]).status == status


# ---------------------------------------------------------------------------------------------------------- seconds


def test_seconds_add_up_the_visits_of_a_state() -> None:
    execution = of_events(
        [
            entered(0, "Plan"),
            scheduled(0),
            exited(1.5, "Plan"),
            entered(2, "Wait", "Wait"),
            exited(3, "Wait", "Wait"),
            entered(4, "Wait", "Wait"),
            exited(4.25, "Wait", "Wait"),
            entered(4.3, "Choose", "Choice"),
            exited(4.3, "Choose", "Choice"),
            entered(5, "Record"),
        ]
    )
    assert seconds_by_state(execution) == {"Plan": 1.5, "Wait": 1.25, "Choose": 0.0}
    assert list(seconds_by_state(execution)) == ["Plan", "Wait", "Choose"]


def test_seconds_are_milliseconds_at_best() -> None:
    execution = of_events([entered(0, "A"), exited(0.0014, "A"), entered(1, "A"), exited(1.0014, "A")])
    assert seconds_by_state(execution) == {"A": 0.002}


def test_the_states_that_people_know_are_in_the_order_of_the_story() -> None:
    assert states.MILESTONES[0] == "Settle" and states.MILESTONES[-1] == states.RECORD == "Record"
    assert len(set(states.MILESTONES)) == 15
    assert states.RECORD in states.REPAIRS
    assert set(histories._MEASURED_KINDS) < {"Task", "Wait", "Parallel", "Map", "Pass"}


# ---------------------------------------------------------------------------------------------------------- branches


def chained(*lines: tuple[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """Events with ids, each after the one of its branch's number before; a new branch begins after branch 0's last."""
    last: dict[int, int] = {}
    found = []
    for number, (branch, told) in enumerate(lines, start=1):
        found.append({**told, "id": number, "previousEventId": last.get(branch, last.get(0, 0))})
        last[branch] = number
    return found


def two_branches(*of_second: dict[str, Any]) -> list[dict[str, Any]]:
    """Two jobs at once, of which the second one's events are the given ones; both are cleared up after."""
    job = {"resource": "createTransformJob.sync"}
    return chained(
        (0, entered(0, "ModelsAnswer", "Parallel")),
        (0, event(0, "ParallelStateStarted")),
        (1, entered(1, "AskChallenger")),
        (2, entered(1, "AskChampion")),
        (1, scheduled(1, parameters='{"TransformJobName": "one"}', **job)),
        (2, scheduled(1, parameters='{"TransformJobName": "two"}', **job)),
        *((2, told) for told in of_second),
        (1, event(9, "TaskSucceeded")),
        (1, exited(9, "AskChallenger")),
        (1, entered(9, "DropChallenger")),
        (1, exited(10, "DropChallenger")),
        (2, entered(9, "DropChampion")),
        (2, exited(10, "DropChampion")),
        (2, event(11, "ParallelStateSucceeded")),
        (0, exited(11, "ModelsAnswer", "Parallel")),
    )


def test_what_happens_in_one_branch_is_of_its_own_state() -> None:
    found = of_events(two_branches(event(3, "TaskSucceeded"), exited(3, "AskChampion")))
    told = {
        visit.name: (visit.parameters.get("TransformJobName"), visit.seconds, visit.error) for visit in found.visits
    }
    assert told == {
        "ModelsAnswer": (None, 11.0, None),
        "AskChallenger": ("one", 8.0, None),
        "AskChampion": ("two", 2.0, None),
        "DropChallenger": (None, 1.0, None),
        "DropChampion": (None, 1.0, None),
    }


def test_an_error_of_one_branch_is_of_the_state_that_had_it() -> None:
    found = of_events(two_branches(failed(3), exited(3, "AskChampion")))
    assert [(visit.name, visit.handled) for visit in found.visits if visit.error] == [("AskChampion", True)]


def test_a_failure_of_a_state_that_the_run_has_not_come_to_is_of_what_kept_it_from_there() -> None:
    told = json.dumps({"state": "Evaluate", "error": "NoAnswers", "cause": "the champion said 500"})
    heard = [
        entered(12, "ModelsHeard", "Choice"),
        exited(12, "ModelsHeard", "Choice", assignedVariables={"failure": told}),
        entered(12, "Record"),
    ]
    found = of_events([*two_branches(failed(3), exited(3, "AskChampion")), *chained(*((0, one) for one in heard))])
    (wrong,) = [visit for visit in found.visits if visit.failed]
    assert (wrong.name, wrong.cause) == ("AskChampion", "the champion said 500")


def test_where_both_models_cannot_answer_it_is_the_challengers_that_ends_the_run() -> None:
    told = json.dumps({"state": "Evaluate", "error": "NoAnswers", "cause": "the challenger said 500"})
    found = of_events(
        [
            entered(1, "AskChallenger"),
            failed(2),
            exited(2, "AskChallenger"),
            entered(2, "AskChampion"),
            failed(3),
            exited(3, "AskChampion"),
            entered(3, "DropChampion"),
            exited(4, "DropChampion"),
            entered(4, "ModelsHeard", "Choice"),
            exited(4, "ModelsHeard", "Choice", assignedVariables={"failure": told}),
            entered(4, "Record"),
        ]
    )
    (wrong,) = [visit for visit in found.visits if visit.failed]
    assert (wrong.name, wrong.cause) == ("AskChallenger", "the challenger said 500")
