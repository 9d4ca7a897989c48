"""Approval by a person: runs that wait, are approved, rejected, forgotten and overtaken, and champions that are
withdrawn. One pipeline; decided as the console does it, by UpdateModelPackage, and by Ratchet's commands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from deployed import Pipeline, Scripted
from running_aws import ROOT
from waiting import until

from ratchet import cli

# Long enough for a person of this module on a busy machine, and as long must the test of its end wait.
EXPIRES = "30s"
PIPELINES = {"asked": Scripted({"approval": {"manual": True, "expires": EXPIRES}})}


class People:
    """The pipeline, and what a person may see and say."""

    def __init__(self, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pipeline = pipeline
        monkeypatch.chdir(ROOT)
        monkeypatch.setenv("RATCHET_HOME", str(pipeline.aws.state.parent))

    def waits(self, accuracy: float) -> str:
        """A run whose model has passed the gate, once it waits for approval."""
        self.pipeline.idle()
        self.pipeline.order(accuracy=accuracy)
        return self.until_it_waits(str(self.pipeline.trigger()["run_id"]))

    def until_it_waits(self, run_id: str) -> str:
        until(lambda: self.item(run_id).get("approval", {}).get("token"), f"{run_id} to wait")
        return run_id

    def item(self, run_id: str) -> dict[str, Any]:
        return self.pipeline.item(f"run#{run_id}")

    def package(self, run_id: str) -> str:
        item = self.item(run_id)
        return str(item.get("model_package_arn") or item["approval"]["package"])

    def in_the_registry(self, run_id: str, status: str, reason: str) -> None:
        self.pipeline.aws.client("sagemaker").update_model_package(
            ModelPackageArn=self.package(run_id), ModelApprovalStatus=status, ApprovalDescription=reason
        )

    def command(self, *words: str) -> Result:
        return CliRunner().invoke(cli.main, list(words))

    def registered(self, run_id: str) -> tuple[str, str]:
        found = self.pipeline.aws.client("sagemaker").describe_model_package(ModelPackageName=self.package(run_id))
        return found["ModelApprovalStatus"], found.get("ApprovalDescription", "")

    @property
    def champion(self) -> str:
        return str(self.pipeline.state["champion"]["run_id"])


@pytest.fixture
def people(deployed: Callable[[str], Pipeline], monkeypatch: pytest.MonkeyPatch) -> People:
    return People(deployed("asked"), monkeypatch)


@pytest.mark.fidelity(
    "Step Functions",
    "sqs:sendMessage.waitForTaskToken sends a message with the task's token and waits for SendTaskSuccess.",
    "Step Functions DG, Wait for a Callback with Task Token; Send messages to an Amazon SQS queue with Step Functions",
)
def test_what_is_approved_serves_and_what_is_withdrawn_goes_back(people: People) -> None:
    pipeline = people.pipeline
    first = people.waits(0.70)
    assert people.registered(first)[0] == "PendingManualApproval"
    assert pipeline.deployed()["endpoint"] == (None, None), "nothing is deployed before"
    people.in_the_registry(first, "Approved", "seen by me")
    record = pipeline.record(first)
    assert record["outcome"] == "Promoted"
    assert record["approval"].keys() == {"status", "reason", "since", "until"}
    assert (record["approval"]["status"], record["approval"]["reason"]) == ("Approved", "seen by me")

    second = people.waits(0.75)
    told = people.command("status", "asked").output
    assert "waits for approval since" in told and f"`ratchet approve {second} --reason" in told
    done = people.command("approve", second, "--reason", "better in each region")
    assert done.exit_code == 0 and "it is deployed now" in done.output, done.output
    assert pipeline.record(second)["outcome"] == "Promoted"
    assert people.champion == second and "better in each region" in people.registered(second)[1]

    # The champion's approval is taken back in the registry: the one before serves again.
    people.in_the_registry(second, "Rejected", "wrong on Sundays")
    until(lambda: pipeline.state["champion"]["run_id"] == first, "the rollback")
    pipeline.idle()
    assert people.registered(first)[0] == "Approved" and people.registered(second)[0] == "Rejected"
    assert "a rollback" in people.item(second)["said_later"]["came_to"]
    refused = pipeline.trigger("rollback", detail={"to": second})
    assert "is Rejected in the model registry" in refused["errorMessage"], "only what is approved is deployed"

    # The one before it now is rejected: there is nothing to go back to, and no answers would be worse.
    done = people.command("reject", first, "--reason", "wrong on Mondays")
    assert done.exit_code == 0, done.output
    said = until(lambda: people.item(first).get("said_later"), "the answer")
    assert "goes on serving" in said["came_to"]
    assert "later Rejected (wrong on Mondays)" in people.command("runs", "asked").output
    assert people.champion == first and pipeline.deployed()["endpoint"][0] == "InService"

    # Approved again, the other one may come back: by the command this time.
    assert people.command("approve", second, "--reason", "mended").exit_code == 0
    assert people.command("reject", first, "--reason", "wrong on Mondays, too").exit_code == 0
    until(lambda: pipeline.state["champion"]["run_id"] == second, "the rollback")


def test_what_is_rejected_or_superseded_never_serves(people: People) -> None:
    pipeline = people.pipeline
    before = people.pipeline.idle().get("champion")
    first = people.waits(0.80)
    people.in_the_registry(first, "Rejected", "too slow")
    record = pipeline.record(first)
    assert (record["outcome"], record["approval"]["reason"]) == ("Rejected", "too slow")
    assert people.registered(first) == ("Rejected", "too slow")

    second = people.waits(0.85)
    answer = pipeline.trigger(forced=True)
    assert answer["status"] == "pending" and answer["run_id"] == second
    record = pipeline.record(second)
    assert record["outcome"] == "Superseded" and "a newer run was asked for (manual)" in record["approval"]["reason"]
    assert people.registered(second)[0] == "Rejected" and "Superseded" in people.registered(second)[1]
    until(lambda: pipeline.state.get("running"), "the run that takes its place")
    third = people.until_it_waits(str(pipeline.state["running"]["run_id"]))
    assert third != second
    refused = people.command("approve", second, "--reason", "late")
    assert refused.exit_code == 1 and "a newer run took its place" in refused.output
    assert people.command("reject", third, "--reason", "not needed").exit_code == 0
    assert pipeline.record(third)["outcome"] == "Rejected"
    assert pipeline.idle().get("champion") == before


def test_an_approval_that_comes_too_late_deploys_nothing(people: People) -> None:
    pipeline = people.pipeline
    before = people.pipeline.idle().get("champion")
    run_id = people.waits(0.90)
    record = pipeline.record(run_id, seconds=90)
    assert record["outcome"] == "Expired" and "nobody has decided" in record["approval"]["reason"]
    assert people.registered(run_id)[0] == "Rejected"
    refused = people.command("approve", run_id, "--reason", "sorry")
    assert refused.exit_code == 1
    assert "has ended Expired" in refused.output and "`ratchet run asked --force` trains anew" in refused.output

    people.in_the_registry(run_id, "Approved", "from the console")
    said = until(lambda: people.item(run_id).get("said_later"), "the answer")
    assert "nothing is deployed" in said["came_to"] and said["reason"] == "from the console"
    assert pipeline.idle().get("champion") == before
