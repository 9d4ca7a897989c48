"""Approval by a person, as the launcher does it: questions, answers, late words, and champions that are withdrawn."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_events import MACHINE, package_change, sqs_record, status_change
from common import clock
from common.run_table import RunTable
from common.state import State
from launcher import handler
from launcher.triggers import BadEventError
from memory_aws import Aws, installed

NOW = "2026-11-20T10:11:12.000Z"
GROUP = "arn:aws:sagemaker:us-east-1:123456789012:model-package/prod-digits"
NEW, CHAMPION, BEFORE = f"{GROUP}/3", f"{GROUP}/2", f"{GROUP}/1"
ENVIRONMENT = {
    "PIPELINE": "digits",
    "RUN_TABLE": "runs",
    "STATE_MACHINE_ARN": MACHINE,
    "ENDPOINT_NAME": "prod-digits",
    "DATA_BUCKET": "data",
    "DEAD_LETTERS_URL": "https://sqs/dead-letters",
    "CHANNEL_PREFIXES": '["digits/train/"]',
    "TOPIC_ARN": "arn:topic",
    "ENVIRONMENT": "prod",
}
DECISION = {
    "promote": True, "reason": "better", "metric": "f1", "score": 0.97, "champion_score": 0.95,
    "interval": [0.01, 0.03], "confidence": 0.95, "examples": 200,
}  # fmt: skip
COST = {"instance": "ml.m5.large", "instances": 1, "training_seconds": 61}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    monkeypatch.setattr(clock, "stamp", lambda: NOW)
    found = installed(monkeypatch, **ENVIRONMENT)
    found.sagemaker.approvals |= {
        NEW: ("PendingManualApproval", ""),
        CHAMPION: ("Approved", ""),
        BEFORE: ("Approved", ""),
    }
    return found


def call(event: Any) -> dict[str, Any]:
    return handler.handle(event, None)


def table(aws: Aws) -> RunTable:
    return RunTable(aws.client("dynamodb"), "runs", "digits")


def question(run_id: str, **changes: Any) -> dict[str, Any]:
    told = {"run_id": run_id, "package": NEW, "token": "t0ken", "since": NOW, "seconds": 3600}
    return {"kind": "ask", **told, "decision": DECISION, "cost": COST, **changes}


def waiting(aws: Aws) -> str:
    """A run that waits for approval."""
    run_id = str(call({"kind": "manual"})["run_id"])
    aws.stepfunctions.tokens.add("t0ken")
    aws.sagemaker.made_by[NEW] = run_id
    call({"Records": [sqs_record(question(run_id))]})
    return run_id


def decided(aws: Aws, arn: str, status: str, reason: str) -> None:
    aws.sagemaker.approvals[arn] = status, reason
    call({"Records": [sqs_record(package_change(arn, status))]})


def published(aws: Aws) -> list[dict[str, Any]]:
    return [json.loads(request["Message"]) for request in aws.called("publish")]


def with_champions(aws: Aws, *, before: bool = True) -> None:
    def champion(number: int, package: str) -> dict[str, Any]:
        run_id = f"20261119-10111{number}-beef"
        model = {"run_id": run_id, "model_package_arn": package, "model_data": f"s3://artifacts/{number}"}
        table(aws).write_run(run_id, {"run_id": run_id, "outcome": "Promoted", "candidate": model})
        return {**model, "endpoint_config_name": f"c{number}", "fingerprint": str(number)}

    after = State(champion=champion(2, CHAMPION), previous_champion=champion(1, BEFORE) if before else None)
    table(aws).update(lambda _state: after)


def test_a_question_keeps_the_token_and_tells_what_the_approver_needs(aws: Aws) -> None:
    run_id = waiting(aws)
    assert (table(aws).read_run(run_id) or {})["approval"] == {
        "since": NOW, "until": "2026-11-20T11:11:12.000Z", "package": NEW, "token": "t0ken",
    }  # fmt: skip
    (message,) = published(aws)
    assert message["approve"] == f"ratchet approve {run_id} --reason '…' -e prod"
    assert message["reject"] == f"ratchet reject {run_id} --reason '…' -e prod"
    assert message["report"] == f"ratchet report {run_id} -e prod"
    assert message["decision"]["interval"] == [0.01, 0.03] and message["decision"]["champion_score"] == 0.95
    assert message["cost"] == COST and message["until"] == "2026-11-20T11:11:12.000Z"
    assert "2026-11-20T11:11:12.000Z" in message["message"] and message["approve"] in message["message"]


@pytest.mark.parametrize("status", ["Approved", "Rejected"])
def test_the_registrys_word_lets_the_run_go_on_once(aws: Aws, status: str) -> None:
    run_id = waiting(aws)
    decided(aws, NEW, status, "seen")
    decided(aws, NEW, status, "seen")
    (answer,) = aws.stepfunctions.answered
    assert (answer["status"], answer["reason"]) == (status, "seen")
    assert "token" not in (table(aws).read_run(run_id) or {})["approval"]


def test_what_was_decided_before_the_question_is_not_asked(aws: Aws) -> None:
    aws.sagemaker.approvals[NEW] = "Approved", "quick"
    waiting(aws)
    assert [answer["status"] for answer in aws.stepfunctions.answered] == ["Approved"]
    assert not published(aws)


def test_an_event_only_says_look(aws: Aws) -> None:
    """Whoever sends one that isn't true, or is late, changes nothing."""
    waiting(aws)
    call({"Records": [sqs_record(package_change(NEW, "Approved"))]})
    assert not aws.stepfunctions.answered


def test_a_lost_event_is_made_up_for(aws: Aws) -> None:
    run_id = waiting(aws)
    aws.sagemaker.approvals[NEW] = "Approved", "seen"
    call({"kind": "reconcile"})
    assert [answer["status"] for answer in aws.stepfunctions.answered] == ["Approved"]
    assert (table(aws).read_state().running or {})["run_id"] == run_id


def test_a_run_that_waits_holds_back_no_trigger(aws: Aws) -> None:
    run_id = waiting(aws)
    assert call({"kind": "code"})["run_id"] == run_id
    (answer,) = aws.stepfunctions.answered
    assert answer["status"] == "Superseded" and "(code)" in answer["reason"]


def test_what_came_while_it_trained_supersedes_it_before_anybody_is_asked(aws: Aws) -> None:
    run_id = str(call({"kind": "manual"})["run_id"])
    aws.stepfunctions.tokens.add("t0ken")
    call({"kind": "code"})
    assert not aws.stepfunctions.answered, "it doesn't wait yet"
    call({"Records": [sqs_record(question(run_id))]})
    assert [answer["status"] for answer in aws.stepfunctions.answered] == ["Superseded"]
    assert not published(aws)


def test_a_run_that_has_ended_asks_nobody(aws: Aws) -> None:
    run_id = str(call({"kind": "manual"})["run_id"])
    table(aws).write_run(run_id, {"run_id": run_id, "outcome": "Failed"})
    call({"Records": [sqs_record(question(run_id))]})
    assert not published(aws)


def test_a_run_that_is_stopped_while_it_waits_leaves_no_model_to_approve(aws: Aws) -> None:
    run_id = waiting(aws)
    call(status_change("ABORTED", run_id=run_id))
    record = table(aws).read_run(run_id) or {}
    assert record["outcome"] == "Stopped" and "token" not in record["approval"]
    assert aws.sagemaker.approvals[NEW] == ("Rejected", f"run {run_id}: Stopped while it waited for approval")


def test_a_late_approval_deploys_nothing_and_is_told_once(aws: Aws) -> None:
    run_id = waiting(aws)
    table(aws).write_run(run_id, {"run_id": run_id, "outcome": "Expired"})
    for _ in range(2):
        decided(aws, NEW, "Approved", "sorry")
    said = (table(aws).read_run(run_id) or {})["said_later"]
    assert said["status"] == "Approved" and "nothing is deployed" in said["came_to"]
    assert len(published(aws)) == 2, "the question, and this"
    assert not aws.stepfunctions.answered


def test_a_champion_that_is_rejected_goes_back_to_the_one_before(aws: Aws) -> None:
    with_champions(aws)
    for _ in range(2):
        decided(aws, CHAMPION, "Rejected", "wrong on Sundays")
    running = table(aws).read_state().running or {}
    assert running["trigger"]["kind"] == "rollback"
    assert running["trigger"]["detail"]["to"] == "20261119-101111-beef"
    assert "wrong on Sundays" in running["trigger"]["detail"]["by"]
    assert table(aws).read_state().pending is None, "one rollback is enough"


@pytest.mark.parametrize("before", [True, False])
def test_with_nothing_approved_to_go_back_to_it_goes_on_serving_and_that_is_said(aws: Aws, before: bool) -> None:
    with_champions(aws, before=before)
    aws.sagemaker.approvals[BEFORE] = "Rejected", "older"
    decided(aws, CHAMPION, "Rejected", "wrong")
    assert table(aws).read_state().running is None
    said = (table(aws).read_run("20261119-101112-beef") or {})["said_later"]
    assert "it goes on serving" in said["came_to"]
    assert ("there is no champion before it" in said["came_to"]) is not before
    assert "goes on serving" in published(aws)[0]["message"]


def test_only_what_is_approved_is_brought_back(aws: Aws) -> None:
    with_champions(aws)
    aws.s3.objects["artifacts", "1"] = b""
    aws.sagemaker.endpoints["prod-digits"] = [{"EndpointStatus": "InService", "EndpointConfigName": "c2"}]
    aws.sagemaker.approvals[BEFORE] = "Rejected", "older"
    with pytest.raises(ValueError, match=r"is Rejected in the model registry \(older\), and only what is approved"):
        call({"kind": "rollback"})
    aws.sagemaker.approvals[BEFORE] = "Approved", ""
    assert call({"kind": "rollback"})["status"] == "started"


@pytest.mark.parametrize(
    "changes",
    [
        {"run_id": "r1"},
        {"package": "arn:aws:s3:::a"},
        {"token": None},
        {"since": "yesterday"},
        {"seconds": 0},
        {"seconds": True},
        {"decision": []},
        {"cost": {"a": float("nan")}},
    ],
)
def test_what_is_no_question_is_refused(aws: Aws, changes: dict[str, Any]) -> None:
    with pytest.raises(BadEventError, match="a question for approval"):
        call({**question("20261120-101112-abcd"), **changes})
    assert not aws.called("publish")


@pytest.mark.parametrize("arn", [None, 1, "arn:aws:sagemaker:us-east-1:123456789012:model/x", f"{NEW}\n"])
def test_a_package_without_its_name_is_refused(aws: Aws, arn: Any) -> None:
    with pytest.raises(BadEventError, match="ModelPackageArn"):
        call(package_change(NEW, ModelPackageArn=arn))
    assert not aws.called("describe_model_package")
