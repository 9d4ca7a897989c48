"""The launcher as Lambda calls it: events in, executions of a real client's shape, answers out."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from aws_events import MACHINE, object_created, sqs_record, status_change
from common import clock
from common.run_table import RunTable
from common.state import State
from hypothesis import given, settings
from hypothesis import strategies as st
from launcher import handler
from launcher.launcher import ExecutionMissingError, last_record
from launcher.triggers import BadEventError, Ended
from memory_aws import Aws, Crash, installed

NOW = "2026-11-20T10:11:12.000Z"
ENVIRONMENT = {
    "PIPELINE": "digits",
    "RUN_TABLE": "runs",
    "STATE_MACHINE_ARN": MACHINE,
    "ENDPOINT_NAME": "local-digits",
    "DATA_BUCKET": "amzn-s3-demo-bucket1",
    "DEAD_LETTERS_URL": "https://sqs/dead-letters",
    "CHANNEL_PREFIXES": '["digits/train/", "digits/test/"]',
}
EXECUTION = MACHINE.replace(":stateMachine:", ":execution:")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    monkeypatch.setattr(clock, "stamp", lambda: NOW)
    return installed(
        monkeypatch,
        **ENVIRONMENT,
    )


def call(event: Any) -> dict[str, Any]:
    return handler.handle(event, None)


def executions(aws: Aws) -> dict[str, Any]:
    found: dict[str, Any] = aws.stepfunctions.executions
    return found


def table(aws: Aws) -> RunTable:
    return RunTable(aws.client("dynamodb"), "runs", "digits")


def test_a_trigger_is_answered_with_the_run_that_it_started(aws: Aws) -> None:
    answer = call({"kind": "manual", "detail": {"who": "me"}, "forced": True})
    assert answer.keys() == {"status", "run_id", "execution_arn"}
    assert answer["status"] == "started"
    assert answer["execution_arn"] == f"{EXECUTION}:{answer['run_id']}"
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{4}", answer["run_id"])
    (execution,) = executions(aws).values()
    assert json.loads(execution["input"]) == {
        "pipeline": "digits",
        "run_id": answer["run_id"],
        "trigger": {"kind": "manual", "at": NOW, "detail": {"who": "me"}},
        "forced": True,
        "supersede": False,
        "tune": False,
        "drift": False,
    }
    item = table(aws).read_run(answer["run_id"])
    assert item == {
        "pipeline": "digits",
        "item": f"run#{answer['run_id']}",
        "run_id": answer["run_id"],
        "outcome": "Running",
        "trigger": {"kind": "manual", "at": NOW, "detail": {"who": "me"}},
        "started_at": NOW,
        "execution_arn": answer["execution_arn"],
    }


def test_a_trigger_during_a_run_is_answered_with_that_run(aws: Aws) -> None:
    first = call({"kind": "manual"})
    again = call({"kind": "code"})
    assert again == {**first, "status": "pending"}
    assert len(executions(aws)) == 1


def test_the_end_of_a_run_starts_what_waited(aws: Aws) -> None:
    first = call({"kind": "manual"})
    call({"kind": "code"})
    executions(aws)[first["execution_arn"]]["status"] = "SUCCEEDED"
    assert call(status_change("SUCCEEDED", run_id=first["run_id"])) == {"status": "done"}
    assert len(executions(aws)) == 2


def test_nothing_of_ours_is_done_nothing_about(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(object_created("elsewhere/a.csv")) == {"status": "done"}
    assert not executions(aws) and not aws.calls
    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["function"]) == ("ignored", "launcher")
    assert line["reason"] == "elsewhere/a.csv lies under none of digits/train/, digits/test/"


def test_an_event_that_cannot_be_read_is_raised(aws: Aws) -> None:
    with pytest.raises(BadEventError, match="starts nothing"):
        call({"source": "aws.ec2"})


def test_a_batch_is_answered_with_what_failed(aws: Aws) -> None:
    records = [sqs_record(object_created(), 1), sqs_record(status_change("SUCCEEDED"), 2)]
    aws.refuse("get_item", "ProvisionedThroughputExceededException")
    answer = call({"Records": records})
    assert answer == {"batchItemFailures": [{"itemIdentifier": records[place]["messageId"]} for place in (1, 0)]}


@pytest.mark.fidelity(
    "SQS",
    "SendMessage takes a body as it was received, with an attribute of text.",
    "SQS API reference, SendMessage",
)
@pytest.mark.parametrize(
    ("poison", "said"),
    [
        ("not json", "Expecting value"),
        ("[" * 100_000, "nests too deeply"),
        ('{"kind": ' + "[" * 900 + "]" * 900 + "}", "no trigger is of kind a JSON array"),
        (object_created(key=5), "object.key is no text: 5"),  # type: ignore[arg-type]
        (object_created(key="digits/train/\ud800"), "lone surrogate"),
        (object_created(key="digits/train/" + "x" * 1012), "longer than the 1024 bytes"),
        (object_created(bucket={"name": None}), "bucket.name is no text, but None"),
        (status_change(executionArn=None), "executionArn is none of"),
        (status_change(executionArn="arn:aws:states:us-east-1:1:execution:another:r"), "executionArn is none of"),
        ({"kind": "manual", "detail": {"a": 10**40}}, "a number of more than 38 digits"),
        ({"kind": "manual", "detail": {"a": float("inf")}}, "a number that can't be stored (inf)"),
        ({"kind": "manual", "detail": {"a": float("nan")}}, "a number that can't be stored (nan)"),
        ({"kind": "manual", "detail": {"": 1}}, "a name without letters"),
        ({"kind": "manual", "detail": {"\udfff": 1}}, "half of a character"),
        ({"kind": "rollback", "detail": {"to": 7}}, "a run's id, not 7"),
        ({"kind": "rollback", "detail": {"to": "nowhere"}}, "there is no run 'nowhere'"),
        ({"kind": "rollback", "detail": {"to": "x" * 2_000}}, "a run's id, not 'xxx"),
        ({"kind": "repair", "detail": {"after": "x" * 2_000}}, "a repair's after is the id of the run before it"),
        ({"kind": "repair", "detail": {"after": {"to": 1}}}, "the run before it, not a JSON object"),
    ],
)
def test_a_message_that_cannot_be_read_is_set_aside_at_once(aws: Aws, poison: Any, said: str) -> None:
    """The good one beside it starts its run, and nothing is tried five times, six minutes each."""
    records = [sqs_record(poison, 1), sqs_record(object_created(), 2)]
    assert call({"Records": records}) == {"batchItemFailures": []}
    assert len(executions(aws)) == 1
    (sent,) = aws.called("send_message")
    assert (sent["QueueUrl"], sent["MessageBody"]) == ("https://sqs/dead-letters", records[0]["body"])
    assert said in sent["MessageAttributes"]["Reason"]["StringValue"]


def test_a_message_that_cannot_be_set_aside_comes_again(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    aws.refuse("send_message", "AWS.SimpleQueueService.NonExistentQueue")
    records = [sqs_record("not json", 1), sqs_record(object_created(), 2)]
    assert call({"Records": records}) == {"batchItemFailures": [{"itemIdentifier": records[0]["messageId"]}]}
    assert len(executions(aws)) == 1
    assert '"event": "not set aside"' in capsys.readouterr().out


@pytest.mark.parametrize("records", ["x", None, [5], [{"body": "{}"}], [{"messageId": "m"}], {"a": 1}])
def test_records_that_are_none_of_sqs_are_refused(aws: Aws, records: Any) -> None:
    with pytest.raises(BadEventError, match="Records is a list of SQS's messages"):
        call({"Records": records})
    assert not aws.calls


def test_an_object_of_another_bucket_starts_nothing(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    """Its rule asks for our bucket, but whoever may send to the queue may say what they like."""
    forged = object_created(bucket={"name": "somebody-elses"})
    assert call({"Records": [sqs_record(forged)]}) == {"batchItemFailures": []}
    assert not executions(aws) and not aws.called("send_message")
    told = "'digits/train/a.csv' lies in another bucket, 'somebody-elses', not in amzn-s3-demo-bucket1"
    assert json.loads(capsys.readouterr().out)["reason"] == told


# Anything that a message may say, in the places that are read.
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@st.composite
def documents(draw: st.DrawFn) -> Any:
    """One of the launcher's documents, a part of which says something else."""
    some = [object_created(), status_change(), {"kind": "manual", "detail": {"a": {}}}, {"kind": "rollback"}]
    document = draw(st.sampled_from(some))
    for _ in range(draw(st.integers(0, 3))):
        place: Any = document
        while isinstance(place, dict) and place:
            name = draw(st.sampled_from(sorted(place)))
            if not isinstance(place[name], dict) or draw(st.booleans()):
                place[name] = draw(anything)
                break
            place = place[name]
    return draw(st.sampled_from([document, draw(anything)]))


@given(body=documents())
@settings(max_examples=150, deadline=None)
def test_whatever_a_message_says_the_good_one_beside_it_starts_a_run(body: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        aws = installed(patch, **ENVIRONMENT)
        answer = call({"Records": [sqs_record(body, 1), sqs_record({"kind": "schedule"}, 2)]})
    assert answer == {"batchItemFailures": []}
    assert len(executions(aws)) == 1


@pytest.mark.parametrize(("count", "repaired"), [(1, False), (2, True), (3, True)])
def test_a_message_that_comes_again_finishes_what_was_left(aws: Aws, count: int, repaired: bool) -> None:
    """The run was written down, and the function was gone before it was started."""
    aws.refuse("start_execution", "StateMachineDeleting")
    with pytest.raises(Exception, match="StateMachineDeleting"):
        call({"kind": "manual"})
    del aws.client("stepfunctions").refusals["start_execution"]
    assert not executions(aws)
    record = sqs_record(object_created("elsewhere/a.csv"), receive_count=count)
    assert call({"Records": [record]}) == {"batchItemFailures": []}
    assert bool(executions(aws)) == repaired


def test_a_record_without_a_count_is_a_first_one(aws: Aws) -> None:
    call({"kind": "manual"})
    record = sqs_record({"kind": "manual"})
    del record["attributes"]
    assert call({"Records": [record]}) == {"batchItemFailures": []}
    assert not aws.called("describe_execution")


def test_a_reconcile_that_fails_is_no_messages_fault(aws: Aws) -> None:
    call({"kind": "manual"})
    aws.refuse("describe_execution", "AccessDeniedException")
    answer = call({"Records": [sqs_record({"kind": "manual"}, receive_count=2)]})
    assert answer == {"batchItemFailures": []}


def test_a_batch_that_cannot_be_written_comes_again_whole(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    aws.refuse("put_item", "AccessDeniedException", "no one may")
    records = [sqs_record(object_created(), 1), sqs_record({"kind": "manual"}, 2)]
    failed = call({"Records": records})["batchItemFailures"]
    assert [entry["itemIdentifier"] for entry in failed] == [record["messageId"] for record in records]
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (line["event"], line["level"]) == ("failed", "ERROR")
    assert "no one may" in line["error"] and line["error"].startswith("ClientError: ")
    assert line["messages"] == [record["messageId"] for record in records]


@pytest.mark.parametrize("crash", range(1, 11))
def test_a_trigger_cut_off_anywhere_starts_one_run_at_last(aws: Aws, crash: int) -> None:
    aws.crash_at(crash)
    with pytest.raises(Crash):
        call({"kind": "manual"})
    aws.undisturbed()
    call({"kind": "manual"})
    call({"kind": "reconcile"})
    assert len(executions(aws)) == 1
    (arn,) = executions(aws)
    assert (table(aws).read_run(arn.rpartition(":")[2]) or {})["outcome"] == "Running"


# ---------------------------------------------------------------------------------------------------- the machine


@pytest.fixture
def machine(aws: Aws) -> handler.StateMachine:
    return handler.StateMachine(aws.client("stepfunctions"), MACHINE)


def test_an_execution_is_started_once_by_its_name(aws: Aws, machine: handler.StateMachine) -> None:
    machine.start("r", {"a": 1})
    machine.start("r", {"a": 1})
    executions(aws)[machine.arn("r")]["status"] = "SUCCEEDED"
    machine.start("r", {"a": 1})
    assert list(executions(aws)) == [f"{EXECUTION}:r"]
    assert executions(aws)[machine.arn("r")]["status"] == "SUCCEEDED"


def test_an_execution_is_described(aws: Aws, machine: handler.StateMachine) -> None:
    with pytest.raises(ExecutionMissingError, match=re.escape(machine.arn("r"))):
        machine.describe(machine.arn("r"))
    machine.start("r", {})
    assert machine.describe(machine.arn("r")) is None
    executions(aws)[machine.arn("r")]["status"] = "PENDING_REDRIVE"
    assert machine.describe(machine.arn("r")) is None
    executions(aws)[machine.arn("r")].update(status="FAILED", error="E", cause="c")
    assert machine.describe(machine.arn("r")) == Ended(machine.arn("r"), "FAILED", "E", "c")
    executions(aws)["x"] = {"status": "SUCCEEDED"}
    assert machine.describe("x") == Ended("x", "SUCCEEDED", "", "")


# ------------------------------------------------------------------------------------------------- the last record


@pytest.mark.parametrize(
    ("status", "error", "cause", "record"),
    [
        ("ABORTED", "", "", ("Stopped", "ABORTED", "the execution was stopped (StopExecution)", False)),
        ("ABORTED", "E", "by me", ("Stopped", "E", "by me", False)),
        ("TIMED_OUT", "", "", ("Failed", "TIMED_OUT", "the execution ran into its time limit", False)),
        ("SUCCEEDED", "", "", ("Failed", "SUCCEEDED", "the execution ended without a record", False)),
        ("FAILED", "", "", ("Failed", "FAILED", "the execution failed and gave no cause", True)),
        ("FAILED", "States.Runtime", "x", ("Failed", "States.Runtime", "x", True)),
        ("FAILED", "NotRecorded", "x", ("Failed", "NotRecorded", "x", False)),
    ],
)
def test_the_end_of_a_run_that_could_not_be_recorded(status: str, error: str, cause: str, record: Any) -> None:
    written = last_record({"run_id": "r"}, Ended("arn", status, error, cause), State(), NOW)
    outcome, name, why, cut_off = record
    assert written == {
        "run_id": "r",
        "outcome": outcome,
        "ended_at": NOW,
        "error": {"state": "", "error": name, "cause": why},
        "cut_off": cut_off,
    }
