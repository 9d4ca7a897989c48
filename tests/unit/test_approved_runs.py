"""The story of a run that waits for a person: the real machine, interpreted, with a launcher that answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from run_world import CHAMPION, PLAN, QUEUE_URL, RUN_ID, World, definition, make_spec, run, surroundings
from test_run_grants import lines

from infra.workflow.machine import run_machine
from infra.workflow.steps.plan import spec_hash
from localaws.states.errors import StatesError

MANUAL = {"approval": "manual"}
PACKAGE = "arn:aws:sagemaker:us-east-1:000000000000:model-package/local-digits-forest/2"
EXPIRED = StatesError("States.Timeout", "")


def answered(registry: str, reason: str = "seen") -> dict[str, Any]:
    """What AWS answers; the queue's answer is no end of the task, which the launcher's word is (`wait`)."""
    return {"describeModelPackage": {"ModelApprovalStatus": registry, "ApprovalDescription": reason}}


class Waiting(World):
    """A machine whose question is answered at once: the interpreter's own waiting has tests of its own."""

    said: Any = None

    def wait(self, arguments: Any) -> Any:
        message = json.loads(arguments["MessageBody"])
        assert arguments["QueueUrl"] == QUEUE_URL and message["token"]
        if isinstance(self.said, StatesError):
            raise self.said
        return self.said


def story(tmp_path: Path, said: Any, registry: str = "Approved", **how: Any) -> Any:
    world = Waiting(plan={**PLAN, "champion": CHAMPION, **how.pop("plan", {})}, on=CHAMPION["endpoint_config_name"])
    world.said = said
    world.answers = {**answered(registry), "sendMessage": world.wait}
    spec = make_spec(tmp_path, **{**MANUAL, **how.pop("spec", {})})
    return run(spec, world, **how)


def test_a_model_is_registered_as_waiting_and_the_launcher_is_asked(tmp_path: Path) -> None:
    ran = story(tmp_path, {"status": "Approved"})
    assert ran.called("createModelPackage")[0]["ModelApprovalStatus"] == "PendingManualApproval"
    message = json.loads(ran.called("sendMessage")[0]["MessageBody"])
    assert message.keys() == {"kind", "run_id", "package", "token", "since", "seconds", "decision", "cost"}
    assert (message["kind"], message["run_id"], message["package"]) == ("ask", RUN_ID, PACKAGE)
    assert message["seconds"] == 7 * 24 * 3600 and message["decision"]["score"] == 0.97
    assert message["cost"]["instance"] == "ml.m5.large"


def test_what_is_approved_is_deployed(tmp_path: Path) -> None:
    ran = story(tmp_path, {"status": "Approved"})
    assert ran.recorded["outcome"] == "Promoted"
    assert ran.recorded["approval"] == {"status": "Approved", "reason": "seen"}


@pytest.mark.parametrize("registry", ["Rejected", "PendingManualApproval"])
def test_only_what_the_registry_calls_approved_is_deployed(tmp_path: Path, registry: str) -> None:
    """Whatever the token was answered with."""
    ran = story(tmp_path, {"status": "Approved"}, registry)
    assert ran.recorded["outcome"] == "Rejected" and ran.recorded["failure"] is None
    assert ran.recorded["approval"]["status"] == registry
    assert not ran.called("createModel") and not ran.called("updateEndpoint")


def test_nobodys_word_is_no_approval(tmp_path: Path) -> None:
    ran = story(tmp_path, EXPIRED, spec={"approval": {"manual": True, "expires": "2h"}})
    assert ran.recorded["outcome"] == "Expired" and ran.recorded["failure"] is None
    assert ran.recorded["approval"]["reason"] == "nobody has decided within 7200 seconds"
    assert not ran.called("createModel")


def test_a_newer_run_ends_the_one_that_waits(tmp_path: Path) -> None:
    ran = story(tmp_path, {"status": "Superseded", "reason": "newer"})
    assert ran.recorded["outcome"] == "Superseded" and ran.recorded["approval"]["reason"] == "newer"
    assert not ran.called("createModel")


def test_a_question_that_nobody_gets_is_a_failure(tmp_path: Path) -> None:
    ran = story(tmp_path, StatesError("SQS.AmazonSQSException", "not authorized"))
    assert ran.recorded["failure"]["state"] == "Approve" and not ran.called("createModel")


@pytest.mark.parametrize(("registry", "outcome"), [("Approved", "Promoted"), ("Rejected", None)])
def test_a_rollback_is_asked_of_nobody_but_its_model_must_be_approved(
    tmp_path: Path, registry: str, outcome: str | None
) -> None:
    candidate = {**CHAMPION, "run_id": "20261118-101112-cafe"}
    back = {"outcome": "Rollback", "candidate": candidate, "decision": {"promote": True, "reason": "back"}}
    ran = story(tmp_path, None, registry, plan=back, kind="rollback")
    assert ran.recorded["outcome"] == outcome and not ran.called("sendMessage")
    if outcome is None:
        assert "is Rejected in the model registry: approve it first" in ran.recorded["failure"]["cause"]


def test_a_batch_is_answered_by_the_champion_then(tmp_path: Path) -> None:
    deploy = {"deploy": {"kind": "batch", "input": "digits/rows/", "instance": "ml.m5.large"}}
    steps = definition(make_spec(tmp_path, **MANUAL, **deploy))["States"]
    assert steps["Approve"]["Catch"][0]["Next"] == steps["DecidedByAPerson"]["Default"] == "RowsToAnswer"
    assert "'Rejected', 'Expired'" in steps["NotAnswered"]["Choices"][0]["Condition"]


def test_who_approves_makes_no_other_model(tmp_path: Path) -> None:
    assert spec_hash(make_spec(tmp_path)) == spec_hash(make_spec(tmp_path, **MANUAL))


def test_without_a_person_nothing_of_it_is_there(tmp_path: Path) -> None:
    states = definition(make_spec(tmp_path, approval="automatic"))["States"]
    assert "Approve" not in states and "approval" not in states["Begin"]["Assign"]


def test_the_machine_may_ask_and_look_and_no_more(tmp_path: Path) -> None:
    before = lines(run_machine(surroundings(make_spec(tmp_path))).grants)
    assert lines(run_machine(surroundings(make_spec(tmp_path, **MANUAL))).grants) - before == {
        "sagemaker:DescribeModelPackage model-package/local-digits-forest/*",
    }
