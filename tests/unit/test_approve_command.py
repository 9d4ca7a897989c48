"""`ratchet approve` and `ratchet reject`: what they write into the model registry, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from commands_world import TABLE, World, world_in
from common.run_table import RunTable

PACKAGE = "arn:aws:sagemaker:us-east-1:000000000000:model-package/local-iris-tree/"
RUN, BEFORE = "20261120-101112-abcd", "20261119-101112-beef"
WAITS = {"since": "2026-11-20T10:11:12.000Z", "until": "2026-11-27T10:11:12.000Z", "package": f"{PACKAGE}2"}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    found = world_in(tmp_path, monkeypatch)
    found.deploy("iris-tree")
    found.cloudformation.stacks["ratchet-local-iris-tree"]["Outputs"].append(
        {"OutputKey": "Approval", "OutputValue": "manual"}
    )
    return found


def add(world: World, run_id: str, outcome: str, **more: Any) -> None:
    table = RunTable(world.client("dynamodb"), TABLE, "iris-tree")
    table.write_run(run_id, {"run_id": run_id, "outcome": outcome, **more})


def champions(world: World, *, before: bool) -> None:
    def model(run_id: str, version: int) -> dict[str, Any]:
        found = {"run_id": run_id, "model_package_arn": f"{PACKAGE}{version}"}
        add(world, run_id, "Promoted", candidate=found)
        return found

    after = {"champion": model(RUN, 2), **({"previous_champion": model(BEFORE, 1)} if before else {})}
    RunTable(world.client("dynamodb"), TABLE, "iris-tree")._put({"item": "state", "version": 1, **after}, None, {})


@pytest.mark.parametrize(("verb", "status"), [("approve", "Approved"), ("reject", "Rejected")])
@pytest.mark.parametrize("named", [RUN, "iris-tree"])
def test_the_word_goes_into_the_registry_with_its_reason(world: World, verb: str, status: str, named: str) -> None:
    add(world, RUN, "Running", approval={**WAITS, "token": "t"})
    done = world.call(verb, named, "--reason", "better\n in each region")
    assert done.exit_code == 0, done.output
    assert world.sagemaker.approvals == {f"{PACKAGE}2": (status, "better in each region")}


def test_what_waits_is_told_with_the_command_that_answers_it(world: World) -> None:
    add(world, RUN, "Running", approval={**WAITS, "token": "t"})
    told = world.call("status", "iris-tree").output
    assert f"waits for approval since {WAITS['since']}, until {WAITS['until']}" in told
    assert f"`ratchet approve {RUN} --reason '…'`" in told


@pytest.mark.parametrize(
    ("record", "verb", "reason", "says"),
    [
        ({"outcome": "Expired", "approval": {"until": WAITS["until"]}}, "approve", "r", "was over at 2026-11-27T10:11"),
        ({"outcome": "Expired"}, "reject", "r", "can't be rejected: the run has ended Expired"),
        ({"outcome": "Superseded"}, "approve", "r", "a newer run took its place while it waited"),
        ({"outcome": "Rejected", "approval": {"reason": "slow"}}, "approve", "r", "it was rejected: slow"),
        ({"outcome": "NotBetter"}, "approve", "r", "can't be approved: the run has ended NotBetter"),
        ({"outcome": "Running"}, "approve", "r", "its model hasn't passed the gate yet"),
        ({"outcome": "Running", "approval": {"status": "Approved"}}, "reject", "r", "decided already: Approved"),
        ({"outcome": "Running", "approval": {**WAITS, "token": "t"}}, "approve", " \n", "--reason is empty"),
        ({"outcome": "Running", "approval": {**WAITS, "token": "t"}}, "approve", "r" * 1025, "has 1025 characters"),
    ],
)
def test_what_cannot_be_decided_is_refused(
    world: World, record: dict[str, Any], verb: str, reason: str, says: str
) -> None:
    add(world, RUN, **record)
    done = world.call(verb, RUN, "--reason", reason)
    assert done.exit_code == 1 and says in done.output, done.output
    assert not world.sagemaker.approvals


def test_a_reason_and_a_run_are_wanted(world: World) -> None:
    assert world.call("approve", RUN).exit_code == 2
    assert "there is no run" in world.call("approve", RUN, "--reason", "r").output


def test_a_pipeline_that_approves_by_itself_has_nothing_to_decide(world: World) -> None:
    world.deploy("iris-tree")
    add(world, RUN, "Promoted")
    done = world.call("reject", RUN, "--reason", "r")
    assert done.exit_code == 1 and "approves by its gate alone" in done.output
    assert "`ratchet rollback iris-tree`" in done.output


@pytest.mark.parametrize(
    ("before", "says"), [(True, f"a rollback to the model of run {BEFORE}"), (False, "it goes on serving")]
)
def test_the_champions_approval_is_taken_back(world: World, before: bool, says: str) -> None:
    champions(world, before=before)
    done = world.call("reject", RUN, "--reason", "wrong on Sundays")
    assert done.exit_code == 0 and says in done.output, done.output
    assert world.sagemaker.approvals == {f"{PACKAGE}2": ("Rejected", "wrong on Sundays")}


def test_a_champion_is_approved_already_and_an_earlier_one_may_be(world: World) -> None:
    champions(world, before=True)
    assert "approved already" in world.call("approve", RUN, "--reason", "r").output
    assert not world.sagemaker.approvals
    done = world.call("approve", BEFORE, "--reason", "r")
    assert f"`ratchet rollback iris-tree {BEFORE}` may bring it back" in done.output
    assert world.sagemaker.approvals == {f"{PACKAGE}1": ("Approved", "r")}
