"""The recorder's documents: records, spot figures, rules' verdicts, and the things that it may clear away."""

from __future__ import annotations

import json
from typing import Any

import pytest
from common.state import State, Trigger, started, triggered
from recorder import approvals, documents, handler, spot_figures, training_figures
from recorder.handler import concluded
from recorder.housekeeping import configs_of, needed_by, should_not_be
from recorder.rule_verdicts import of_debugger, rule_verdicts

from contract import outcomes

RUN = {"pipeline": "digits", "run_id": "r2", "trigger": {"kind": "data", "at": "t", "detail": {}}, "forced": False}
CANDIDATE = {
    "run_id": "r2",
    "model_package_arn": "package",
    "model_data": "s3://m",
    "image_uri": "image",
    "score": 0.97,
    "metric": "f1_macro",
    "fingerprint": "f2",
}
DEPLOYMENT = {"model_name": "m2", "endpoint_config_name": "c2"}
OLD = {"run_id": "r1", "model_name": "m1", "endpoint_config_name": "c1", "fingerprint": "f1"}


def event(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = dict.fromkeys(
        ("plan", "training", "evaluation", "decision", "package", "candidate", "deployment", "verification", "failure")
    )
    named = {"endpoint_name": "e", "content_prefix": "p-", "execution_arn": "arn", "outcome": None}
    jobs = {"Train": "digits-r2-train", "Evaluate": "digits-r2-evaluate"}
    return {**document, **named, "run": RUN, "jobs": jobs, **changes}


PROMOTED = event(
    outcome="Promoted",
    plan={"fingerprint": "f2", "champion": OLD, "forced": False},
    decision={"promote": True, "reason": "better"},
    candidate=CANDIDATE,
    deployment=DEPLOYMENT,
)


def running(**fields: Any) -> State:
    state = triggered(State(**fields), [Trigger("data", "2026-11-20T10:00:00.000Z", {})])
    return started(state, "r2", "arn", "now")


def failure(cause: Any, error: str = "States.TaskFailed", state: str = "Train") -> dict[str, str]:
    return {"state": state, "error": error, "cause": cause if isinstance(cause, str) else json.dumps(cause)}


TRAINING = {"TrainingJobName": "digits-r2-train", "TrainingJobStatus": "Failed", "FailureReason": "AlgorithmError: no"}


def test_a_promotion_moves_the_champion_and_remembers_what_was_judged() -> None:
    state = concluded(running(champion=OLD), event=PROMOTED, at="now", retain=3)
    assert state.champion is not None and state.champion["endpoint_config_name"] == "c2"
    assert state.champion["promoted_at"] == "now"
    assert state.previous_champion == OLD
    assert state.last_judged_fingerprint == "f2"


@pytest.mark.parametrize(
    "outcome", ["NotBetter", "UpToDate", "WaitsForData", "RolledBack", "Failed", "Stopped", "StoppedByRule"]
)
def test_nothing_else_moves_it(outcome: str) -> None:
    before = running(champion=OLD)
    state = concluded(before, event={**PROMOTED, "outcome": outcome}, at="now", retain=3)
    assert state.champion == OLD
    assert state.last_judged_fingerprint == ("f2" if outcome == "NotBetter" else None)


ROLLBACK = {**RUN, "trigger": {"kind": "rollback", "at": "t", "detail": {"to": "r0"}}}
CHOSEN = {"promote": True, "reason": "chosen by ann: back to the model of run r0, away from run r1's"}
WENT_BACK = {
    **PROMOTED,
    "run": ROLLBACK,
    "decision": CHOSEN,
    "candidate": {**CANDIDATE, "run_id": "r0", "fingerprint": "f0"},
}


def test_a_rollback_judges_nothing() -> None:
    state = concluded(running(champion=OLD, last_judged_fingerprint="f1"), event=WENT_BACK, at="now", retain=3)
    assert state.last_judged_fingerprint == "f1"
    assert state.champion is not None
    assert (state.champion["run_id"], state.champion["promoted_by"]) == ("r0", "r2")


def test_what_a_person_went_back_from_is_remembered_and_only_that() -> None:
    state = concluded(running(champion=OLD), event=WENT_BACK, at="now", retain=3)
    assert state.withdrawn == ({"run_id": "r1", "fingerprint": "f1"},)
    assert concluded(state, event=WENT_BACK, at="later", retain=3) == state, "twice is as once"
    assert concluded(running(champion=OLD), event=PROMOTED, at="now", retain=3).withdrawn == ()
    taken_back = concluded(running(champion=OLD), event={**WENT_BACK, "outcome": "RolledBack"}, at="now", retain=3)
    assert (taken_back.champion, taken_back.withdrawn) == (OLD, ())


# ------------------------------------------------------------------------------------------------------------ approvals


def approved(event: dict[str, Any]) -> dict[str, tuple[str, str]]:
    found = approvals.updates(event, documents.outcome(event))
    return {each["ModelPackageArn"]: (each["ModelApprovalStatus"], each["ApprovalDescription"]) for each in found}


def test_after_a_rollback_the_registry_approves_what_serves_and_rejects_what_was_left() -> None:
    plan = {"fingerprint": "f0", "champion": {**OLD, "model_package_arn": "package of r1"}}
    assert approved({**WENT_BACK, "plan": plan}) == {
        "package": ("Approved", f"run r2: {CHOSEN['reason']}"),
        "package of r1": ("Rejected", f"run r2: {CHOSEN['reason']}"),
    }
    assert approved({**WENT_BACK, "plan": {**plan, "champion": None}}).keys() == {"package"}
    assert approved({**WENT_BACK, "plan": plan, "outcome": "RolledBack"}) == {}


def test_a_package_that_the_gate_let_through_and_production_did_not_is_rejected() -> None:
    wrong = {"state": "Verify", "error": "VerificationFailed", "cause": "example 3 of 5: no" + "!" * 2000}
    taken_back = event(
        outcome="RolledBack", plan={}, package="package", decision={"promote": True, "reason": "better"}, failure=wrong
    )
    ((status, why),) = approved(taken_back).values()
    assert (status, why[:43], len(why)) == ("Rejected", "run r2: RolledBack: example 3 of 5: no!!!!!", 1024)
    assert approved({**taken_back, "outcome": None}).keys() == {"package"}, "a run that failed in between"


def test_where_the_gate_has_had_the_last_word_it_stands() -> None:
    assert approved({**PROMOTED, "package": "package"}) == {}
    refused = {"promote": False, "reason": "not better"}
    assert approved({**PROMOTED, "package": "package", "outcome": "NotBetter", "decision": refused}) == {}
    assert approved(event(outcome="UpToDate", plan={})) == {}
    assert approved(event(failure=failure(TRAINING))) == {}


def test_a_record_holds_what_the_run_came_to_and_nothing_else() -> None:
    record = documents.run_record(
        event(plan={"fingerprint": "f2", "champion": None}, failure=failure(TRAINING)),
        begun={"started_at": "t0", "outcome": "Running"},
        state=running(),
        evaluation={"metric": "f1", "samples": [{"body": "secret"}]},
        timings={"Plan": 0.1, "Train": 2.0},
        at="t1",
    )
    assert record["outcome"] == "Failed"
    assert (record["started_at"], record["ended_at"]) == ("t0", "t1")
    assert record["jobs"] == {"train": "digits-r2-train"}
    assert record["evaluation"] == {"metric": "f1"}
    assert record["error"]["cause"] == "training job digits-r2-train failed: AlgorithmError: no"
    assert not {"decision", "deployment", "champion_before", "champion_after"} & record.keys()


def test_what_spot_came_to_is_of_the_training_or_of_the_job_that_failed() -> None:
    known = {"interruptions": 2, "training_seconds": 100, "billable_seconds": 30}
    assert spot_figures.figures({"spot": known}, None) == {**known, "saved": 0.7}
    assert spot_figures.figures({"status": "Completed"}, None) is None
    assert spot_figures.figures(None, None) is None
    assert spot_figures.figures(None, failure(TRAINING)) is None
    job = {
        **TRAINING,
        "EnableManagedSpotTraining": True,
        "SecondaryStatusTransitions": [{"Status": "Training"}, {"Status": "Interrupted"}],
        "TrainingTimeInSeconds": 10,
        "BillableTimeInSeconds": 4,
    }
    once = {"interruptions": 1, "training_seconds": 10, "billable_seconds": 4, "saved": 0.6}
    assert spot_figures.figures(None, failure(job)) == once
    rows = [{"job": f"digits-r2-train-{number}", "spot": known} for number in (1, 2)]
    last = {"spot": known, "description": {"TrainingJobName": "digits-r2-train-2"}}
    twice = {"interruptions": 4, "training_seconds": 200, "billable_seconds": 60, "saved": 0.7}
    assert spot_figures.figures(last, None, {"rows": rows}) == twice
    third = failure({**job, "TrainingJobName": "digits-r2-train-3"})
    assert spot_figures.figures(last, third, {"rows": rows})["interruptions"] == 5
    never = {"TrainingJobStatus": "Stopped", "EnableManagedSpotTraining": True}
    assert spot_figures.figures(None, failure(never)) == {"interruptions": 0}


def test_hyperparameters_and_what_the_log_told_are_kept_without_the_container_s_own() -> None:
    given = {"n-estimators": "100", "sagemaker_program": "train.py", "sagemaker_job_name": "j"}
    training = {"status": "Completed", "hyperparameters": given, "metrics": {"loss": 0.5, "lost": float("nan")}}
    kept = {"hyperparameters": {"n-estimators": "100"}, "metrics": {"loss": 0.5, "lost": "nan"}}
    assert training_figures.figures(training, None) == kept
    record = documents.run_record(
        event(training={**training, "environment": {}}, outcome="Promoted"),
        begun={},
        state=State(),
        evaluation=None,
        timings={},
        at="t",
    )
    assert {name: record[name] for name in kept} == kept


def test_a_record_says_on_which_instance_types_its_jobs_ran_and_no_more_what_it_waited_for() -> None:
    jobs = {"training": {"instance": "ml.m5.xlarge", "environment": {}}, "evaluation": {"instance": "ml.t3.medium"}}
    ran = event(outcome="Promoted", **jobs)
    begun = {"started_at": "s", "awaits_endpoint": {"token": "t0ken", "since": "s"}, "ends": "Promoted"}
    record = documents.run_record(ran, begun=begun, state=running(), evaluation=None, timings={}, at="now")
    assert record["instances"] == {"train": "ml.m5.xlarge", "evaluate": "ml.t3.medium"}
    assert record["started_at"] == "s" and not {"awaits_endpoint", "ends"} & record.keys()
    nothing = event(outcome="UpToDate", training=None, evaluation=None)
    record = documents.run_record(nothing, begun={}, state=running(), evaluation=None, timings={}, at="now")
    assert "instances" not in record


@pytest.mark.parametrize(("hosts", "kept"), [(2, {"hosts": 2}), (1, {}), (None, {})])
def test_a_record_says_how_many_hosts_have_trained(hosts: int | None, kept: dict[str, int]) -> None:
    ran = event(outcome="Promoted", training={"instance": "ml.m5.xlarge", "hosts": hosts, "environment": {}})
    record = documents.run_record(ran, begun={}, state=running(), evaluation=None, timings={}, at="now")
    assert {name: value for name, value in record.items() if name == "hosts"} == kept


def test_of_a_job_that_failed_they_are_in_its_description() -> None:
    told = {
        "HyperParameters": {"lr": "9"},
        "FinalMetricDataList": [{"MetricName": "loss", "Value": 7.5, "Timestamp": 1}],
    }
    figures = training_figures.figures(None, failure({**TRAINING, **told}))
    assert figures == {"hyperparameters": {"lr": "9"}, "metrics": {"loss": 7.5}}
    assert training_figures.figures(None, failure(TRAINING)) == {}
    assert training_figures.figures(None, failure("no instances")) == {}
    assert training_figures.figures(None, None) == {}
    assert training_figures.figures({"status": "Completed"}, None) == {}


def test_where_training_went_on_in_rounds_each_round_has_its_figures() -> None:
    training = {"status": "Completed", "hyperparameters": {"lr": "1"}, "metrics": {"loss": 0.5}}
    assert training_figures.figures(training, None, {"rows": [{"round": 1}]}) == {"hyperparameters": {"lr": "1"}}


def test_what_is_told_of_single_examples_stays_in_s3() -> None:
    parts = {"segments": [{"segment": "told in the decision"}], "classes": []}
    evaluation = {"metric": "f1", "samples": [{"body": "secret"}], "answers": {"differing": {"examples": ["secret"]}}}
    evaluation |= parts
    record = documents.run_record(
        event(outcome="Promoted"), begun={}, state=State(), evaluation=evaluation, timings={}, at="t"
    )
    assert record["evaluation"] == {"metric": "f1"}


@pytest.mark.parametrize(
    "outcome", ["Promoted", "NotBetter", "UpToDate", "WaitsForData", "RolledBack", "Stopped", "StoppedByRule", "Failed"]
)
def test_every_outcome_has_a_sentence_and_a_short_subject(outcome: str) -> None:
    run = {**RUN, "pipeline": "d" * 120}
    record = documents.run_record(
        event(outcome=outcome, run=run), begun={}, state=State(), evaluation=None, timings={}, at="now"
    )
    message = documents.notification(record, "s3://record")
    assert len(message["Subject"]) < 100
    assert "Run r2" in json.loads(message["Message"])["message"]
    assert message["MessageAttributes"]["outcome"]["StringValue"] == outcome


def test_what_serves_or_may_serve_again_is_kept() -> None:
    older = {"model_name": "m0", "endpoint_config_name": "c0"}
    state = State(champion={**OLD, **DEPLOYMENT}, previous_champion=OLD, retained=(older,))
    needed = needed_by(state)
    assert needed.models == {"m0", "m1", "m2"}
    assert needed.endpoint_configs == {"c0", "c1", "c2"}
    assert configs_of({"EndpointConfigName": "c", "PendingDeploymentSummary": {"EndpointConfigName": "d"}}) == {
        "c",
        "d",
    }


@pytest.mark.parametrize(
    ("status", "champion", "deleted"),
    [
        ("Failed", None, True),
        ("Failed", OLD, True),
        ("InService", None, True),
        ("InService", OLD, False),
        ("Updating", None, False),
        ("Creating", None, False),
    ],
)
def test_an_endpoint_that_nothing_was_promoted_to_goes(status: str, champion: Any, deleted: bool) -> None:
    assert should_not_be({"EndpointStatus": status}, State(champion=champion)) is deleted


# ------------------------------------------------------------------------------------------------------ rules' verdicts

CONFIGURED = [{"name": name, "rule": name, "action": "stop", "parameters": {}} for name in ("A", "B", "C")]
SAID = [
    {"name": "A", "rule": "A", "status": "NoIssuesFound", "step": 9, "delivered": True},
    {"name": "B", "rule": "B", "status": "InProgress", "step": 9, "reason": "fine so far"},
]
TOLD = {
    "name": "A", "rule": "A", "action": "stop", "status": "IssuesFound",
    "step": 10, "value": 7.5, "reason": "too much", "at": "now",
}  # fmt: skip


def verdicts(**changes: Any) -> dict[str, dict[str, Any]]:
    arguments = {"rules": CONFIGURED, "last": SAID, "issues": [], "stopped": False, **changes}
    found = rule_verdicts(arguments.pop("rules"), arguments.pop("last"), arguments.pop("issues"), **arguments)
    return {verdict["name"]: verdict for verdict in found}


def test_every_rule_has_a_verdict_and_silence_is_an_error() -> None:
    found = verdicts()
    assert found["A"] == {"name": "A", "rule": "A", "action": "stop", "status": "NoIssuesFound", "step": 9}
    assert found["C"]["status"] == "Error" and "does train.py make a Probe" in found["C"]["reason"]


def test_a_rule_that_nobody_configured_is_told_of_by_its_name() -> None:
    stranger = {"name": "D", "status": "IssuesFound"}
    assert verdicts(rules=[], last=[stranger, {"status": "Error"}], issues=[{**TOLD, "name": "E"}]) == {
        "D": stranger,
        "None": {"name": "None", "status": "Error"},
        "E": {**TOLD, "name": "E"},
    }


def test_what_training_was_cut_off_from_is_stopped() -> None:
    found = verdicts(stopped=True)
    assert {name: verdict["status"] for name, verdict in found.items()} == {
        "A": "NoIssuesFound",
        "B": "Stopped",
        "C": "Stopped",
    }


def test_what_the_stopper_was_told_outlives_what_was_copied_last() -> None:
    assert verdicts(issues=[TOLD])["A"] == TOLD
    assert verdicts(issues=[{**TOLD, "status": "Error"}])["A"]["status"] == "Error"


def test_what_sagemaker_debugger_found_is_read_from_its_words() -> None:
    met = "RuleEvaluationConditionMet: Evaluation of the rule A at step 500 resulted in the condition being met\n"
    job = {
        "DebugRuleEvaluationStatuses": [
            {"RuleConfigurationName": "A", "RuleEvaluationStatus": "IssuesFound", "StatusDetails": met},
            {"RuleConfigurationName": "B", "RuleEvaluationStatus": "InProgress"},
            {"RuleConfigurationName": "C", "RuleEvaluationStatus": "Error", "StatusDetails": "InternalServerError"},
        ]
    }
    found = verdicts(last=of_debugger(job))
    assert (found["A"]["status"], found["A"]["step"], found["A"]["reason"]) == ("IssuesFound", 500, met.strip())
    assert (found["B"]["status"], found["B"]["reason"]) == (
        "InProgress",
        "SageMaker was still evaluating it when the run was recorded",
    )
    assert (found["C"]["status"], found["C"]["reason"]) == ("Error", "InternalServerError")
    assert of_debugger({}) == []


@pytest.mark.parametrize(("seconds", "looks", "status"), [(30.0, 3, "NoIssuesFound"), (0.0, 1, "InProgress")])
def test_sagemaker_is_given_a_little_time_for_its_verdicts(
    monkeypatch: pytest.MonkeyPatch, seconds: float, looks: int, status: str
) -> None:
    asked: list[str] = []

    class SageMaker:
        def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803 - boto3's
            asked.append(TrainingJobName)
            word = "InProgress" if len(asked) < 3 else "NoIssuesFound"
            return {"DebugRuleEvaluationStatuses": [{"RuleConfigurationName": "A", "RuleEvaluationStatus": word}]}

    monkeypatch.setattr(handler, "client", lambda _service: SageMaker())
    monkeypatch.setattr(handler, "VERDICT_SECONDS", seconds)
    monkeypatch.setattr(handler, "VERDICT_PAUSE_SECONDS", 0.0)
    (verdict,) = handler.managed_verdicts("digits-r2-train")
    assert (verdict["status"], asked) == (status, ["digits-r2-train"] * looks)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_no_table_holds_are_text(value: float) -> None:
    assert verdicts(last=[{**SAID[0], "value": value}])["A"]["value"] == str(value)


STOPPED_TRAINING = {"status": "Stopped", "environment": {"RATCHET_RULES": json.dumps(CONFIGURED)}}


def test_a_rules_stop_is_told_with_step_and_reason() -> None:
    stopped = event(outcome="StoppedByRule", plan={"champion": OLD}, training=STOPPED_TRAINING, rounds=None)
    record = documents.run_record(
        stopped,
        begun={"started_at": "t0", "stopped_by": TOLD, "rule_verdicts": [TOLD]},
        state=running(champion=OLD),
        evaluation=None,
        rules=SAID,
        timings={"Train": 1.0},
        at="t1",
    )
    assert record["stopped_by"] == TOLD and "error" not in record
    assert [verdict["status"] for verdict in record["rules"]] == ["IssuesFound", "Stopped", "Stopped"]
    assert "keeps its champion: the rule A stopped training at step 10: too much. Run r2." in outcomes.sentence(record)
    assert json.loads(documents.notification(record, "s3://r")["Message"])["stopped_by"]["name"] == "A"


# -------------------------------------------------------------------------------------------------------------- tuning

BEST = {"number": 2, "job": "j-002-0a1b2c3d", "status": "Completed", "objective": 0.97, "values": {"depth": "7"}}
TUNED = {"job": "j", "because": "somebody asked for it", "made_from": "x", "manifests": "r0", "jobs": 20, "best": BEST}
TRAINED = {"environment": {}, "description": {"TrainingJobName": "t"}, "status": "Completed"}


def concluded_by(told: dict[str, Any], **state: Any) -> State:
    return concluded(running(**state), event=told, at="now", retain=3)


def test_what_a_tuning_job_found_is_kept_for_the_runs_after_it() -> None:
    told = {**PROMOTED, "training": TRAINED, "tuning": TUNED, "candidate": {**CANDIDATE, "tuned": {"depth": "7"}}}
    state = concluded_by(told, champion=OLD)
    assert state.tuning == {
        "at": "now",
        "best": {"depth": "7"},
        "run_id": "r2",
        "runs": 0,
        "last_run": "r2",
        "jobs": [{"job": "j", "made_from": "x", "manifests": "r0", "run_id": "r2"}],
    }
    assert state.champion and state.champion["tuned"] == {"depth": "7"}
    assert concluded(state, event=told, at="later", retain=3).tuning == state.tuning, "told twice it is the same"


def test_a_tuning_job_whose_model_lost_is_known_as_well() -> None:
    lost = event(outcome="NotBetter", plan={"fingerprint": "f2"}, training=TRAINED, tuning=TUNED)
    state = concluded_by(lost, champion={**OLD, "tuned": {"depth": "3"}})
    assert state.tuning and state.tuning["best"] == {"depth": "7"}
    assert state.champion and state.champion["tuned"] == {"depth": "3"}


def test_a_run_that_trained_is_counted_once() -> None:
    before = {"run_id": "r0", "at": "t", "best": {}, "runs": 4, "last_run": "r1", "jobs": []}
    told = event(outcome="NotBetter", plan={"fingerprint": "f2"}, training=TRAINED, tuning=None)
    state = concluded_by(told, tuning=before)
    assert state.tuning == {**before, "runs": 5, "last_run": "r2"}
    assert concluded(state, event=told, at="later", retain=3) == state
    idle = event(outcome="UpToDate", plan={"fingerprint": "f2"})
    assert concluded_by(idle, tuning=before).tuning == before, "it trained nothing"
    assert concluded_by(told).tuning is None, "a pipeline that never tunes counts nothing"


def test_no_more_tuning_jobs_are_remembered_than_may_be_parents() -> None:
    before = {"run_id": "r0", "last_run": "r1", "jobs": [{"job": str(number)} for number in range(10)]}
    told = event(outcome="NotBetter", plan={"fingerprint": "f2"}, training=TRAINED, tuning=TUNED)
    state = concluded_by(told, tuning=before)
    assert state.tuning and [entry["job"] for entry in state.tuning["jobs"]] == ["j", *map(str, range(9))]


def test_a_tuning_job_without_a_best_trial_leaves_all_as_it_was() -> None:
    without = {name: value for name, value in TUNED.items() if name != "best"}
    failed = event(failure=failure("no"), plan={"fingerprint": "f2"}, tuning=without)
    assert concluded_by(failed).tuning is None


def test_the_record_has_all_trials_or_why_there_are_none() -> None:
    told = {**PROMOTED, "training": TRAINED, "tuning": TUNED}
    state = running(champion=OLD)
    trials = [{"number": 1}, {"number": 2}]
    record = documents.run_record(
        told, begun={}, state=state, evaluation=None, timings={"Tune": 3.0}, trials=trials, at="now"
    )
    assert record["tuning"] == {**TUNED, "trials": trials}
    untuned = {**PROMOTED, "plan": {"fingerprint": "f2", "untuned": "it trains with the champion's hyperparameters"}}
    record = documents.run_record(untuned, begun={}, state=state, evaluation=None, timings={}, at="now")
    assert "tuning" not in record and record["untuned"] == "it trains with the champion's hyperparameters"


def test_the_verdicts_are_those_of_the_best_trials_rules() -> None:
    assert handler.tensors_of(event(tuning=TUNED)) == "train/tensors/j-002-0a1b2c3d"
    assert handler.tensors_of(event(round=2)) == "train/tensors/round-2"
    assert handler.tensors_of(event()) == "train/tensors"
