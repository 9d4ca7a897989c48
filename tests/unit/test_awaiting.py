"""A run waits for its endpoint by an event: the launcher's part, the machine's, and all that may become of an event."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aws_events import MACHINE, endpoint_change, sqs_record
from common import clock
from common.run_table import RunTable
from ends_world import Ends, ends
from launcher import handler
from memory_aws import Aws, installed
from run_world import World, in_service, make_spec, run

from localaws.states.errors import StatesError

__all__ = ["ends"]

SINCE, LATER = "2026-11-20T10:11:12.000Z", "2026-11-20T10:12:12.000Z"
ENVIRONMENT = {
    "PIPELINE": "digits",
    "RUN_TABLE": "runs",
    "STATE_MACHINE_ARN": MACHINE,
    "ENDPOINT_NAME": "prod-digits",
    "DATA_BUCKET": "data",
    "DEAD_LETTERS_URL": "https://sqs/dead-letters",
    "CHANNEL_PREFIXES": '["digits/train/"]',
}
UPDATING = {"EndpointStatus": "Updating", "EndpointConfigName": "old"}
READY = {"EndpointStatus": "InService", "EndpointConfigName": "new"}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    monkeypatch.setattr(clock, "stamp", lambda: SINCE)
    return installed(monkeypatch, **ENVIRONMENT)


def call(event: Any) -> dict[str, Any]:
    return handler.handle(event, None)


def delivered(event: Any) -> dict[str, Any]:
    return call({"Records": [sqs_record(event)]})


def table(aws: Aws) -> RunTable:
    return RunTable(aws.client("dynamodb"), "runs", "digits")


def waits(aws: Aws, *looks: dict[str, Any], **changes: Any) -> str:
    """A run that has seen the endpoint updating; the launcher's own looks find `looks`."""
    run_id = str(call({"kind": "manual"})["run_id"])
    aws.stepfunctions.tokens.add("t0ken")
    aws.sagemaker.endpoints["prod-digits"] = list(looks or (UPDATING,))
    delivered(message(run_id, **changes))
    return run_id


def message(run_id: str, /, **changes: Any) -> dict[str, Any]:
    seen = {"status": "Updating", "config": "old"}
    return {"kind": "await", "run_id": run_id, "token": "t0ken", "since": SINCE, **seen, **changes}


def kept(aws: Aws, run_id: str) -> Any:
    return (table(aws).read_run(run_id) or {}).get("awaits_endpoint")


def heard(status: str = "IN_SERVICE", **changes: Any) -> dict[str, Any]:
    return delivered(endpoint_change(status, **{"name": "prod-digits", **changes}))


# -------------------------------------------------------------------------------------------------- the launcher's part


def test_a_token_is_kept_while_the_endpoint_is_as_the_run_has_seen_it(aws: Aws) -> None:
    run_id = waits(aws)
    assert kept(aws, run_id) == {"token": "t0ken", "since": SINCE, "status": "Updating", "config": "old"}
    assert not aws.stepfunctions.answered


@pytest.mark.fidelity(
    "EventBridge",
    "SageMaker Endpoint State Change and …Deployment State Change name the endpoint and its status, in capitals.",
    "SageMaker DG, Events that Amazon SageMaker AI sends to Amazon EventBridge",
)
@pytest.mark.parametrize("kind", ["SageMaker Endpoint State Change", "SageMaker Endpoint Deployment State Change"])
@pytest.mark.parametrize("status", ["IN_SERVICE", "OUT_OF_SERVICE", "FAILED", "UPDATE_ROLLBACK_FAILED"])
def test_the_end_of_a_change_lets_the_run_go_on(aws: Aws, kind: str, status: str) -> None:
    run_id = waits(aws)
    assert heard(status, detail_type=kind) == {"batchItemFailures": []}
    assert aws.stepfunctions.answered == [{}] and kept(aws, run_id) is None


@pytest.mark.parametrize("status", ["CREATING", "UPDATING", "SYSTEM_UPDATING", "ROLLING_BACK", "DELETING", None, 3])
def test_a_stage_in_between_lets_nobody_go_on(aws: Aws, status: Any) -> None:
    waits(aws)
    assert heard(status) == {"batchItemFailures": []}
    assert not aws.stepfunctions.answered and not aws.called("send_message")


def test_another_endpoint_is_nobodys_business(aws: Aws) -> None:
    waits(aws)
    heard(name="prod-churn")
    assert not aws.stepfunctions.answered


def test_an_event_that_comes_twice_is_answered_once(aws: Aws) -> None:
    waits(aws)
    for _ in range(2):
        assert heard() == {"batchItemFailures": []}
    assert aws.stepfunctions.answered == [{}] and len(aws.called("send_task_success")) == 1


@pytest.mark.parametrize(
    "now",
    [
        READY,
        {"EndpointStatus": "InService", "EndpointConfigName": "old"},
        {"EndpointStatus": "Failed", "EndpointConfigName": "old"},
    ],
)
def test_an_event_that_came_before_the_token_is_made_up_for(aws: Aws, now: dict[str, str]) -> None:
    run_id = waits(aws, now)
    assert aws.stepfunctions.answered == [{}] and kept(aws, run_id) is None


def test_an_endpoint_that_is_gone_has_changed(aws: Aws) -> None:
    run_id = str(call({"kind": "manual"})["run_id"])
    aws.stepfunctions.tokens.add("t0ken")
    delivered(message(run_id, status="Deleting"))
    assert aws.stepfunctions.answered == [{}]


def test_an_endpoint_that_was_missing_and_still_is_has_not(aws: Aws) -> None:
    run_id = str(call({"kind": "manual"})["run_id"])
    aws.stepfunctions.tokens.add("t0ken")
    unseen = message(run_id)
    delivered({name: value for name, value in unseen.items() if name not in ("status", "config")})
    assert not aws.stepfunctions.answered and kept(aws, run_id) == {"token": "t0ken", "since": SINCE}


def test_a_lost_event_is_made_up_for_by_the_regular_look(aws: Aws) -> None:
    """The machine's own look comes before, mostly."""
    waits(aws, UPDATING, READY)
    call({"kind": "reconcile"})
    assert aws.stepfunctions.answered == [{}]


def test_a_wait_that_is_over_is_no_error(aws: Aws) -> None:
    """The machine has looked by itself: TaskTimedOut, or TaskDoesNotExist."""
    run_id = waits(aws)
    aws.stepfunctions.tokens.clear()
    assert heard() == {"batchItemFailures": []}
    assert aws.called("send_task_success") and kept(aws, run_id) is None


def test_a_run_that_has_ended_is_waited_for_by_nobody(aws: Aws) -> None:
    run_id = waits(aws)
    table(aws).write_run(run_id, {"run_id": run_id, "outcome": "Promoted"})
    assert delivered(message(run_id)) == {"batchItemFailures": []}
    assert kept(aws, run_id) is None, "a record is left alone"


def test_an_earlier_wait_that_comes_late_takes_no_later_ones_place(aws: Aws) -> None:
    """SQS may bring a message twice, and out of order."""
    run_id = waits(aws, UPDATING, UPDATING, since=LATER)
    delivered(message(run_id, token="old"))
    assert kept(aws, run_id)["token"] == "t0ken"
    delivered(message(run_id, token="newer", since="2026-11-20T10:13:12.000Z"))
    assert kept(aws, run_id)["token"] == "newer"


def test_an_endpoint_that_cannot_be_looked_at_leaves_the_wait(aws: Aws) -> None:
    aws.refuse("describe_endpoint", "ThrottlingException", "Rate exceeded")
    run_id = str(call({"kind": "manual"})["run_id"])
    aws.stepfunctions.tokens.add("t0ken")
    assert delivered(message(run_id)) == {"batchItemFailures": []}, "and the message needn't come again"
    assert kept(aws, run_id) and not aws.stepfunctions.answered


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("run_id", "x", "of run 'x'"),
        ("since", "yesterday", "since 'yesterday'"),
        ("token", 3, "whose token is 3"),
        ("status", ["Updating"], "whose status is"),
        ("config", "\ud800", "whose config is"),
    ],
)
def test_a_wait_that_is_none_of_the_machines_is_set_aside(aws: Aws, field: str, value: Any, told: str) -> None:
    delivered(message("20261120-101112-abcd", **{field: value}))
    (sent,) = aws.called("send_message")
    reason = sent["MessageAttributes"]["Reason"]["StringValue"]
    assert reason.startswith("a wait for the endpoint") and told in reason


# --------------------------------------------------------------------------------------------------- the machine's part


def test_the_machine_says_what_it_has_seen_and_looks_when_it_is_answered(tmp_path: Path) -> None:
    world = World()
    seen = [{"EndpointStatus": "Creating", "EndpointConfigName": "c"}]
    world.answers["describeEndpoint"] = [
        StatesError("SageMaker.SageMakerException", 'Could not find endpoint "x".'),
        *seen,
        lambda _arguments: in_service(world.on),
    ]
    ran = run(make_spec(tmp_path), world)
    assert ran.states[ran.states.index("CreateEndpoint") :][:6] == [
        "CreateEndpoint", "AwaitEndpoint", "EndpointReady", "WaitForEndpoint", "AwaitEndpoint", "EndpointReady",
    ]  # fmt: skip
    (sent,) = ran.called("sendMessage")
    told = json.loads(sent["MessageBody"])
    assert told.keys() == {"kind", "run_id", "token", "since", "status", "config"}
    assert (told["kind"], told["status"], told["config"]) == ("await", "Creating", "c")
    assert ran.recorded["outcome"] == "Promoted"


@pytest.mark.parametrize(
    ("error", "states"),
    [("States.Timeout", ["AwaitEndpoint"]), ("SQS.QueueDoesNotExist", ["WaitForEndpointUnheard", "AwaitEndpoint"])],
)
def test_a_wait_that_nobody_answers_leads_to_a_look_and_no_failure(
    tmp_path: Path, error: str, states: list[str]
) -> None:
    world = World()
    world.answers["describeEndpoint"] = [
        StatesError("SageMaker.SageMakerException", 'Could not find endpoint "x".'),
        {"EndpointStatus": "Creating", "EndpointConfigName": "c"},
        lambda _arguments: in_service(world.on),
    ]
    world.answers["sendMessage"] = StatesError(error, "")
    ran = run(make_spec(tmp_path), world)
    after = ran.states.index("WaitForEndpoint") + 1
    assert ran.states[after : after + len(states)] == states
    assert ran.recorded["outcome"] == "Promoted" and ran.recorded["failure"] is None


# --------------------------------------------------------------------------------------------------------- both of them


@pytest.mark.parametrize("hears", [True, False], ids=["heard", "lost"])
def test_a_deployment_and_its_undoing_need_no_event(ends: Ends, hears: bool) -> None:
    ends.hears = hears
    promoted = ends.run()
    assert ends.record(promoted)["outcome"] == "Promoted"
    ends.lies = True
    assert ends.record(ends.run())["outcome"] == "RolledBack"
    ends.assert_agreed()
    assert (ends.state.champion or {})["run_id"] == promoted
    assert not [True for run_id in ends.runs if "awaits_endpoint" in ends.record(run_id)]
