"""The recorder as the state machine calls it: the champion first, then the record, the message and the tidying."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from common import clock
from common.run_table import RunTable
from common.state import LockLostError, State, Trigger, promoted, started, triggered
from memory_aws import Aws, Crash, installed
from recorder import handler
from recorder.housekeeping import needed_by

from contract import files

RUN_ID = "20261120-101112-abcd"
NOW = "2026-11-20T10:20:00.000Z"
START = datetime(2026, 11, 20, 10, tzinfo=UTC)
RUN = {"pipeline": "digits", "run_id": RUN_ID, "trigger": {"kind": "data", "at": "t", "detail": {}}, "forced": False}
PREFIX = "local-digits-"
FOLDER = f"runs/digits/{RUN_ID}/"
RULES = [{"rule": "Overfit", "name": "Overfit", "parameters": {}, "action": "record"}]
CANDIDATE = {
    "run_id": RUN_ID,
    "model_package_arn": "package",
    "model_data": "s3://m",
    "image_uri": "image",
    "score": 0.97,
    "metric": "f1_macro",
    "fingerprint": "f2",
}


def content(number: int) -> str:
    return f"{PREFIX}{number:012x}"


OLD = {"run_id": "r1", "model_name": content(1), "endpoint_config_name": content(1), "fingerprint": "f1"}
WORK = {"fingerprint": "f2", "code_hash": "c", "spec_hash": "s", "image_uri": "i", "data": {"objects": 3}}
NEW = {"model_name": content(2), "endpoint_config_name": content(2)}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    """A run that has the lock, after a champion; models 0 to 2 and an endpoint on config 1."""
    monkeypatch.setattr(clock, "stamp", lambda: NOW)
    aws = installed(
        monkeypatch, RUN_TABLE="runs", ARTIFACT_BUCKET="artifacts", TOPIC_ARN="arn:topic", RETAINED_CHAMPIONS="2"
    )
    table = table_of(aws)
    table.update(lambda state: promoted(begun(state, "r1"), "r1", OLD, 2))
    table.update(lambda state: State(version=state.version, champion=state.champion, retained=state.retained))
    table.update(lambda state: begun(state, RUN_ID))
    table.write_run(RUN_ID, {"run_id": RUN_ID, "outcome": "Running", "started_at": "t0"})
    aws.sagemaker.configs = {content(number): [content(number)] for number in range(3)}
    aws.sagemaker.models = [content(number) for number in range(3)]
    aws.sagemaker.endpoints["local-digits"] = [{"EndpointStatus": "InService", "EndpointConfigName": content(1)}]
    aws.stepfunctions.histories["arn:execution"] = history("Plan", "Train")
    aws.calls.clear()
    return aws


def begun(state: State, run_id: str) -> State:
    return started(triggered(state, [Trigger("data", "t", {})]), run_id, "arn:execution", "t0")


def table_of(aws: Aws) -> RunTable:
    return RunTable(aws.client("dynamodb"), "runs", "digits")


def history(*names: str) -> list[dict[str, Any]]:
    """Each state for two seconds."""
    events = []
    for index, name in enumerate(names):
        at = START + timedelta(seconds=2 * index)
        details = {"name": name}
        events.append({"type": "TaskStateEntered", "timestamp": at, "stateEnteredEventDetails": details})
        left = at + timedelta(seconds=2)
        events.append({"type": "TaskStateExited", "timestamp": left, "stateExitedEventDetails": details})
    return events


def training(**environment: str) -> dict[str, Any]:
    return {
        "status": "Completed",
        "model_data": "s3://m",
        "environment": {"RATCHET_RUN_ID": RUN_ID, **environment},
        "description": {"TrainingJobName": f"digits-{RUN_ID}-train"},
    }


def event(**changes: Any) -> dict[str, Any]:
    """The machine's variables at the end of a run that promoted a new champion."""
    return {
        "run": RUN,
        "plan": {**WORK, "outcome": "Run", "forced": False, "champion": OLD},
        "training": training(RATCHET_RULES=json.dumps(RULES)),
        "evaluation": {"status": "Completed"},
        "decision": {"promote": True, "reason": "better"},
        "package": "package",
        "candidate": CANDIDATE,
        "deployment": NEW,
        "verification": {"verified": True},
        "failure": None,
        "outcome": "Promoted",
        "execution_arn": "arn:execution",
        "endpoint_name": "local-digits",
        "content_prefix": PREFIX,
        "jobs": {"Train": f"digits-{RUN_ID}-train", "Evaluate": f"digits-{RUN_ID}-evaluate"},
        **changes,
    }


FAILED = event(
    outcome=None,
    failure={"state": "Train", "error": "States.TaskFailed", "cause": "no instances"},
    **dict.fromkeys(("training", "evaluation", "decision", "package", "candidate", "deployment", "verification")),
)


def record(document: dict[str, Any]) -> dict[str, Any]:
    return handler.handle(document, None)


def put(aws: Aws, name: str, document: Any) -> None:
    aws.s3.objects["artifacts", f"{FOLDER}{name}"] = (
        document if isinstance(document, bytes) else json.dumps(document).encode()
    )


def written(aws: Aws) -> dict[str, Any]:
    """record.json; the run's item must say the same."""
    document = json.loads(aws.s3.objects["artifacts", f"{FOLDER}record.json"])
    item = table_of(aws).read_run(RUN_ID) or {}
    assert item == {**document, "item": f"run#{RUN_ID}"}
    return {name: value for name, value in document.items() if name != "item"}


# ------------------------------------------------------------------------------------------------------ what is written


def test_a_promotion_is_answered_and_written_down(aws: Aws) -> None:
    put(aws, "evaluation/evaluation.json", {"metric": "f1_macro", "samples": [1], "examples": 3})
    put(aws, "train/tensors/rules/Overfit.json", {"name": "Overfit", "status": "NoIssuesFound", "step": 9})
    aws.sagemaker.endpoints["local-digits"] = [{"EndpointStatus": "InService", "EndpointConfigName": content(2)}]
    answer = record(event())
    uri = f"s3://artifacts/{FOLDER}record.json"
    assert answer == {"run_id": RUN_ID, "outcome": "Promoted", "error": None, "record": uri, "complete": True}
    document = written(aws)
    champion = {**CANDIDATE, **NEW, "promoted_at": NOW, "promoted_by": RUN_ID}
    assert document == {
        "run_id": RUN_ID,
        "pipeline": "digits",
        "outcome": "Promoted",
        "trigger": RUN["trigger"],
        "forced": False,
        "started_at": "t0",
        "ended_at": NOW,
        "execution_arn": "arn:execution",
        **WORK,
        "jobs": {"train": f"digits-{RUN_ID}-train"},
        "evaluation": {"metric": "f1_macro", "examples": 3},
        "rules": [{"name": "Overfit", "rule": "Overfit", "action": "record", "status": "NoIssuesFound", "step": 9}],
        "decision": {"promote": True, "reason": "better"},
        "model_package_arn": "package",
        "candidate": CANDIDATE,
        "deployment": NEW,
        "verification": {"verified": True},
        "champion_before": OLD,
        "champion_after": champion,
        "timings": {"Plan": 2.0, "Train": 2.0},
    }
    state = table_of(aws).read_state()
    assert (state.champion, state.last_judged_fingerprint) == (champion, "f2")
    assert (state.previous_champion or {})["run_id"] == "r1"


def test_the_topic_is_told_in_a_sentence(aws: Aws) -> None:
    record(event())
    (request,) = aws.called("publish")
    message = json.loads(request["Message"])
    assert (request["TopicArn"], request["Subject"]) == ("arn:topic", "digits: Promoted")
    assert message["message"] == f"digits has a new champion (better). Run {RUN_ID}."
    assert message == {
        "message": message["message"],
        "pipeline": "digits",
        "run_id": RUN_ID,
        "outcome": "Promoted",
        "trigger": "data",
        "decision": {"promote": True, "reason": "better"},
        "stopped_by": None,
        "error": None,
        "record": f"s3://artifacts/{FOLDER}record.json",
    }
    attributes = {name: entry["StringValue"] for name, entry in request["MessageAttributes"].items()}
    assert attributes == {"pipeline": "digits", "outcome": "Promoted", "trigger": "data"}


def test_a_failure_is_named_and_nothing_is_tidied(aws: Aws) -> None:
    answer = record(FAILED)
    error = {"state": "Train", "error": "States.TaskFailed", "cause": "no instances"}
    assert (answer["outcome"], answer["error"], answer["complete"]) == ("Failed", error, True)
    document = written(aws)
    assert document["error"] == error
    assert not {"training", "evaluation", "rules", "decision", "deployment", "rounds", "spot"} & document.keys()
    assert document["champion_before"] == OLD
    assert not [name for name, _ in aws.calls if "model" in name or "endpoint" in name]
    assert not aws.called("list_objects_v2") and not aws.called("get_object")


def test_the_message_says_what_failed(aws: Aws) -> None:
    record(FAILED)
    message = json.loads(aws.called("publish")[0]["Message"])
    assert message["error"] == {"state": "Train", "error": "States.TaskFailed", "cause": "no instances"}
    assert message["decision"] is None


def test_a_run_that_never_came_to_a_plan_is_recorded(aws: Aws) -> None:
    record({**FAILED, "plan": None, "run": {**RUN, "forced": True}})
    document = written(aws)
    assert document["forced"] is True
    assert not {"fingerprint", "champion_before", "data"} & document.keys()
    assert document["champion_after"]["run_id"] == "r1"


def test_a_run_that_was_to_supersede_says_so(aws: Aws) -> None:
    record(event(plan={**event()["plan"], "supersede": True}))
    assert written(aws)["supersede"] is True
    record({**FAILED, "plan": None, "run": {**RUN, "supersede": True}})
    assert written(aws)["supersede"] is True
    record(event(plan={**event()["plan"], "supersede": False}))
    assert "supersede" not in written(aws)


def test_the_plan_says_whether_a_run_was_forced(aws: Aws) -> None:
    """A forced trigger that a run took over forces it."""
    record(event(plan={**event()["plan"], "forced": True}))
    assert written(aws)["forced"] is True


def test_what_the_launcher_began_is_kept_or_made(aws: Aws) -> None:
    del aws.dynamodb.items["digits", f"run#{RUN_ID}"]
    record(event())
    assert "started_at" not in written(aws)


def test_a_run_without_an_evaluation_has_none(aws: Aws) -> None:
    record(event())
    assert "evaluation" not in written(aws)


def test_rounds_are_kept(aws: Aws) -> None:
    rounds = {"rows": [{"round": 1, "job": "j"}], "chosen": 1}
    put(aws, "train/tensors/round-2/rules/Overfit.json", {"name": "Overfit", "status": "IssuesFound"})
    put(aws, "train/tensors/rules/Overfit.json", {"name": "Overfit", "status": "NoIssuesFound"})
    record(event(round=2, rounds=rounds))
    assert written(aws)["rounds"] == rounds
    assert written(aws)["rules"][0]["status"] == "IssuesFound", "of the last round"


def test_what_spot_saved_is_kept(aws: Aws) -> None:
    spot = {"interruptions": 1, "training_seconds": 100, "billable_seconds": 30}
    record(event(training={**training(), "spot": spot}))
    assert written(aws)["spot"] == {**spot, "saved": 0.7}


def test_a_strangers_execution_changes_nothing(aws: Aws) -> None:
    with pytest.raises(LockLostError, match=rf"run other doesn't hold the pipeline's lock \(run {RUN_ID} does\)"):
        record(event(run={**RUN, "run_id": "other"}))
    assert not aws.called("put_item") and not aws.called("put_object") and not aws.called("publish")


# ------------------------------------------------------------------------------------------------------ rules' verdicts


def test_verdicts_that_cannot_be_read_are_left_out(aws: Aws) -> None:
    put(aws, "train/tensors/rules/a.json", b"{")
    put(aws, "train/tensors/rules/b.json", [1])
    put(aws, "train/tensors/rules/c.txt", b"{}")
    put(aws, "train/tensors/rules/d.json", {"name": "Overfit", "status": "IssuesFound"})
    record(event())
    assert [verdict["status"] for verdict in written(aws)["rules"]] == ["IssuesFound"]
    assert not [request for request in aws.called("get_object") if request["Key"].endswith(".txt")]


def test_however_much_training_has_written_of_its_rules_the_run_is_recorded(aws: Aws) -> None:
    """It is a user's script that writes there."""
    loud = {
        "name": "n" * 9_000,
        "rule": {"r": "r" * 9_000},
        "status": "IssuesFound",
        "value": 1e300,
        "at": ["a" * 9_000],
    }
    for number in range(300):
        put(
            aws,
            f"train/tensors/rules/{number:03}.json",
            {**loud, "name": f"{number}{'n' * 9_000}", "reason": "r" * 9_000},
        )
    put(aws, "train/tensors/rules/deep.json", b"[" * 200_000)
    put(aws, "train/tensors/rules/000.json", b'"' + b"x" * 2_000_000 + b'"')
    record(event())
    assert 90 <= len(written(aws)["rules"]) <= 101
    assert len(json.dumps(aws.dynamodb.items["digits", f"run#{RUN_ID}"])) < 350_000


def test_an_evaluation_that_no_function_has_memory_for_is_not_read(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose gate has failed by it must be recorded."""
    monkeypatch.setattr(files, "EVALUATION_BYTES", 1_000)
    put(aws, "evaluation/evaluation.json", {"metric": "m" * 1_000})
    record(event())
    assert "evaluation" not in written(aws)
    put(aws, "evaluation/evaluation.json", {"metric": "m" * 900})
    assert handler.read_evaluation(handler.Artifacts(aws.client("s3"), "artifacts", "digits", RUN_ID))


def test_what_training_has_written_of_its_rules_takes_little_memory(aws: Aws) -> None:
    """A function out of memory would leave a model that serves, and a table that names the one before it."""
    full = b'{"name": "Overfit", "status": "IssuesFound", "reason": "' + b"r" * 9_000 + b'", "x": ['
    full += b"{}," * 345_000 + b"{}]}"
    for number in range(5):
        put(aws, f"train/tensors/rules/{number}.json", full)
    tracemalloc.start()
    try:
        record(event())
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 60_000_000, "one of them is read at a time"
    assert [verdict["status"] for verdict in written(aws)["rules"]] == ["IssuesFound"]


def test_a_record_that_no_item_holds_is_cut_and_stays_whole_in_s3(aws: Aws) -> None:
    metrics = {f"metric-{number}": "m" * 5_000 for number in range(200)}
    record(event(training={**training(), "metrics": metrics}))
    assert len(json.dumps(aws.dynamodb.items["digits", f"run#{RUN_ID}"])) < 400_000
    assert (table_of(aws).read_run(RUN_ID) or {})["outcome"] == "Promoted"
    whole = json.loads(aws.s3.objects["artifacts", f"{FOLDER}record.json"])
    assert whole["metrics"] == metrics


def test_a_verdict_that_goes_between_the_look_and_the_read_is_left_out(aws: Aws) -> None:
    put(aws, "train/tensors/rules/a.json", {"name": "Overfit", "status": "IssuesFound"})

    def gone(operation: str) -> None:
        if operation == "get_object":
            aws.s3.objects.pop(("artifacts", f"{FOLDER}train/tensors/rules/a.json"), None)

    aws.step = gone
    record(event())
    assert written(aws)["rules"][0]["status"] == "Error"


def test_a_stopped_trainings_rules_are_cut_off_but_for_what_was_told(aws: Aws) -> None:
    told = {"name": "Overfit", "rule": "Overfit", "action": "record", "status": "IssuesFound", "reason": "r"}
    table_of(aws).write_run(RUN_ID, {"rule_verdicts": [told], "stopped_by": {**told, "step": 4}})
    rules = json.dumps([*RULES, {**RULES[0], "name": "other"}])
    record({**FAILED, "training": {**training(RATCHET_RULES=rules), "status": "Stopped"}, "outcome": "StoppedByRule"})
    assert [verdict["status"] for verdict in written(aws)["rules"]] == ["IssuesFound", "Stopped"]
    message = json.loads(aws.called("publish")[0]["Message"])
    assert message["stopped_by"]["name"] == "Overfit"
    assert "the rule Overfit stopped training at step 4: r" in message["message"]


def test_debuggers_verdicts_are_asked_for_where_it_judges(aws: Aws) -> None:
    name = f"digits-{RUN_ID}-train"
    status = {"RuleConfigurationName": "Overfit", "RuleEvaluationStatus": "IssuesFound", "StatusDetails": "Condition"}
    aws.sagemaker.jobs[name] = {"DebugRuleEvaluationStatuses": [status]}
    put(aws, "train/tensors/rules/Overfit.json", {"name": "Overfit", "status": "NoIssuesFound"})
    record(event(training=training(RATCHET_MANAGED_RULES=json.dumps(RULES))))
    assert written(aws)["rules"] == [
        {"name": "Overfit", "rule": "Overfit", "action": "record", "status": "IssuesFound", "reason": "Condition"}
    ]
    assert aws.called("describe_training_job") == [{"TrainingJobName": name}]


@pytest.mark.parametrize(("last", "looks", "status"), [(2, 2, "NoIssuesFound"), (99, 16, "InProgress")])
def test_debugger_is_given_half_a_minute(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, last: int, looks: int, status: str
) -> None:
    """It looks every two seconds; the 16th look is at 30 s, and what isn't decided then is recorded as it is."""
    now = [100.0]

    def pause(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(handler, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=pause))
    name = f"digits-{RUN_ID}-train"

    def look(operation: str) -> None:
        if operation == "describe_training_job":
            word = "InProgress" if len(aws.called(operation)) < last - 1 else "NoIssuesFound"
            found = {"RuleConfigurationName": "Overfit", "RuleEvaluationStatus": word}
            aws.sagemaker.jobs[name] = {"DebugRuleEvaluationStatuses": [found]}

    aws.sagemaker.jobs[name] = {}
    aws.step = look
    found = handler.managed_verdicts(name)
    assert (found[0]["status"], len(aws.called("describe_training_job"))) == (status, looks)


# --------------------------------------------------------------------------------------------- moving the champion


@pytest.mark.parametrize(
    "outcome", ["NotBetter", "UpToDate", "WaitsForData", "RolledBack", "Stopped", "StoppedByRule", "Failed"]
)
def test_only_a_promotion_moves_the_champion(aws: Aws, outcome: str) -> None:
    assert record(event(outcome=outcome))["outcome"] == outcome
    state = table_of(aws).read_state()
    assert (state.champion or {})["run_id"] == "r1"
    assert state.last_judged_fingerprint == ("f2" if outcome == "NotBetter" else None)
    assert written(aws)["champion_after"]["run_id"] == "r1"


BACK = {**RUN, "trigger": {"kind": "rollback", "at": "t", "detail": {"to": "r0"}}}


def went_back() -> dict[str, Any]:
    plan = {**WORK, "outcome": "Rollback", "forced": False, "champion": {**OLD, "model_package_arn": "package of r1"}}
    chosen = {"promote": True, "reason": "chosen by ann: back to the model of run r0, away from run r1's"}
    untouched = dict.fromkeys(("training", "evaluation", "package"))
    model = {**CANDIDATE, "run_id": "r0", "fingerprint": "f0"}
    return event(run=BACK, plan=plan, decision=chosen, candidate=model, **untouched)


def test_a_rollback_has_judged_nothing(aws: Aws) -> None:
    record(went_back())
    state = table_of(aws).read_state()
    assert state.last_judged_fingerprint is None
    assert (state.champion or {})["run_id"] == "r0"
    assert state.withdrawn == ({"run_id": "r1", "fingerprint": "f1"},)
    assert written(aws)["decision"]["reason"].startswith("chosen by ann: back to the model of run r0")


@pytest.mark.parametrize("deleted", [set(), {"package of r1"}, {"package", "package of r1"}])
def test_a_rollback_is_told_to_the_registry_as_far_as_it_has_the_packages(aws: Aws, deleted: set[str]) -> None:
    aws.sagemaker.deleted_packages = deleted
    assert record(went_back())["complete"]
    told = {arn: status for arn, (status, _) in aws.sagemaker.approvals.items()}
    expected = {"package": "Approved", "package of r1": "Rejected"}
    assert told == {arn: status for arn, status in expected.items() if arn not in deleted}


def test_a_registry_that_refuses_is_seen(aws: Aws) -> None:
    aws.refuse("update_model_package", "AccessDeniedException", "not you")
    answer = record(went_back())
    assert (answer["outcome"], answer["complete"]) == ("Promoted", False)
    assert "not you" in answer["error"]["cause"]


def test_why_a_run_is_up_to_date_is_kept(aws: Aws) -> None:
    record(event(outcome="UpToDate", plan={**WORK, "champion": OLD, "reason": "nothing is new"}, deployment=None))
    assert written(aws)["reason"] == "nothing is new"
    assert "is up to date: nothing is new. Run" in json.loads(aws.called("publish")[0]["Message"])["message"]


def test_as_many_champions_are_retained_as_the_stack_says(aws: Aws) -> None:
    record(event())
    retained = table_of(aws).read_state().retained
    assert [entry["model_name"] for entry in retained] == [content(2), content(1)]


# ------------------------------------------------------------------------------------------------ alarms of deployments

ALARMS = [f"{content(number)}-{what}" for number in range(3) for what in ("errors", "p90-latency")]
REPAIR = {**RUN, "trigger": {"kind": "repair", "at": "t", "detail": {}}}


def with_alarms(aws: Aws) -> None:
    aws.cloudwatch.alarms = {name: {} for name in [*ALARMS, "revenue", "local-digits-other-errors"]}


@pytest.mark.parametrize(
    "ends",
    [
        event(alarms=True),
        event(alarms=True, outcome="RolledBack", failure={"state": "AwaitEndpoint", "error": "E", "cause": "c"}),
        event(alarms=True, outcome=None, failure={"state": "FindAlarms", "error": "E", "cause": "c"}),
        event(alarms=True, run=REPAIR, outcome="UpToDate", deployment=None),
        event(alarms=True, repaired="the endpoint was odd", outcome="UpToDate", deployment=None),
    ],
)
def test_after_any_end_no_alarm_of_a_deployment_is_left(aws: Aws, ends: dict[str, Any]) -> None:
    """Whichever run made it; those of others stay."""
    with_alarms(aws)
    assert record(ends)["complete"]
    assert sorted(aws.cloudwatch.alarms) == ["local-digits-other-errors", "revenue"]


def test_the_alarms_of_a_deployment_that_goes_on_stay(aws: Aws) -> None:
    """SageMaker asks them until it has come to its end, and would end it with one that is gone."""
    with_alarms(aws)
    updating = {"EndpointStatus": "Updating", "EndpointConfigName": content(1)}
    pending = {"PendingDeploymentSummary": {"EndpointConfigName": content(2)}}
    aws.sagemaker.endpoints["local-digits"] = [{**updating, **pending}]
    failure = {"state": "RestoreChampion", "error": "ChampionNotRestored", "cause": "c"}
    assert record(event(alarms=True, outcome=None, failure=failure))["complete"]
    assert [name for name in aws.cloudwatch.alarms if name in ALARMS] == ALARMS[4:]


def test_nothing_is_deleted_of_an_endpoint_that_serves_a_mix(aws: Aws) -> None:
    """Only one of its two configs is told."""
    mixed = {"EndpointStatus": "UpdateRollbackFailed", "EndpointConfigName": content(1)}
    aws.sagemaker.endpoints["local-digits"] = [mixed]
    failure = {"state": "RestoreChampion", "error": "ChampionNotRestored", "cause": "c"}
    assert record(event(alarms=True, outcome=None, failure=failure))["complete"]
    assert len(aws.sagemaker.configs) == len(aws.sagemaker.models) == 3
    aws.sagemaker.endpoints["local-digits"] = [{**mixed, "EndpointStatus": "InService"}]
    record(event(alarms=True, outcome=None, failure=failure))
    assert list(aws.sagemaker.configs) == [content(1)], "the run after it clears away"


def test_without_alarms_of_its_own_a_pipeline_asks_for_none(aws: Aws) -> None:
    with_alarms(aws)
    record(event())
    assert not aws.called("describe_alarms") and len(aws.cloudwatch.alarms) == 8


def test_many_alarms_are_asked_for_a_hundred_at_a_time(aws: Aws) -> None:
    aws.sagemaker.configs = {content(number): [content(number)] for number in range(60)}
    aws.sagemaker.models = [content(number) for number in range(60)]
    record(event(alarms=True))
    assert [len(request["AlarmNames"]) for request in aws.called("describe_alarms")] == [100, 100, 40]


def test_alarms_that_may_not_be_deleted_are_seen(aws: Aws) -> None:
    with_alarms(aws)
    aws.refuse("delete_alarms", "AccessDenied", "not you")
    answer = record(event(alarms=True))
    assert (answer["outcome"], answer["complete"]) == ("Promoted", False)
    assert "not you" in answer["error"]["cause"]


def test_recorded_twice_is_recorded_once(aws: Aws) -> None:
    first = record(event())
    before = table_of(aws).read_state()
    document = written(aws)
    assert record(event()) == first
    assert table_of(aws).read_state() == before
    assert written(aws) == document


@pytest.mark.parametrize("crash", range(1, 28))
def test_cut_off_anywhere_the_next_try_records_all_of_it(aws: Aws, crash: int) -> None:
    aws.sagemaker.endpoints["local-digits"] = [{"EndpointStatus": "InService", "EndpointConfigName": content(2)}]
    aws.crash_at(crash)
    with pytest.raises(Crash):
        record(event())
    aws.undisturbed()
    assert record(event())["complete"]
    state = table_of(aws).read_state()
    assert ((state.champion or {})["run_id"], (state.previous_champion or {})["run_id"]) == (RUN_ID, "r1")
    assert written(aws)["outcome"] == "Promoted"
    assert aws.sagemaker.models == [content(1), content(2)]


# -------------------------------------------------------------------------------------------------- clearing away


def test_what_nobody_needs_goes_and_the_rest_stays(aws: Aws) -> None:
    aws.sagemaker.endpoints["local-digits"] = [{"EndpointStatus": "InService", "EndpointConfigName": content(2)}]
    record(event())
    assert aws.sagemaker.models == list(aws.sagemaker.configs) == [content(1), content(2)]
    assert "local-digits" in aws.sagemaker.endpoints


def test_the_config_that_the_endpoint_is_on_stays_with_its_models(aws: Aws) -> None:
    """Whatever the state says: what serves, and what it is changing to, must not go."""
    aws.sagemaker.configs[content(0)] = [content(0), content(7)]
    aws.sagemaker.configs[content(8)] = [content(8)]
    aws.sagemaker.models += [content(7), content(8), content(9)]
    endpoint = {"EndpointStatus": "Updating", "EndpointConfigName": content(0)}
    pending = {"PendingDeploymentSummary": {"EndpointConfigName": content(8)}}
    aws.sagemaker.endpoints["local-digits"] = [{**endpoint, **pending}]
    record(event(outcome="Failed", failure=FAILED["failure"]))
    assert set(aws.sagemaker.configs) == {content(0), content(1), content(8)}
    assert set(aws.sagemaker.models) == {content(0), content(1), content(7), content(8)}


@pytest.mark.parametrize("endpoint", ["Failed", None])
def test_an_endpoint_that_never_came_up_goes(aws: Aws, endpoint: str | None) -> None:
    """Or there was none at all."""
    looks = [{"EndpointStatus": endpoint, "EndpointConfigName": content(2)}] if endpoint else []
    aws.sagemaker.endpoints["local-digits"] = looks
    answer = record(event(outcome="Failed", failure=FAILED["failure"]))
    assert answer["complete"]
    assert len(aws.called("delete_endpoint")) == (1 if endpoint else 0)
    assert list(aws.sagemaker.configs) == [content(1)]


def test_the_log_says_what_was_tidied(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    record(event())
    lines = {line["event"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert lines["tidied"]["deleted"] == [content(0), content(0)]
    recorded = lines["recorded"]
    assert (recorded["function"], recorded["pipeline"], recorded["run_id"]) == ("recorder", "digits", RUN_ID)
    assert (recorded["outcome"], recorded["error"]) == ("Promoted", None)


def test_the_models_of_the_state_are_needed() -> None:
    older = {"model_name": "m0", "endpoint_config_name": "c0"}
    needed = needed_by(State(champion={**OLD, **NEW}, previous_champion=OLD, retained=(older,)))
    assert needed.models == {"m0", content(1), content(2)}
    assert needed.endpoint_configs == {"c0", content(1), content(2)}
    assert needed_by(State()).models == frozenset()


# ------------------------------------------------------------------------------------------ when that can't be done


@pytest.mark.parametrize("operation", ["publish", "describe_endpoint", "list_models", "delete_endpoint_config"])
def test_what_goes_wrong_afterwards_is_seen_but_the_run_is_what_it_was(aws: Aws, operation: str) -> None:
    aws.refuse(operation, "AccessDeniedException", f"may not {operation}")
    answer = record(event())
    assert (answer["outcome"], answer["complete"]) == ("Promoted", False)
    error = written(aws)["error"]
    assert answer["error"] == error
    assert (error["state"], error["error"]) == ("Record", "AfterwardsFailed")
    assert f"may not {operation}" in error["cause"]
    assert len(aws.called("publish")) == 1 and aws.called("describe_endpoint"), "each is tried"


def test_all_that_went_wrong_is_told_together(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    aws.refuse("publish", "AccessDeniedException", "no topic")
    aws.refuse("list_models", "AccessDeniedException", "no list")
    answer = record(event(outcome=None, failure=FAILED["failure"]))
    causes = answer["error"]["cause"].split("; and ")
    assert causes[0] == "no instances"
    assert [words in cause for words, cause in zip(("no topic", "no list"), causes[1:], strict=True)] == [True, True]
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["level"] for line in told if line["event"] == "afterwards"] == ["ERROR", "ERROR"]


@pytest.mark.parametrize("operation", ["put_object", "get_execution_history", "get_object", "list_objects_v2"])
def test_a_model_that_serves_is_champion_whatever_is_missing_of_its_story(aws: Aws, operation: str) -> None:
    """Its record is in the table; else the endpoint would serve what the table doesn't name."""
    put(aws, "evaluation/evaluation.json", {"metric": "f1_macro"})
    aws.refuse(operation, "AccessDeniedException", f"may not {operation}")
    answer = record(event())
    assert (answer["outcome"], answer["complete"]) == ("Promoted", False)
    item = table_of(aws).read_run(RUN_ID) or {}
    assert (item["outcome"], item["candidate"], item["champion_after"]["run_id"]) == ("Promoted", CANDIDATE, RUN_ID)
    assert f"may not {operation}" in item["error"]["cause"]
    assert (table_of(aws).read_state().champion or {})["run_id"] == RUN_ID


@pytest.mark.parametrize("operation", ["get_item", "put_item"])
def test_what_cannot_be_recorded_is_raised(aws: Aws, operation: str) -> None:
    aws.refuse(operation, "AccessDeniedException", f"may not {operation}")
    with pytest.raises(Exception, match=f"may not {operation}"):
        record(event())


def test_a_batch_is_recorded_with_the_numbers_of_its_bad_rows(aws: Aws) -> None:
    job = {"TransformJobName": "answer", "TransformJobStatus": "Completed"}
    put(aws, "answers/deep/a.csv.out", b"1,x\n2,#BAD_ROW\n3,y\n")
    put(aws, "answers/b.csv.out", b"1,x")
    record(event(batch=job, deployment={"model_name": content(2)}))
    assert written(aws)["batch"] == {
        "job": "answer", "answers": f"s3://artifacts/{FOLDER}answers/", "files": 2, "rows": 4, "bad": 1,
        "bad_rows": {"deep/a.csv": [2]},
    }  # fmt: skip
    assert written(aws)["champion_after"]["model_name"] == content(2)
    assert "It answered 4 rows of 2 files; 1 of them have no answer." in aws.called("publish")[0]["Message"]
    assert aws.called("delete_endpoint"), "what an endpoint's kind has left goes"
    assert content(2) in aws.sagemaker.models


def test_what_a_stopped_run_has_asked_over_http_is_cleared_away_by_the_next(aws: Aws) -> None:
    """Also by one that deploys nothing."""
    aws.sagemaker.models += [content(8), content(9)]
    asked = {"AskChallenger": "digits-newcomer", "AskChampion": "digits-champion"}
    nothing = event(outcome="NotBetter", deployment=None, candidate=None, package=None, verification=None)
    before = set(aws.sagemaker.models)
    record(nothing)
    assert set(aws.sagemaker.models) == before
    record({**nothing, "jobs": {**nothing["jobs"], **asked}})
    assert not {content(8), content(9)} & set(aws.sagemaker.models)
