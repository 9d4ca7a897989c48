"""`ratchet delete`: the stack goes, after a question; what stays is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commands_world import ARTIFACTS, World, world_in

from ratchet import errors

STACK = "ratchet-local-iris-tree"


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = world_in(tmp_path / "checkout", monkeypatch)
    world.deploy("iris-tree")
    return world


def test_the_stack_goes_after_a_question_and_what_stays_is_said(world: World) -> None:
    asked = world.call("delete", "iris_tree", given="n\n")
    assert asked.exit_code != 0
    assert not world.called("delete_stack")
    for line in (f"{STACK} goes, with the endpoint and the models", f"s3://{ARTIFACTS}/runs/iris-tree/", "iris_tree\n"):
        assert line in asked.stderr
    done = world.call("delete", "iris-tree", given="y\n")
    assert done.exit_code == 0, done.output
    assert world.called("delete_stack") == [{"StackName": STACK}]
    assert f"deleted         {STACK}" in done.stdout
    assert "stays           records: of its runs: ratchet runs iris-tree" in done.stdout


def test_json_says_the_same_and_asks_only_without_yes(world: World) -> None:
    done = world.call("delete", "iris-tree", "--yes", "--json")
    document = json.loads(done.stdout)
    assert document["deleted"] == STACK
    assert set(document["stays"]) == {"data", "artifacts", "records", "folder"}


def test_a_pipeline_whose_folder_is_gone_can_be_deleted(world: World) -> None:
    shutil.rmtree(world.root / "training_code" / "iris_tree")
    done = world.call("delete", "iris-tree", "--yes", "--json")
    assert "folder" not in json.loads(done.stdout)["stays"]


def test_a_stack_whose_creation_failed_can_be_deleted(world: World) -> None:
    world.deploy("iris-tree", StackStatus="ROLLBACK_COMPLETE")
    assert world.call("delete", "iris-tree", "--yes").exit_code == 0


def test_a_protected_stack_says_how_to_unprotect_it(world: World) -> None:
    world.deploy("iris-tree", EnableTerminationProtection=True)
    refused = world.call("delete", "iris-tree", "--yes")
    assert refused.exit_code == errors.FAILURE
    assert "update-termination-protection --no-enable-termination-protection --stack-name" in refused.stderr
    assert not world.called("delete_stack")


def test_a_deletion_that_fails_says_what_cloudformation_says(world: World) -> None:
    world.cloudformation.ends = "DELETE_FAILED"
    world.cloudformation.events = [
        {"LogicalResourceId": "Models", "ResourceStatus": "DELETE_FAILED", "ResourceStatusReason": "in use"},
        {"LogicalResourceId": "Log", "ResourceStatus": "DELETE_COMPLETE"},
    ]
    failed = world.call("delete", "iris-tree", "--yes")
    assert failed.exit_code == errors.FAILURE
    assert f"{STACK} can't be deleted:\nModels: in use\n" in failed.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shared", "there is no pipeline 'shared', neither here nor deployed"),
        ("nope", "there is no pipeline 'nope', neither here nor deployed; known: iris-tree"),
        ("iris-tre", "there is no pipeline 'iris-tre'; did you mean iris-tree?"),
    ],
)
def test_what_is_no_pipeline_is_not_deleted(world: World, name: str, message: str) -> None:
    refused = world.call("delete", name, "--yes")
    assert refused.exit_code == errors.FAILURE
    assert message in refused.stderr
    assert not world.called("delete_stack")


def test_a_pipeline_that_is_not_deployed_is_said(world: World) -> None:
    world.cloudformation.stacks.pop(STACK)
    assert f"iris-tree isn't deployed: there is no stack {STACK}" in world.call("delete", "iris-tree", "--yes").stderr
