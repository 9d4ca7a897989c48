"""However a run ends, endpoint, run table and record agree afterwards, and the next run promotes."""

from __future__ import annotations

import json

import launcher.handler
import pytest
from aws_events import MACHINE
from common import clock
from common.state import ATTEMPTS
from ends_world import ENDPOINT, Ends, Trouble, ends

__all__ = ["ends"]

TASKS = (
    *("getItem", "planner", "createTrainingJob", "createProcessingJob", "gate", "createModelPackage", "createModel"),
    *("createEndpointConfig", "describeEndpoint", "updateEndpoint", "verifier", "recorder"),
)


def champion(ends: Ends) -> str:
    return str((ends.state.champion or {})["run_id"])


def refused(*calls: tuple[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(calls)


def assert_as_before(ends: Ends, before: str) -> None:
    ends.assert_agreed()
    assert champion(ends) == before
    assert ends.record(ends.run())["outcome"] == "Promoted", "nothing keeps the next run from its work"
    ends.assert_agreed()


# --------------------------------------------------------------------------------------------------- ended from outside


@pytest.mark.fidelity(
    "Step Functions",
    "An execution that is stopped runs none of its Catch clauses: whoever hears of its end must put things in order.",
    "Step Functions API reference, StopExecution; Developer Guide, Handling errors in Step Functions workflows",
)
@pytest.mark.parametrize(
    ("task", "after", "how"),
    [
        *((task, after, "stopped") for task in TASKS for after in (False, True)),
        *((task, after, "lost") for task in TASKS[-3:] for after in (False, True)),
        *((task, True, "timed out") for task in TASKS[-3:]),
    ],
)
def test_a_run_that_is_ended_from_outside(ends: Ends, task: str, after: bool, how: str) -> None:
    before = champion(ends)
    run_id = ends.run(Trouble(task, how, after))
    recorded = (task, after) == ("recorder", True)
    expected = {"stopped": "Stopped", "timed out": "Failed", "lost": "Failed"}[how]
    assert ends.record(run_id)["outcome"] == ("Promoted" if recorded else expected)
    ends.assert_agreed()
    if recorded:
        assert champion(ends) == run_id
        assert ends.runs == [run_id], "a run that has promoted is never run again"
    elif how == "lost":
        assert ends.record(champion(ends))["outcome"] == "Promoted", "it was tried again"
    else:
        assert_as_before(ends, before)


@pytest.mark.parametrize("calls", range(1, 28, 2))
@pytest.mark.parametrize("kind", ["manual", "rollback"])
def test_a_recorder_that_is_cut_off(ends: Ends, kind: str, calls: int) -> None:
    """After any of its calls, with its run: the record says who is champion, and no model comes back by itself.

    What follows a promotion is done all the same: the topic, the registry and the file in S3 say it, too.
    """
    ends.run()
    before, left = champion(ends), str((ends.state.previous_champion or {})["run_id"])
    run_id = ends.run(Trouble("recorder", "stopped", calls=calls), kind=kind, forced=False)
    ends.assert_agreed()
    promoted = ends.record(run_id)["outcome"] == "Promoted"
    assert promoted or ends.record(run_id)["outcome"] in ("Stopped", "UpToDate")
    if promoted:
        told = [json.loads(request["Message"]) for request in ends.aws.called("publish")]
        assert [message["outcome"] for message in told if message["run_id"] == run_id][-1:] == ["Promoted"]
        assert ("artifacts", f"runs/digits-forest/{run_id}/record.json") in ends.aws.s3.objects
    if kind == "rollback":
        assert champion(ends) == (left if promoted else before)
        approved = {arn.rpartition("/")[2]: status for arn, (status, _) in ends.aws.sagemaker.approvals.items()}
        assert approved == ({left: "Approved", before: "Rejected"} if promoted else {})


@pytest.mark.parametrize("calls", range(1, 28, 4))
def test_a_rollback_that_is_lost_while_it_is_recorded_is_done_in_the_end(ends: Ends, calls: int) -> None:
    ends.run()
    left = str((ends.state.previous_champion or {})["run_id"])
    ends.run(Trouble("recorder", "lost", calls=calls), kind="rollback", forced=False)
    ends.assert_agreed()
    assert champion(ends) == left


def test_a_run_that_has_promoted_and_whose_execution_is_gone_is_not_started_again(ends: Ends) -> None:
    """As of a state machine that was deleted, or after the 90 days that Step Functions keeps a history."""
    run_id = ends.run(Trouble("recorder", "lost", after=True))
    ends.table.write_run(run_id, {**ends.record(run_id), "outcome": "Running", "ends": "Promoted"})
    arn = f"{MACHINE.replace(':stateMachine:', ':execution:')}:{run_id}"
    del ends.aws.stepfunctions.executions[arn]
    running = {"run_id": run_id, "execution_arn": arn, "trigger": {"kind": "manual", "at": "", "detail": {}}}
    ends.table.update(lambda state: type(state)(**{**vars(state), "running": running}))
    launcher.handler.handle({"kind": "reconcile"}, None)
    assert ends.record(run_id)["outcome"] == "Promoted"
    ends.to_rest()
    ends.assert_agreed()
    assert [ends.record(each)["trigger"]["kind"] for each in ends.runs] == ["manual", "repair"]


# ------------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("task", TASKS)
def test_a_run_that_is_refused_a_state(ends: Ends, task: str) -> None:
    before = champion(ends)
    run_id = ends.run(Trouble(refused=refused(("machine", task))))
    assert ends.record(run_id)["outcome"] == ("RolledBack" if task == "verifier" else "Failed")
    assert_as_before(ends, before)


FUNCTIONS = [
    *(("planner", call) for call in ("get_item", "list_object_versions", "put_object", "describe_endpoint")),
    *(("recorder", call) for call in ("get_item", "put_item")),
]


@pytest.mark.parametrize(("function", "call"), FUNCTIONS)
def test_a_function_that_is_refused_a_call(ends: Ends, function: str, call: str) -> None:
    before = champion(ends)
    run_id = ends.run(Trouble(refused=refused((function, call))))
    assert ends.record(run_id)["outcome"] == "Failed"
    assert_as_before(ends, before)


@pytest.mark.parametrize("what", ["describeEndpoint", "updateEndpoint", "recorder"])
@pytest.mark.parametrize("since", ["updateEndpoint", "verifier"])
def test_what_is_refused_after_the_endpoint_has_changed(ends: Ends, since: str, what: str) -> None:
    """Where the run can't put it back itself, one that follows does."""
    before = champion(ends)
    ends.lies = since == "verifier" and what != "recorder"
    run_id = ends.run(Trouble(since, after=True, refused=refused(("machine", what))))
    ends.lies = False
    told = ends.record(run_id)
    if told["outcome"] == "Promoted":
        assert (since, what) == ("updateEndpoint", "updateEndpoint"), "it needn't be called again"
    else:
        assert_as_before(ends, before)


def test_repairs_that_fail_are_tried_three_times_and_then_once_an_hour(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = champion(ends)
    gone = refused(("machine", "updateEndpoint"), ("machine", "describeEndpoint"))
    ends.run(Trouble("updateEndpoint", after=True, refused=gone, stays=True))
    assert (champion(ends), len(ends.runs)) == (before, 1 + ATTEMPTS)
    assert {ends.record(run_id)["outcome"] for run_id in ends.runs} == {"Failed"}
    launcher.handler.handle({"kind": "reconcile"}, None)
    assert not ends.state.running

    monkeypatch.setattr(clock, "stamp", lambda: "2026-11-20T11:00:00.000Z")
    launcher.handler.handle({"kind": "reconcile"}, None)
    assert (ends.state.running or {})["trigger"]["kind"] == "repair"
    ends.to_rest()
    assert_as_before(ends, before)
    assert ends.state.doubt is None


# ------------------------------------------------------------------------------------------------ a deployment's end


def given_up(ends: Ends) -> None:
    """The spec's time for a deployment is over at once."""
    for begins in ("CreateEndpoint", "UpdateEndpoint"):
        ends.definition["States"][begins]["Assign"]["deploy_deadline"] = "{% $millis() - 1 %}"


def test_a_deployment_that_takes_too_long_is_waited_out_and_rolled_back(ends: Ends) -> None:
    before = champion(ends)
    given_up(ends)
    ends.sagemaker.looks = 9
    record = ends.record(ends.run())
    assert (record["outcome"], record["error"]["error"]) == ("RolledBack", "DeploymentFailed")
    assert "after the time that the spec gives a deployment" in record["error"]["cause"]
    ends.assert_agreed()
    assert (champion(ends), len(ends.runs)) == (before, 1)


def test_a_run_that_is_stopped_while_it_waits_an_update_out_is_repaired(ends: Ends) -> None:
    before = champion(ends)
    given_up(ends)
    run_id = ends.run(Trouble("describeEndpoint", "stopped", after=True))
    assert ends.record(run_id)["outcome"] == "Stopped"
    ends.assert_agreed()
    assert champion(ends) == before


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("how", ["given up", "lies", "stopped"])
def test_nothing_that_was_not_promoted_answers(ends: Ends, how: str, first: bool) -> None:
    """Without a champion the endpoint goes; with one, the champion comes back."""
    if first:
        ends.table.update(lambda state: type(state)(version=state.version))
        ends.sagemaker.endpoint = None
    if how == "given up":
        given_up(ends)
        ends.sagemaker.looks = 9
    task = "createEndpoint" if first else "updateEndpoint"
    ends.lies = how == "lies"
    record = ends.record(ends.run(Trouble(task, "stopped", after=True) if how == "stopped" else None))
    assert record["outcome"] == ("Stopped" if how == "stopped" else "Failed" if first else "RolledBack")
    if ends.sagemaker.left:
        ends.sagemaker.settle()
    ends.assert_agreed()


# ------------------------------------------------------------------------------------------------------ how runs begin


def by_hand(ends: Ends, what: str) -> str:
    """What a person does to the endpoint, and what the record says of it."""
    sagemaker, now = ends.sagemaker, champion(ends)
    theirs = f"the champion, the model of run {now}"
    if what == "updated":
        sagemaker.configs["mine"] = ["mine"]
        sagemaker.endpoint = {"EndpointStatus": "InService", "EndpointConfigName": "mine"}
        return f"the endpoint was InService with mine, which isn't {theirs}"
    if what == "being updated":
        sagemaker.configs["mine"] = ["mine"]
        sagemaker.update_endpoint("mine")
        return f"the endpoint was Updating with mine, which isn't {theirs}"
    if what == "failed":
        assert sagemaker.endpoint is not None
        sagemaker.endpoint = {**sagemaker.endpoint, "EndpointStatus": "Failed", "FailureReason": "no ping"}
        return f"the endpoint was Failed (no ping), and didn't serve {theirs}"
    if what == "out of service":
        assert sagemaker.endpoint is not None
        sagemaker.endpoint = {**sagemaker.endpoint, "EndpointStatus": "OutOfService"}
        return f"the endpoint was OutOfService, and didn't serve {theirs}"
    if what == "mixed":
        assert sagemaker.endpoint is not None
        sagemaker.endpoint = {**sagemaker.endpoint, "EndpointStatus": "UpdateRollbackFailed", "FailureReason": "both"}
        return f"the endpoint was UpdateRollbackFailed (both), and served more than {theirs}"
    sagemaker.endpoint = None
    return f"there was no endpoint, though there is {theirs}"


@pytest.mark.parametrize("forced", [False, True], ids=["nothing new", "new work"])
@pytest.mark.parametrize("what", ["updated", "being updated", "failed", "out of service", "mixed", "deleted"])
def test_a_run_begins_by_putting_the_endpoint_in_order(ends: Ends, what: str, forced: bool) -> None:
    said = by_hand(ends, what)
    record = ends.record(ends.run(forced=forced))
    assert (record["outcome"], record["repaired"]) == ("Promoted" if forced else "UpToDate", said)
    ends.assert_agreed()
    message = json.loads(ends.aws.called("publish")[-1]["Message"])["message"]
    assert message.endswith(f"Before that, {said}: it was put back.")


def test_an_endpoint_in_order_is_left_alone(ends: Ends) -> None:
    assert ends.record(ends.run(forced=False))["outcome"] == "UpToDate"
    assert "repaired" not in ends.record(ends.runs[-1])


def test_a_champion_that_cannot_come_back_is_said_and_a_rollback_to_it_deploys_it_anew(ends: Ends) -> None:
    by_hand(ends, "updated")
    now, config = champion(ends), (ends.state.champion or {})["endpoint_config_name"]
    del ends.sagemaker.configs[config]
    record = ends.record(ends.run())
    assert (record["outcome"], record["error"]["error"]) == ("Failed", "ChampionNotRestored")
    assert "the champion could not be restored: " in record["error"]["cause"]
    assert f"`ratchet rollback digits-forest {now}` deploys it anew" in record["error"]["cause"]
    assert len(ends.runs) <= 1 + ATTEMPTS, "it isn't tried for ever"

    back = ends.record(ends.run(kind="rollback", forced=False, detail={"to": now}))
    assert (back["outcome"], champion(ends)) == ("Promoted", now)
    ends.runs.clear()
    ends.assert_agreed()
    assert ends.state.previous_champion is None, "it is the same champion"
    assert ENDPOINT in str(ends.state.champion)
