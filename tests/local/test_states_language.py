"""States, data flow, retries, waits and limits, as the Step Functions Developer Guide describes them."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest
from resources import allow, first_message, unique
from state_machines import StateMachine, machine, status_queue
from waiting import until

GET_ITEM = "arn:aws:states:::dynamodb:getItem"


def failing_task(**fields: object) -> dict[str, object]:
    """A task that always fails: the table doesn't exist."""
    arguments = {"TableName": "no-such-table", "Key": {"k": {"S": "v"}}}
    return {"Type": "Task", "Resource": GET_ITEM, "Arguments": arguments, **fields}


@pytest.mark.fidelity(
    "Step Functions",
    "Output and Assign are there in every state that has them.",
    "Step Functions DG, Transforming data with JSONata; Passing data between states with variables",
)
def test_output_and_assign_of_every_state_that_has_them(aws: Any) -> None:
    m = machine(
        aws,
        {
            "Start": {
                "Type": "Pass",
                "Output": {"n": "{% $states.input.n + 1 %}"},
                "Assign": {"first": "{% $states.input.n %}"},
                "Next": "Wait",
            },
            "Wait": {
                "Type": "Wait",
                "Seconds": "{% $states.input.n - 2 %}",
                "Output": {"n": "{% $states.input.n * 10 %}"},
                "Assign": {"waited": True},
                "Next": "Choose",
            },
            "Choose": {
                "Type": "Choice",
                "Choices": [{"Condition": "{% $states.input.n > 100 %}", "Next": "Wrong"}],
                "Default": "Done",
                "Output": {"n": "{% $states.input.n %}", "branch": "default"},
                "Assign": {"chosen": "{% $states.input.n %}"},
            },
            "Wrong": {"Type": "Fail", "Error": "Wrong", "Cause": "took the wrong branch"},
            "Done": {
                "Type": "Succeed",
                "Output": "{% $merge([$states.input, {'first': $first, 'waited': $waited, 'chosen': $chosen}]) %}",
            },
        },
    )
    assert m.run({"n": 1})["output"] == {"n": 20, "branch": "default", "first": 1, "waited": True, "chosen": 20}


@pytest.mark.fidelity(
    "Step Functions",
    "Assign and Output see variables as they were when the state was entered.",
    "Step Functions DG, Passing data between states with variables",
)
def test_assign_reads_the_variables_as_they_were_when_the_state_was_entered(aws: Any) -> None:
    m = machine(
        aws,
        {
            "A": {"Type": "Pass", "Assign": {"x": 1}, "Next": "B"},
            "B": {"Type": "Pass", "Assign": {"x": "{% $x + 1 %}"}, "Output": "{% $x %}", "End": True},
        },
    )
    assert m.run()["output"] == 1


def test_a_null_is_kept_and_an_undefined_value_fails(aws: Any) -> None:
    m = machine(aws, {"A": {"Type": "Pass", "Output": {"v": "{% $states.input.v %}"}, "End": True}})
    assert m.run({"v": None})["output"] == {"v": None}
    failed = m.run({})
    assert failed["error"] == "States.QueryEvaluationError"
    assert "The JSONata expression '$states.input.v' specified for the field 'Output/v'" in failed["cause"]
    assert "state 'A'" in failed["cause"]


@pytest.mark.fidelity(
    "Step Functions",
    "A Fail state's Error and Cause may be JSONata.",
    "Step Functions DG, Fail workflow state",
)
def test_fail_evaluates_error_and_cause(aws: Any) -> None:
    m = machine(aws, {"F": {"Type": "Fail", "Error": "Broken", "Cause": "{% 'because of ' & $states.input.why %}"}})
    ended = m.run({"why": "rain"})
    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", "Broken", "because of rain")


@pytest.mark.fidelity(
    "Step Functions",
    "A catcher reads $states.errorOutput.",
    "Step Functions DG, Transforming data with JSONata: reserved variable $states",
)
def test_catch_gives_the_error_to_its_output_and_assign(aws: Any) -> None:
    catch = [
        {
            "ErrorEquals": ["States.TaskFailed"],
            "Assign": {"error": "{% $states.errorOutput.Error %}"},
            "Output": {"was": "{% $states.input %}", "cause": "{% $states.errorOutput.Cause %}"},
            "Next": "Caught",
        }
    ]
    m = machine(
        aws,
        {
            "T": failing_task(Catch=catch, End=True),
            "Caught": {"Type": "Pass", "Output": {"in": "{% $states.input %}", "error": "{% $error %}"}, "End": True},
        },
        allow("dynamodb:GetItem"),
    )
    output = m.run({"k": 1})["output"]
    assert output["error"] == "DynamoDB.ResourceNotFoundException"
    assert output["in"]["was"] == {"k": 1}
    assert "Error Code: ResourceNotFoundException" in output["in"]["cause"]


@pytest.mark.fidelity(
    "Step Functions",
    "A retrier's attempts are counted in $states.context.State.RetryCount, and its delay is bounded by "
    "MaxDelaySeconds.",
    "Step Functions DG, Handling errors in Step Functions workflows",
)
def test_retry_counts_and_backs_off_at_most_to_its_maximum(aws: Any) -> None:
    retry = [
        {
            "ErrorEquals": ["DynamoDB.ResourceNotFoundException"],
            "IntervalSeconds": 1,
            "BackoffRate": 10,
            "MaxDelaySeconds": 2,
            "MaxAttempts": 2,
            "JitterStrategy": "NONE",
        }
    ]
    catch = [{"ErrorEquals": ["States.ALL"], "Output": "{% $states.context.State.RetryCount %}", "Next": "Done"}]
    m = machine(
        aws,
        {"T": failing_task(Retry=retry, Catch=catch, End=True), "Done": {"Type": "Succeed"}},
        allow("dynamodb:GetItem"),
    )
    arn = m.start()
    assert m.ended(arn)["output"] == 2
    failures = [event for event in m.history(arn) if event["type"] == "TaskFailed"]
    assert len(failures) == 3
    # 1 s and min(10, 2) s; without MaxDelaySeconds it would be 1 and 10.
    waited = failures[-1]["timestamp"] - failures[1]["timestamp"]
    assert 2 <= waited.total_seconds() < 10


def test_parallel_collects_its_branches_and_inner_variables_stay_inside(aws: Any) -> None:
    def branch(name: str, value: object) -> dict[str, object]:
        state = {"Type": "Pass", "Assign": {"inner": value}, "Output": "{% [$outer, $states.input.n] %}", "End": True}
        return {"StartAt": name, "States": {name: state}}

    m = machine(
        aws,
        {
            "Set": {"Type": "Pass", "Assign": {"outer": "o"}, "Next": "Both"},
            "Both": {
                "Type": "Parallel",
                "Arguments": {"n": 5},
                "Branches": [branch("L", 1), branch("R", 2)],
                "Output": "{% $states.result %}",
                "Next": "Check",
            },
            "Check": {
                "Type": "Pass",
                "Output": {"r": "{% $states.input %}", "seen": "{% $exists($inner) %}"},
                "End": True,
            },
        },
    )
    assert m.run()["output"] == {"r": [["o", 5], ["o", 5]], "seen": False}


def test_a_branch_that_fails_stops_the_others(aws: Any) -> None:
    m = machine(
        aws,
        {
            "Both": {
                "Type": "Parallel",
                "Branches": [
                    {"StartAt": "Slow", "States": {"Slow": {"Type": "Wait", "Seconds": 60, "End": True}}},
                    {"StartAt": "Bad", "States": {"Bad": {"Type": "Fail", "Error": "Bad", "Cause": "c"}}},
                ],
                "Catch": [{"ErrorEquals": ["Bad"], "Next": "Done"}],
                "End": True,
            },
            "Done": {"Type": "Succeed", "Output": "{% $states.input.Error %}"},
        },
    )
    arn = m.start()
    assert m.ended(arn)["output"] == "Bad"
    assert "WaitStateAborted" in [event["type"] for event in m.history(arn)]


def test_map_selects_each_item_and_keeps_their_order(aws: Any) -> None:
    m = machine(
        aws,
        {
            "Each": {
                "Type": "Map",
                "Items": "{% $states.input.list %}",
                "ItemSelector": {
                    "v": "{% $states.context.Map.Item.Value %}",
                    "i": "{% $states.context.Map.Item.Index %}",
                },
                "MaxConcurrency": 2,
                "ItemProcessor": {
                    "StartAt": "Double",
                    "States": {
                        "Double": {"Type": "Pass", "Output": "{% $states.input.v * 2 + $states.input.i %}", "End": True}
                    },
                },
                "End": True,
            }
        },
    )
    assert m.run({"list": [5, 6, 7]})["output"] == [10, 13, 16]


@pytest.mark.fidelity(
    "Step Functions",
    "A result above 256 KiB is States.DataLimitExceeded, which States.ALL doesn't catch.",
    "Step Functions DG, Service quotas; Handling errors",
)
def test_a_result_above_256_kib_is_states_data_limit_exceeded_and_states_all_does_not_catch_it(aws: Any) -> None:
    grow = "{% $join($map([1..300], function($i) { $pad('x', 1000) })) %}"
    m = machine(
        aws,
        {
            "T": failing_task(Catch=[{"ErrorEquals": ["States.ALL"], "Output": grow, "Next": "Done"}], End=True),
            "Done": {"Type": "Succeed"},
        },
        allow("dynamodb:GetItem"),
    )
    ended = m.run()
    assert ended["error"] == "States.DataLimitExceeded"
    assert "'T'" in ended["cause"]


@pytest.mark.fidelity(
    "Step Functions",
    "StartExecution takes 256 KiB of input at most.",
    "Step Functions API, StartExecution: input",
)
def test_an_input_above_256_kib_is_refused(aws: Any) -> None:
    m = machine(aws, {"A": {"Type": "Pass", "End": True}})
    with pytest.raises(m.sfn.exceptions.ClientError, match=r"ValidationException.*262144"):
        m.start({"big": "x" * 270_000})


@pytest.mark.fidelity(
    "Step Functions",
    "A machine's TimeoutSeconds ends an execution as TIMED_OUT.",
    "States Language, Timeouts",
)
def test_a_machine_that_runs_too_long_times_out(aws: Any) -> None:
    m = machine(aws, {"W": {"Type": "Wait", "Seconds": 60, "End": True}}, TimeoutSeconds=1)
    ended = m.run()
    assert (ended["status"], ended["error"]) == ("TIMED_OUT", "States.Timeout")


@pytest.mark.fidelity(
    "Step Functions",
    "The same name and input while it runs answers with the running execution; other input is ExecutionAlreadyExists.",
    "Step Functions API, StartExecution",
)
def test_the_same_name_and_input_is_the_same_execution_while_it_runs(aws: Any) -> None:
    m = machine(aws, {"W": {"Type": "Wait", "Seconds": 60, "End": True}})
    name = unique("run")
    first = m.start({"a": 1}, name)
    assert m.start({"a": 1}, name) == first
    with pytest.raises(m.sfn.exceptions.ExecutionAlreadyExists):
        m.start({"a": 2}, name)
    m.sfn.stop_execution(executionArn=first, error="Enough", cause="by hand")
    ended = m.ended(first)
    assert (ended["status"], ended["error"], ended["cause"]) == ("ABORTED", "Enough", "by hand")
    with pytest.raises(m.sfn.exceptions.ExecutionAlreadyExists):
        m.start({"a": 1}, name)


@pytest.mark.fidelity(
    "Step Functions",
    "The history numbers its events from 1 and tells each state's output and assignedVariables.",
    "Step Functions API, GetExecutionHistory",
)
def test_the_history_tells_each_state_with_its_data(aws: Any) -> None:
    m = machine(aws, {"A": {"Type": "Pass", "Assign": {"v": 1}, "Next": "B"}, "B": {"Type": "Succeed"}})
    arn = m.start({"k": 1})
    m.ended(arn)
    events = m.history(arn)
    assert [event["type"] for event in events] == [
        "ExecutionStarted",
        "PassStateEntered",
        "PassStateExited",
        "SucceedStateEntered",
        "SucceedStateExited",
        "ExecutionSucceeded",
    ]
    assert [event["id"] for event in events] == list(range(1, 7))
    left = events[2]["stateExitedEventDetails"]
    assert (left["name"], json.loads(left["output"]), left["assignedVariables"]) == ("A", {"k": 1}, {"v": "1"})


def test_jsonpath_states_flow_as_before(aws: Any) -> None:
    m = machine(
        aws,
        {
            "A": {"Type": "Pass", "Parameters": {"x.$": "$.n"}, "ResultPath": "$.r", "Next": "C"},
            "C": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.r.x", "NumericGreaterThan": 2, "Next": "Big"}],
                "Default": "Small",
            },
            "Big": {"Type": "Pass", "Result": "big", "End": True},
            "Small": {"Type": "Pass", "OutputPath": "$.r", "End": True},
        },
        QueryLanguage="JSONPath",
    )
    assert m.run({"n": 3})["output"] == "big"
    assert m.run({"n": 1})["output"] == {"x": 1}


@pytest.mark.fidelity(
    "Step Functions",
    "StopExecution ends a wait at once: ABORTED, and ExecutionAborted is the history's last event.",
    "Step Functions API, StopExecution",
)
def test_stopping_ends_a_wait_at_once(aws: Any) -> None:
    m = machine(aws, {"W": {"Type": "Wait", "Seconds": 3600, "End": True}})
    arn = m.start()
    until(lambda: any(event["type"] == "WaitStateEntered" for event in m.history(arn)), "the state")
    m.sfn.stop_execution(executionArn=arn)
    assert m.ended(arn)["status"] == "ABORTED"
    assert m.history(arn)[-1]["type"] == "ExecutionAborted"


@pytest.mark.fidelity(
    "Step Functions",
    "DeleteStateMachine ends what the machine runs.",
    "Step Functions API, DeleteStateMachine",
)
def test_deleting_the_machine_ends_what_it_runs(aws: Any) -> None:
    m = machine(aws, {"W": {"Type": "Wait", "Seconds": 3600, "End": True}})
    url = status_queue(aws, m.arn, "ABORTED")
    arn = m.start()
    m.sfn.delete_state_machine(stateMachineArn=m.arn)
    assert first_message(aws, url)["detail"]["executionArn"] == arn


def test_operations_that_are_not_here_are_refused_by_name(aws: Any) -> None:
    sfn = aws.client("stepfunctions")
    with pytest.raises(sfn.exceptions.ClientError, match="not implemented here: CreateActivity"):
        sfn.create_activity(name="a")


@pytest.mark.fidelity(
    "Step Functions",
    "ValidateStateMachineDefinition lists diagnostics with code and location.",
    "Step Functions API, ValidateStateMachineDefinition",
)
def test_validation_lists_what_is_wrong(aws: Any) -> None:
    definition = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}}
    found = aws.client("stepfunctions").validate_state_machine_definition(definition=json.dumps(definition))
    assert found["result"] == "FAIL"
    assert (found["diagnostics"][0]["code"], found["diagnostics"][0]["location"]) == (
        "MISSING_TRANSITION_TARGET",
        "/States/A/Next",
    )


def made_again(aws: Any) -> StateMachine:
    """A machine under the name of a deleted one, which had an execution."""
    m = machine(aws, {"W": {"Type": "Wait", "Seconds": 3600, "End": True}})
    known = m.sfn.describe_state_machine(stateMachineArn=m.arn)
    m.start()
    m.sfn.delete_state_machine(stateMachineArn=m.arn)
    again = {key: known[key] for key in ("name", "definition", "roleArn")}
    assert m.sfn.create_state_machine(**again)["stateMachineArn"] == m.arn
    return m


def test_an_execution_that_a_crash_cut_off_ends_as_failed_and_a_deleted_one_is_gone(fresh_aws: Any) -> None:
    aws = fresh_aws.start()
    new = made_again(aws)
    assert new.sfn.list_executions(stateMachineArn=new.arn)["executions"] == []
    m = machine(aws, {"W": {"Type": "Wait", "Seconds": 3600, "End": True}})
    url = status_queue(aws, m.arn, "FAILED")
    arn = m.start()
    os.kill(aws.server.pid, signal.SIGKILL)
    again = fresh_aws.start()
    moved = url.replace(aws.server.endpoint_url, again.server.endpoint_url)
    detail = first_message(again, moved)["detail"]
    assert (detail["executionArn"], detail["error"]) == (arn, "States.ServiceRestart")
    sfn = again.client("stepfunctions")
    ended = sfn.describe_execution(executionArn=arn)
    assert ended["status"] == "FAILED"
    assert "stopped while this execution was running" in ended["cause"]
    assert sfn.get_execution_history(executionArn=arn, reverseOrder=True)["events"][0]["type"] == "ExecutionFailed"
    assert sfn.list_executions(stateMachineArn=new.arn)["executions"] == []


def test_a_wait_takes_whole_seconds_or_a_moment(aws: Any) -> None:
    moment = "{% $fromMillis($millis() + 300) %}"
    m = machine(aws, {"W": {"Type": "Wait", "Timestamp": moment, "End": True}})
    arn = m.start()
    m.ended(arn)
    entered, left = (event["timestamp"] for event in m.history(arn) if event["type"].startswith("WaitState"))
    assert (left - entered).total_seconds() >= 0.25
    half = machine(aws, {"W": {"Type": "Wait", "Seconds": "{% 1 / 2 %}", "End": True}})
    assert half.run()["error"] == "States.QueryEvaluationError"


@pytest.mark.fidelity(
    "Step Functions",
    "A Choice without a match and a Default is States.NoChoiceMatched.",
    "Step Functions DG, Choice workflow state",
)
def test_a_choice_that_nothing_matches_fails(aws: Any) -> None:
    choices = [{"Condition": "{% $states.input.n = 1 %}", "Next": "Done"}]
    m = machine(aws, {"C": {"Type": "Choice", "Choices": choices}, "Done": {"Type": "Succeed"}})
    assert m.run({"n": 1})["status"] == "SUCCEEDED"
    assert m.run({"n": 2})["error"] == "States.NoChoiceMatched"


def test_an_inner_scope_may_not_assign_what_the_outer_has(aws: Any) -> None:
    inner = {"StartAt": "In", "States": {"In": {"Type": "Pass", "Assign": {"v": 2}, "End": True}}}
    m = machine(
        aws,
        {
            "Set": {"Type": "Pass", "Assign": {"v": 1}, "Next": "P"},
            "P": {"Type": "Parallel", "Branches": [inner], "End": True},
        },
    )
    ended = m.run()
    assert ended["error"] == "States.Runtime"
    assert "'v' belongs to an outer scope" in ended["cause"]
