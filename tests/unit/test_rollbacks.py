"""Rollbacks to a chosen run: what the launcher takes in and refuses, and what the commands say of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aws_events import MACHINE, sqs_record
from commands_world import World, world_in
from common import rollbacks
from common.rollbacks import RollbackRefusedError
from common.run_table import RunTable
from common.state import State
from launcher import handler
from memory_aws import Aws, installed
from memory_services import Service

from contract import run_table, triggers
from ratchet import errors

FIRST, SECOND, WORSE = "20261120-101112-aaaa", "20261120-101112-bbbb", "20261120-101112-cccc"


def model(run_id: str) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "fingerprint": f"f-{run_id}",
        "model_data": f"s3://artifacts/runs/digits/{run_id}/model.tar.gz",
        "endpoint_config_name": f"local-digits-{run_id}",
    }


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    """Two champions after each other, and a model that never was one."""
    ours = {
        "STATE_MACHINE_ARN": MACHINE,
        "DATA_BUCKET": "data",
        "ENDPOINT_NAME": "local-digits",
        "CHANNEL_PREFIXES": "[]",
        "DEAD_LETTERS_URL": "https://q",
    }
    aws = installed(monkeypatch, PIPELINE="digits", RUN_TABLE="runs", **ours)
    for run_id, outcome in ((FIRST, "Promoted"), (SECOND, "Promoted"), (WORSE, "NotBetter")):
        table(aws).write_run(run_id, {"outcome": outcome, "candidate": model(run_id)})
        aws.s3.objects["artifacts", f"runs/digits/{run_id}/model.tar.gz"] = b"a model"
    table(aws).update(lambda _: State(champion=model(SECOND), previous_champion=model(FIRST)))
    serves(aws, SECOND)
    return aws


def serves(aws: Aws, run_id: str) -> None:
    on = {"EndpointStatus": "InService", "EndpointConfigName": f"local-digits-{run_id}"}
    aws.sagemaker.endpoints["local-digits"] = [on]


def table(aws: Aws) -> RunTable:
    return RunTable(aws.client("dynamodb"), "runs", "digits")


def ask(**detail: Any) -> dict[str, Any]:
    return handler.handle({"kind": "rollback", "detail": detail}, None)


def started(aws: Aws) -> list[dict[str, Any]]:
    return [json.loads(execution["input"])["trigger"] for execution in aws.stepfunctions.executions.values()]


# --------------------------------------------------------------------------------------------------------- the launcher


def test_the_error_has_the_name_that_the_commands_know() -> None:
    assert RollbackRefusedError.__name__ == triggers.ROLLBACK_REFUSED_ERROR


@pytest.mark.parametrize("detail", [{"to": FIRST, "by": "ann"}, {"by": "ann"}])
def test_the_run_that_is_meant_is_named_before_it_waits(aws: Aws, detail: dict[str, Any]) -> None:
    """Unnamed it is the champion before, as it is now: after the rollback it would be another."""
    assert ask(**detail)["status"] == "started"
    assert [trigger["detail"] for trigger in started(aws)] == [{"to": FIRST, "by": "ann"}]


def test_asked_again_while_it_is_on_its_way_it_waits_and_means_the_same(aws: Aws) -> None:
    first = ask()
    assert ask() == {**first, "status": "pending"}
    assert (table(aws).read_state().pending or {})["details"] == {"rollback": {"to": FIRST}}


@pytest.mark.parametrize(
    ("detail", "why"),
    [
        ({"to": "nope"}, "there is no run 'nope' of this pipeline to go back to; `ratchet runs` lists those"),
        ({"to": WORSE}, f"run {WORSE} ended NotBetter: its model never was champion"),
        ({"to": SECOND}, f"the model of run {SECOND} is the champion already"),
        ({"to": 7}, "a rollback's 'to' is a run's id, not 7"),
        ({"to": ""}, "a rollback's 'to' is a run's id, not ''"),
    ],
)
def test_what_cannot_come_back_is_refused_before_anything_starts(aws: Aws, detail: dict[str, Any], why: str) -> None:
    with pytest.raises(RollbackRefusedError, match=why):
        ask(**detail)
    assert not started(aws) and table(aws).read_state().pending is None


def test_a_run_on_its_way_has_made_no_champion(aws: Aws) -> None:
    running = handler.handle({"kind": "manual"}, None)["run_id"]
    with pytest.raises(RollbackRefusedError, match=f"run {running} is still on its way"):
        ask(to=running)


def test_a_model_whose_archive_is_gone_is_refused_with_how_it_may_be_restored(aws: Aws) -> None:
    del aws.s3.objects["artifacts", f"runs/digits/{FIRST}/model.tar.gz"]
    aws.s3.objects["artifacts", f"runs/digits/{FIRST}/model.tar.gz.sha256"] = b"not it"
    with pytest.raises(RollbackRefusedError, match=f"the model of run {FIRST} is gone: there is nothing at s3://"):
        ask(to=FIRST)


def test_without_a_champion_before_there_is_nothing_to_go_back_to(aws: Aws) -> None:
    table(aws).update(lambda state: State(version=state.version, champion=model(SECOND)))
    with pytest.raises(RollbackRefusedError, match=f"no earlier champion to roll back to: run {SECOND} made the only"):
        ask()
    table(aws).update(lambda state: State(version=state.version))
    with pytest.raises(RollbackRefusedError, match="there is no champion"):
        ask()
    assert ask(to=FIRST)["status"] == "started", "of a pipeline that was deployed anew, a run can be chosen"


def test_going_back_to_a_rollback_is_going_back_to_the_model_that_it_brought() -> None:
    back = {"outcome": "Promoted", "candidate": model(FIRST), "trigger": {"kind": "rollback"}}
    assert rollbacks.candidate("20261121-101112-dddd", back) == model(FIRST)


def test_a_message_that_asks_for_the_impossible_is_set_aside_alone(aws: Aws) -> None:
    records = [
        sqs_record({"kind": "rollback", "detail": {"to": "nope"}}, 1),
        sqs_record({"kind": "rollback", "detail": {"to": FIRST}}, 2),
    ]
    assert handler.handle({"Records": records}, None) == {"batchItemFailures": []}
    (sent,) = aws.called("send_message")
    assert sent["MessageBody"] == records[0]["body"]
    assert [trigger["detail"] for trigger in started(aws)] == [{"to": FIRST}]


# --------------------------------------------------------------------------------------------------------- the commands


class Lambda(Service):
    """A launcher that gives this answer, or raises this error."""

    def __init__(self) -> None:
        self.answer: dict[str, Any] = {"status": "started", "run_id": "r9", "execution_arn": "arn"}
        self.sent: list[dict[str, Any]] = []
        self.group: str | None = "ratchet-local-iris-tree-LauncherLog"

    def get_function_configuration(self, *, FunctionName: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        if self.group is None:
            raise self.error("get_function_configuration", "AccessDeniedException", FunctionName)
        return {"LoggingConfig": {"LogGroup": self.group}}

    def invoke(self, *, Payload: bytes, **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's
        self.sent.append(json.loads(Payload))
        body = self.answer
        failed = {"FunctionError": "Unhandled"} if "errorType" in body else {}
        return {"Payload": _Body(json.dumps(body).encode()), **failed}


class _Body(bytes):
    def read(self) -> bytes:
        return bytes(self)


@pytest.fixture
def launcher() -> Lambda:
    return Lambda()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launcher: Lambda) -> World:
    """iris-tree, deployed, with two champions after each other."""
    world = world_in(tmp_path / "checkout", monkeypatch)
    world.deploy("iris-tree")
    world.cloudformation.stacks["ratchet-local-iris-tree"]["Outputs"].append(
        {"OutputKey": "LauncherFunctionName", "OutputValue": "launch"}
    )
    world.serve("lambda", launcher)
    for run_id in (FIRST, SECOND):
        world.dynamodb.add_run("iris-tree", run_id, "Promoted", of=run_id)
    world.dynamodb.add_run("iris-tree", WORSE, "NotBetter", of=WORSE)
    champions = {"champion": SECOND, "previous_champion": FIRST}
    state = {name: {"M": {"run_id": {"S": run_id}}} for name, run_id in champions.items()}
    world.dynamodb.put_item(Item={**run_table.key("iris-tree", "state"), **state})
    return world


@pytest.mark.parametrize(("named", "to"), [([], FIRST), ([WORSE], WORSE)])
def test_the_launcher_is_told_the_run_by_name(world: World, launcher: Lambda, named: list[str], to: str) -> None:
    assert world.call("rollback", "iris-tree", *named).exit_code == 0
    (sent,) = launcher.sent
    assert (sent["kind"], sent["detail"]["to"], sorted(sent["detail"])) == ("rollback", to, ["by", "to"])


def test_a_refusal_is_told_in_the_launcher_s_words(world: World, launcher: Lambda) -> None:
    launcher.answer = {"errorType": "RollbackRefusedError", "errorMessage": "there is no run 'nope'"}
    told = world.call("rollback", "iris-tree", "nope")
    assert told.exit_code == errors.FAILURE
    assert "iris-tree isn't rolled back: there is no run 'nope'" in told.stderr


def test_a_launcher_that_fails_is_told_with_the_log_that_there_is(world: World, launcher: Lambda) -> None:
    """Functions have log groups of their own: `/aws/lambda/…` is there for none."""
    launcher.answer = {"errorType": "KeyError", "errorMessage": "state"}
    told = world.call("rollback", "iris-tree")
    assert told.exit_code == errors.FAILURE
    assert "the launcher of iris-tree failed: state; its log: ratchet-local-iris-tree-LauncherLog" in told.stderr
    launcher.group = None
    assert "the function is launch, whose settings name its log group" in world.call("rollback", "iris-tree").stderr


def test_behind_a_run_on_its_way_the_rollback_follows(world: World, launcher: Lambda) -> None:
    launcher.answer = {"status": "pending", "run_id": "r8", "execution_arn": "arn"}
    assert "run r8 is on its way; the rollback follows it" in world.call("rollback", "iris-tree").stdout


def test_the_runs_of_a_pipeline_say_which_can_be_chosen(world: World) -> None:
    told = world.call("runs", "iris-tree")
    assert f"`ratchet rollback iris-tree RUN`, RUN being {FIRST}\n" in told.stdout
    assert json.loads(world.call("runs", "iris-tree", "--json").stdout)["rollback_to"] == [FIRST]
    assert "rollback" not in world.call("runs").stdout


def test_after_a_rollback_the_one_that_was_left_can_be_chosen(world: World) -> None:
    world.dynamodb.add_run("iris-tree", "20261121-101112-dddd", "Promoted", of=FIRST)
    state = {"champion": {"M": {"run_id": {"S": FIRST}}}}
    world.dynamodb.put_item(Item={**run_table.key("iris-tree", "state"), **state})
    assert json.loads(world.call("runs", "iris-tree", "--json").stdout)["rollback_to"] == [SECOND]
