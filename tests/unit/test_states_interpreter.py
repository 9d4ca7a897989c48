"""Executions, state by state, as the States Language and the Step Functions Developer Guide describe them."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from states_kit import INVOKE, NOW, Ended, Noting, branch, execute, failing, task_state

from localaws.states.attempts import TaskTokenError, TaskTokens
from localaws.states.errors import StatesError
from localaws.states.runtime import TaskCall

BIG = "x" * 262_142  # with its quotes, a payload of exactly 256 KiB
CONTEXT = "{% $states.context.State %}"
DONE = {"Type": "Succeed"}


def payload(call: TaskCall) -> Any:
    """A task that answers with its arguments."""
    return call.arguments


# --- states without a task ---


def test_a_machine_goes_from_state_to_state_and_tells_of_each() -> None:
    run = execute({"A": {"Type": "Pass", "Output": {"n": 1}, "Next": "B"}, "B": DONE}, {"k": 0})
    assert run.output == {"n": 1}
    assert run.types == ["PassStateEntered", "PassStateExited", "SucceedStateEntered", "SucceedStateExited"]
    assert [(event["id"], event["previousEventId"]) for event in run.events] == [(1, 0), (2, 1), (3, 2), (4, 3)]
    entered, left = run.events[0]["stateEnteredEventDetails"], run.events[1]["stateExitedEventDetails"]
    assert entered == {"name": "A", "input": '{"k":0}', "inputDetails": {"truncated": False}}
    assert left == {"name": "A", "output": '{"n":1}', "outputDetails": {"truncated": False}}


@pytest.mark.fidelity(
    "Step Functions",
    "The context object has Execution, State, StateMachine and Task.",
    "Step Functions DG, Accessing execution data from the Context object",
)
def test_the_context_object_tells_of_the_state() -> None:
    """Developer Guide, "Accessing execution data from the Context object in Step Functions"."""
    run = execute({"A": {"Type": "Pass", "Output": CONTEXT, "End": True}})
    assert run.output == {"EnteredTime": "2026-01-01T00:00:00.000Z", "Name": "A", "RetryCount": 0}


def test_fail_ends_the_execution_with_its_error_and_is_not_left() -> None:
    run = execute({"F": {"Type": "Fail", "Error": "Broken", "Cause": "{% 'of ' & $states.input %}"}}, "rain")
    assert (run.error.error, run.error.cause) == ("Broken", "of rain")
    assert run.types == ["FailStateEntered"]


def test_a_fail_state_may_say_nothing() -> None:
    run = execute({"F": {"Type": "Fail"}})
    assert (run.error.error, run.error.cause) == ("", "")


def test_wait_waits_its_seconds_and_passes_its_input_on() -> None:
    run = execute({"W": {"Type": "Wait", "Seconds": "{% $states.input * 2 %}", "Next": "D"}, "D": DONE}, 5)
    assert (run.sleeps, run.output) == ([10], 5)


def test_waits_and_retries_are_scaled() -> None:
    retry = [{"ErrorEquals": ["Broken"], "IntervalSeconds": 8, "MaxAttempts": 1}]
    states = {"W": {"Type": "Wait", "Seconds": 2, "Next": "T"}, "T": task_state(Retry=retry)}
    assert execute(states, task=failing(), wait_scale=0.5).sleeps == [1, 4]


def test_one_clock_scale_shortens_waits_but_no_look_no_retry_and_no_time_of_day() -> None:
    waits = {"W": 3600, "L": 2, "S": 0}
    names = [*waits, "U"]
    states = {
        name: {"Type": "Wait", "Seconds": waits[name], "Next": following}
        for name, following in zip(waits, names[1:], strict=True)
    }
    states["U"] = {"Type": "Wait", "Timestamp": (NOW + timedelta(seconds=30)).isoformat(), "Next": "T"}
    retry = [{"ErrorEquals": ["Broken"], "IntervalSeconds": 8, "MaxAttempts": 1}]
    run = execute({**states, "T": task_state(Retry=retry)}, task=failing(), clock_scale=60)
    assert run.sleeps == [60, 0.5, 0, 30, 8]


@pytest.mark.fidelity(
    "Step Functions",
    "A state's QueryLanguage takes precedence over the machine's.",
    "States Language, Query Languages",
)
def test_a_state_of_its_own_language_in_a_jsonpath_machine() -> None:
    """States Language, "Query Languages": QueryLanguage of a state takes precedence over the machine's."""
    own = {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $states.input.n + 1 %}", "Next": "B"}
    states = {"A": own, "B": {"Type": "Pass", "Parameters": {"n.$": "$"}, "End": True}}
    assert execute(states, {"n": 1}, QueryLanguage="JSONPath").output == {"n": 2}


# --- tasks ---


@pytest.mark.fidelity(
    "Step Functions",
    "TaskScheduled, TaskStarted and TaskSucceeded have their details.",
    "Step Functions API, HistoryEvent",
)
@pytest.mark.parametrize(
    ("resource", "kind", "name"),
    [
        ("arn:aws:states:::lambda:invoke", "lambda", "invoke"),
        ("arn:aws:states:::sagemaker:createTrainingJob.sync", "sagemaker", "createTrainingJob.sync"),
        ("arn:aws:states:::states:startExecution.sync:2", "states", "startExecution.sync:2"),
        ("arn:aws:states:::aws-sdk:ssm:getParameter", "aws-sdk:ssm", "getParameter"),
        (
            "arn:aws:lambda:eu-west-1:000000000000:function:f",
            "lambda",
            "arn:aws:lambda:eu-west-1:000000000000:function:f",
        ),
    ],
)
def test_a_task_is_scheduled_started_and_succeeds(resource: str, kind: str, name: str) -> None:
    """API reference, HistoryEvent: the details of TaskScheduled, TaskStarted and TaskSucceeded."""
    state = task_state(Resource=resource, Arguments={"x": "{% $states.input %}"}, TimeoutSeconds=60, HeartbeatSeconds=9)
    run = execute({"T": state}, 1, payload)
    assert run.output == {"x": 1}
    assert run.types == [f"Task{what}" for what in ("StateEntered", "Scheduled", "Started", "Succeeded", "StateExited")]
    names = {"resourceType": kind, "resource": name}
    assert run.details("TaskScheduled") == [
        {**names, "region": "eu-west-1", "parameters": '{"x":1}', "timeoutInSeconds": 60, "heartbeatInSeconds": 9}
    ]
    assert run.details("TaskStarted") == [names]
    assert run.details("TaskSucceeded") == [{**names, "output": '{"x":1}', "outputDetails": {"truncated": False}}]


def test_a_task_without_deadlines_says_none() -> None:
    scheduled = execute({"T": task_state()}, 1, payload).details("TaskScheduled")[0]
    assert set(scheduled) == {"resourceType", "resource", "region", "parameters"}


def test_a_tasks_error_ends_the_execution() -> None:
    run = execute({"T": task_state()}, task=failing("Lambda.Unknown", "why"))
    assert (run.error.error, run.error.cause) == ("Lambda.Unknown", "why")
    assert run.types[-1] == "TaskFailed"
    names = {"resourceType": "lambda", "resource": "invoke"}
    assert run.details("TaskFailed") == [{**names, "error": "Lambda.Unknown", "cause": "why"}]


@pytest.mark.fidelity(
    "Step Functions",
    "States.Runtime is never retried nor caught by States.ALL.",
    "Step Functions DG, Handling errors in Step Functions workflows",
)
def test_an_integration_that_breaks_is_states_runtime_which_is_never_caught() -> None:
    """Developer Guide, "Handling errors in Step Functions workflows": States.Runtime "isn't retriable"."""

    def task(_call: TaskCall) -> Any:
        raise KeyError("gone")

    every = [{"ErrorEquals": ["States.ALL"], "Next": "D"}]
    run = execute({"T": task_state(Catch=every, Retry=[{"ErrorEquals": ["States.ALL"]}]), "D": DONE}, task=task)
    assert run.error.error == "States.Runtime"
    place = "An error occurred while executing the state 'T' (entered at the event id #1). "
    assert run.error.cause == f"{place}KeyError: 'gone'"
    assert run.sleeps == []


def test_an_error_within_a_branch_says_where_it_occurred_first() -> None:
    inner = branch(In={"Type": "Pass", "Output": "{% $nothing %}", "End": True})
    run = execute({"P": {"Type": "Parallel", "Branches": [inner], "End": True}})
    assert run.error.cause.count("An error occurred while executing the state") == 1
    assert "the state 'In' (entered at the event id #3)" in run.error.cause


@pytest.mark.fidelity(
    "Step Functions",
    "A task over its TimeoutSeconds is States.Timeout.",
    "Step Functions DG, Task workflow state",
)
def test_a_task_that_takes_too_long_is_abandoned() -> None:
    """Developer Guide, "Task workflow state": after TimeoutSeconds the state fails with States.Timeout."""
    stopped, ended = threading.Event(), threading.Event()

    def task(call: TaskCall) -> Any:
        call.attempt.on_abandon(stopped.set)
        stopped.wait(10)
        call.submitted({"too": "late"})
        ended.set()

    run = execute({"T": task_state(TimeoutSeconds="{% 0.01 %}")}, task=task)
    assert run.error.error == "States.Timeout"
    assert run.types[-1] == "TaskTimedOut"
    assert ended.wait(10)
    assert "TaskSubmitted" not in run.types


def test_a_job_tells_that_it_was_submitted() -> None:
    def task(call: TaskCall) -> Any:
        call.submitted({"JobArn": "a"})
        return {"status": "Completed"}

    run = execute({"T": task_state()}, task=task)
    names = {"resourceType": "lambda", "resource": "invoke"}
    submitted = {**names, "output": '{"JobArn":"a"}', "outputDetails": {"truncated": False}}
    assert (run.output, run.details("TaskSubmitted")) == ({"status": "Completed"}, [submitted])


@pytest.mark.fidelity(
    "Step Functions",
    ".waitForTaskToken waits for SendTaskSuccess and takes its output.",
    "Step Functions DG, Wait for a Callback with Task Token",
)
def test_a_callback_waits_for_its_token_and_takes_its_output() -> None:
    """Developer Guide, "Discover service integration patterns": Wait for a Callback with Task Token."""
    tokens = TaskTokens()
    given: list[str] = []
    events: list[dict[str, Any]] = []

    def approve() -> None:
        while not any(event["type"] == "TaskSubmitted" for event in events):
            time.sleep(0.001)
        tokens.succeed(given[0], '{"approved": true}')

    def task(call: TaskCall) -> Any:
        given.append(call.arguments["token"])
        threading.Thread(target=approve, daemon=True).start()
        return {"answer": "of the call, which isn't the task's output"}

    arguments = {"token": "{% $states.context.Task.Token %}"}
    state = task_state(Resource=f"{INVOKE}.waitForTaskToken", Arguments=arguments, Next="After")
    after = {"Type": "Pass", "Output": "{% [$states.input, $exists($states.context.Task)] %}", "End": True}
    run = execute({"T": state, "After": after}, task=task, tokens=tokens, events=events)
    assert run.output == [{"approved": True}, False]
    assert json.loads(run.details("TaskSubmitted")[0]["output"])["answer"]
    assert run.details("TaskStarted") == [{"resourceType": "lambda", "resource": "invoke.waitForTaskToken"}]
    with pytest.raises(TaskTokenError) as late:
        tokens.succeed(given[0], "{}")
    assert late.value.code == "TaskTimedOut"


@pytest.mark.fidelity(
    "Step Functions",
    "HeartbeatSeconds is how long a callback may go without SendTaskHeartbeat.",
    "Step Functions DG, Wait for a Callback with Task Token",
)
def test_a_callback_that_misses_its_heartbeat_ends_and_another_task_has_none() -> None:
    """Same page: HeartbeatSeconds is how long a callback may go without SendTaskHeartbeat."""
    beat = {"HeartbeatSeconds": "{% 0.01 %}"}
    missed = execute({"T": task_state(Resource=f"{INVOKE}.waitForTaskToken", **beat)}, task=lambda _call: None)
    assert (missed.error.error, missed.types[-1]) == ("States.HeartbeatTimeout", "TaskTimedOut")

    def slow(_call: TaskCall) -> Any:
        threading.Event().wait(0.03)
        return "done"

    assert execute({"T": task_state(**beat)}, task=slow).output == "done"


@pytest.mark.fidelity(
    "Step Functions",
    "Input and output of a task, state or execution have at most 256 KiB.",
    "Step Functions DG, Service quotas",
)
def test_what_is_too_large_is_refused_and_256_kib_are_not() -> None:
    """Service quotas: "Maximum input or output size for a task, state, or execution", 256 KiB of data."""
    assert execute({"T": task_state()}, task=lambda _call: BIG).output == BIG
    for run, says in (
        (execute({"T": task_state()}, task=lambda _call: BIG + "x"), "The state/task 'T' returned a result"),
        (execute({"T": task_state(Arguments=BIG + "x")}), "The task 'T' has arguments"),
        (execute({"P": {"Type": "Pass", "Output": BIG + "x", "End": True}}), "The state 'P' returned a result"),
        (execute({"P": {"Type": "Pass", "Assign": {"v": BIG + "x"}, "End": True}}), "The variable 'v' has a value"),
    ):
        assert run.error.error == "States.DataLimitExceeded"
        assert run.error.cause == (f"{says} with a size exceeding the maximum number of bytes service limit (262144).")


# --- retry and catch ---


@pytest.mark.fidelity(
    "Step Functions",
    "A retrier goes before a catcher.",
    "Step Functions DG, Handling errors in Step Functions workflows",
)
def test_a_retry_waits_and_counts_and_a_catcher_takes_the_rest() -> None:
    """Developer Guide, "Handling errors in Step Functions workflows"."""
    retry = [{"ErrorEquals": ["Broken"], "IntervalSeconds": 3, "BackoffRate": 2, "MaxAttempts": 2}]
    catch = [
        {"ErrorEquals": ["Other"], "Next": "Lost"},
        {"ErrorEquals": ["Broken"], "Output": {"e": "{% $states.errorOutput %}", "n": CONTEXT}, "Next": "D"},
    ]
    states = {"T": task_state(Retry=retry, Catch=catch), "D": DONE, "Lost": {"Type": "Fail"}}
    run = execute(states, task=failing())
    assert run.sleeps == [3, 6]
    assert run.output["e"] == {"Error": "Broken", "Cause": "as told"}
    assert run.output["n"]["RetryCount"] == 2
    assert run.types.count("TaskScheduled") == 3
    assert run.types[-3:] == ["TaskStateExited", "SucceedStateEntered", "SucceedStateExited"]


def test_a_retry_that_succeeds_goes_on() -> None:
    answers = iter([StatesError("Broken", ""), "good"])

    def task(_call: TaskCall) -> Any:
        answer = next(answers)
        if isinstance(answer, StatesError):
            raise answer
        return answer

    retry = [{"ErrorEquals": ["States.TaskFailed"]}]
    run = execute({"T": task_state(Retry=retry, Output={"r": "{% $states.result %}", "state": CONTEXT})}, 0, task)
    assert (run.output["r"], run.output["state"]["RetryCount"], run.sleeps) == ("good", 1, [1])


@pytest.mark.fidelity(
    "Step Functions",
    "A failed expression is States.QueryEvaluationError, told in the history, and can be caught.",
    "Step Functions DG, Transforming data with JSONata in Step Functions",
)
def test_an_expression_that_fails_is_told_and_can_be_caught() -> None:
    """Developer Guide, "Transforming data with JSONata": States.QueryEvaluationError."""
    catch = [{"ErrorEquals": ["States.QueryEvaluationError"], "Next": "D"}]
    run = execute({"T": task_state(Output="{% $states.result.no %}", Catch=catch), "D": DONE}, 0, lambda _call: {})
    assert run.output["Error"] == "States.QueryEvaluationError"
    told = run.details("EvaluationFailed")[0]
    assert (told["state"], told["error"]) == ("T", "States.QueryEvaluationError")
    assert "returned nothing (undefined)" in told["cause"]


def test_an_error_of_the_task_is_no_failed_evaluation() -> None:
    assert "EvaluationFailed" not in execute({"T": task_state()}, task=failing()).types


# --- Parallel and Map ---


def parallel(*branches: Any, **fields: Any) -> dict[str, Any]:
    return {"Type": "Parallel", "Branches": list(branches), **({} if "Next" in fields else {"End": True}), **fields}


@pytest.mark.fidelity(
    "Step Functions",
    "A Parallel's output is an array with an element for each branch, in order.",
    "Step Functions DG, Parallel workflow state",
)
def test_parallel_gives_its_branches_outputs_in_their_order() -> None:
    """Developer Guide, "Parallel workflow state": an array with an element for each branch, each with a copy of the
    input; the history of a branch goes on from where the state began."""
    branches = [branch(L={"Type": "Pass", "Output": "{% $states.input.n %}", "End": True}), branch(R=DONE)]
    run = execute({"P": parallel(*branches, Arguments={"n": 5})})
    assert run.output == [5, {"n": 5}]
    assert run.types[:2] == ["ParallelStateEntered", "ParallelStateStarted"]
    assert run.types[-2:] == ["ParallelStateSucceeded", "ParallelStateExited"]
    first = [event for event in run.events if event["type"] in ("PassStateEntered", "SucceedStateEntered")]
    assert [event["previousEventId"] for event in first] == [2, 2]


@pytest.mark.fidelity(
    "Step Functions",
    "A branch that fails stops the others.",
    "Step Functions DG, Parallel workflow state",
)
def test_a_branch_that_fails_stops_the_others_and_the_state_may_retry() -> None:
    """Same page: "if any branch fails … the entire Parallel state is considered to have failed and all its branches
    are stopped"."""
    branches = [branch(Slow={"Type": "Wait", "Seconds": 600, "End": True}), branch(Bad={"Type": "Fail", "Error": "E"})]
    retry = [{"ErrorEquals": ["E"], "MaxAttempts": 1}]
    run = execute({"P": parallel(*branches, Retry=retry)})
    assert run.error.error == "E"
    assert run.types.count("ParallelStateStarted") == 2
    assert run.types.count("WaitStateAborted") == run.types.count("WaitStateEntered")
    assert run.details("ParallelStateFailed") == [{"error": "E", "cause": ""}] * 2
    assert run.sleeps == [1]


def test_an_error_in_a_branch_that_is_no_states_error_is_states_runtime() -> None:
    run = execute({"P": parallel(branch(T={"Type": "Pass", "Output": "{% 1 %}"}))})  # neither Next nor End
    assert run.error.error == "States.Runtime"
    assert "KeyError: 'Next'" in run.error.cause


def each(**fields: Any) -> dict[str, Any]:
    return {"Type": "Map", "ItemProcessor": branch(It=DONE), "End": True, **fields}


@pytest.mark.fidelity(
    "Step Functions",
    "A Map has $states.context.Map.Item, ItemSelector, and its outputs in the items' order.",
    "Step Functions DG, Using Map state in Inline mode",
)
def test_map_runs_once_for_each_item_and_keeps_their_order() -> None:
    """Developer Guide, "Using Map state in Inline mode": $states.context.Map.Item, ItemSelector, and the iterations'
    events."""
    selector = {"v": "{% $states.context.Map.Item.Value %}", "i": "{% $states.context.Map.Item.Index %}"}
    state = each(Items="{% $states.input.list %}", ItemSelector={**selector, "all": "{% $count($states.input.list) %}"})
    run = execute({"M": {**state, "MaxConcurrency": 1}}, {"list": ["a", "b"]})
    assert run.output == [{"v": "a", "i": 0, "all": 2}, {"v": "b", "i": 1, "all": 2}]
    assert run.details("MapStateStarted") == [{"length": 2}]
    iteration = ["MapIterationStarted", "SucceedStateEntered", "SucceedStateExited", "MapIterationSucceeded"]
    assert run.types[:2] == ["MapStateEntered", "MapStateStarted"]
    assert run.types[2:] == [*iteration, *iteration, "MapStateSucceeded", "MapStateExited"]
    for event_type in ("MapIterationStarted", "MapIterationSucceeded"):
        assert run.details(event_type) == [{"name": "M", "index": 0}, {"name": "M", "index": 1}]


def test_without_items_the_input_is_the_array_and_iterator_is_the_older_name() -> None:
    assert execute({"M": each()}, [1, 2]).output == [1, 2]
    older = {key: value for key, value in each().items() if key != "ItemProcessor"}
    assert execute({"M": {**older, "Iterator": branch(It=DONE)}}, [3]).output == [3]
    assert execute({"M": each()}, []).output == []
    assert "needs an array" in execute({"M": each()}, {"a": 1}).error.cause


def started_while_none_ends(limit: dict[str, Any], items: int, expected: int) -> int:
    """How many iterations start before any has ended; none ends until a moment after the last that is expected."""
    started: list[int] = []
    ending = threading.Event()
    counts: list[int] = []

    def task(call: TaskCall) -> Any:
        started.append(call.arguments)
        if len(started) == expected:
            threading.Timer(0.02, ending.set).start()
        assert ending.wait(10)
        counts.append(len(started))

    execute({"M": each(ItemProcessor=branch(T=task_state()), **limit)}, list(range(items)), task)
    return counts[0]


@pytest.mark.fidelity(
    "Step Functions",
    "An inline Map runs at most 40 iterations at once.",
    "Step Functions DG, Using Map state in Inline mode",
)
def test_map_runs_at_most_so_many_at_once() -> None:
    """Same page: MaxConcurrency; in inline mode "up to 40 concurrent iterations", which the default, 0, leaves so."""
    assert started_while_none_ends({"MaxConcurrency": 2}, 5, expected=2) == 2
    assert started_while_none_ends({}, 42, expected=40) == 40
    assert started_while_none_ends({"MaxConcurrency": 0}, 4, expected=4) == 4


def test_an_iteration_that_fails_ends_the_map() -> None:
    choice = {"Type": "Choice", "Choices": [{"Condition": "{% $states.input = 2 %}", "Next": "F"}], "Default": "W"}
    rest = {"F": {"Type": "Fail", "Error": "E"}, "W": {"Type": "Wait", "Seconds": 600, "End": True}}
    processor = branch(C=choice, **rest)
    run = execute({"M": each(ItemProcessor=processor)}, [1, 2])
    assert run.error.error == "E"
    assert run.details("MapIterationFailed") == [{"name": "M", "index": 1}]
    assert run.details("MapIterationAborted") == [{"name": "M", "index": 0}] * run.types.count("MapIterationAborted")
    assert run.types[-1] == "MapStateFailed"


# --- stopping ---


def stopped_in(states: dict[str, Any], task: Any = None) -> Ended:
    """A run that is stopped in its first wait, or by its task."""
    cancellation = Noting(in_sleep=True)

    def stopping(call: TaskCall) -> Any:
        cancellation.cancel()
        return task(call) if task else threading.Event().wait(0.05)

    return execute(states, [1], stopping, cancellation=cancellation)


def test_a_stop_ends_a_wait_and_a_task_and_says_so() -> None:
    waiting = stopped_in({"W": {"Type": "Wait", "Seconds": 1, "Next": "D"}, "D": DONE})
    assert (waiting.cancelled, waiting.types) == (True, ["WaitStateEntered", "WaitStateAborted"])
    working = stopped_in({"T": task_state()})
    assert (working.cancelled, working.types[-1]) == (True, "TaskStateAborted")
    retried = stopped_in({"T": task_state(Retry=[{"ErrorEquals": ["E"]}])}, failing("E"))
    assert (retried.cancelled, retried.types[-1]) == (True, "TaskStateAborted")


def test_a_stop_reaches_branches_and_iterations() -> None:
    both = stopped_in({"P": parallel(branch(T=task_state()), branch(W={"Type": "Wait", "Seconds": 600, "End": True}))})
    assert (both.cancelled, both.types[-1]) == (True, "ParallelStateAborted")
    assert "ParallelStateSucceeded" not in both.types
    mapped = stopped_in({"M": each(ItemProcessor=branch(T=task_state()))})
    assert (mapped.cancelled, mapped.types[-1]) == (True, "MapStateAborted")
    assert mapped.details("MapIterationAborted") == [{"name": "M", "index": 0}]


def test_a_stopped_execution_starts_no_state() -> None:
    cancellation = Noting()
    cancellation.cancel()
    assert execute({"A": DONE}, cancellation=cancellation).types == []
