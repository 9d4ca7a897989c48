"""The judge of trials: all of them are written down, and the best one that may go on does."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from memory_aws import Aws, installed
from trials import handler

from contract import causes, files, names

RUN_ID = "20261120-101112-abcd"
JOB = names.tuning_job("local", "digits", RUN_ID)
RUN = {"pipeline": "digits", "run_id": RUN_ID, "trigger": {"kind": "data", "at": "t", "detail": {}}}
FOLDER = f"runs/digits/{RUN_ID}/"
START = datetime(2026, 11, 20, 10, 11, 12, tzinfo=UTC)
PLANNED = {
    "job": JOB,
    "because": "somebody asked for it",
    "ranges": {},
    "made_from": "x",
    "manifests": RUN_ID,
    "folder": RUN_ID,
}
EVENT: dict[str, Any] = {
    "run": RUN,
    "tuning": PLANNED,
    "metric": "f1",
    "better": "greater",
    "max_runtime": None,
    "failure": None,
}
RULES = [
    {"rule": "Overfit", "name": "stops", "parameters": {}, "action": "stop"},
    {"rule": "Overfit", "name": "tells", "parameters": {}, "action": "notify"},
]


def name(number: int) -> str:
    return f"{JOB}-{number:03d}-0a1b2c3d"


def model(number: int) -> str:
    return f"s3://artifacts/{FOLDER}train/{name(number)}/output/model.tar.gz"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    aws = installed(monkeypatch, ARTIFACT_BUCKET="artifacts")
    tuned(aws, [trial(1, 0.8), trial(2, 0.9), trial(3, 0.7)])
    return aws


def trial(number: int, objective: float | None, status: str = "Completed", **more: Any) -> dict[str, Any]:
    metric = {"FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "f1", "Value": objective}}
    return {
        "TrainingJobName": name(number),
        "TrainingJobStatus": status,
        "TunedHyperParameters": {"depth": str(number)},
        "TrainingStartTime": START,
        "TrainingEndTime": START + timedelta(seconds=number),
        **({} if objective is None else metric),
        **more,
    }


def tuned(aws: Aws, trials: list[dict[str, Any]], status: str = "Completed", **more: Any) -> None:
    rules = {"RATCHET_PIPELINE": "digits", "RATCHET_RULES": json.dumps(RULES)}
    aws.sagemaker.tuning_jobs[JOB] = {
        "HyperParameterTuningJobStatus": status,
        "CreationTime": START,
        "TrainingJobDefinition": {"Environment": rules},
        "TrainingJobStatusCounters": {"Completed": len(trials)},
        "ObjectiveStatusCounters": {"Succeeded": len(trials)},
        **more,
    }
    aws.sagemaker.trials[JOB] = trials
    aws.sagemaker.jobs = {one["TrainingJobName"]: described(one) for one in trials}


def described(one: dict[str, Any]) -> dict[str, Any]:
    values = {"depth": "1", "_tuning_objective_metric": "f1"}
    number = int(one["TunedHyperParameters"]["depth"])
    return {
        "TrainingJobStatus": one["TrainingJobStatus"],
        "SecondaryStatus": one["TrainingJobStatus"],
        "ModelArtifacts": {"S3ModelArtifacts": model(number)},
        "HyperParameters": values,
        "FinalMetricDataList": [{"MetricName": "f1", "Value": 0.9}],
        "TrainingTimeInSeconds": number,
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 30},
        "Environment": {"RATCHET_PIPELINE": "digits"},
    }


def judged(**changes: Any) -> dict[str, Any]:
    answer: dict[str, Any] = handler.handle({**EVENT, **changes}, None)
    return answer


def written(aws: Aws) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(aws.s3.objects["artifacts", FOLDER + files.TRIALS])
    return document


def test_the_best_trial_goes_on(aws: Aws) -> None:
    answer = judged()
    assert (answer["next"], answer["failure"]) == ("evaluate", None)
    assert answer["training"] == {
        "status": "Completed",
        "model_data": model(2),
        "metrics": {"f1": 0.9},
        "hyperparameters": {"depth": "1"},
        "seconds": 2,
        "instance": "ml.m5.large",
        "hosts": 2,
        "environment": {"RATCHET_PIPELINE": "digits"},
        "description": {
            "TrainingJobName": name(2),
            "TrainingJobStatus": "Completed",
            "SecondaryStatus": "Completed",
        },
    }
    assert answer["tuned"] == {"depth": "2"}
    assert answer["tuning"]["best"] == {
        "number": 2,
        "job": name(2),
        "status": "Completed",
        "values": {"depth": "2"},
        "objective": 0.9,
        "seconds": 2.0,
    }
    kept = {"job": JOB, "because": "somebody asked for it", "made_from": "x", "manifests": RUN_ID}
    figures = {"metric": "f1", "better": "greater", "status": "Completed", "jobs": 3, "seconds": 6.0}
    assert kept.items() <= answer["tuning"].items() and figures.items() <= answer["tuning"].items()
    assert answer["tuning"]["counters"] == {"Completed": 3, "Succeeded": 3}


def test_less_may_be_better(aws: Aws) -> None:
    assert judged(better="less")["tuning"]["best"]["number"] == 3


def test_all_trials_are_written_down(aws: Aws) -> None:
    judged()
    assert [one["number"] for one in written(aws)["trials"]] == [1, 2, 3]
    assert written(aws)["job"] == JOB


def says(aws: Aws, number: int, rule: str, status: str = "IssuesFound") -> None:
    """What the rules beside a trial have found."""
    word = {"DebugRuleEvaluationStatuses": [{"RuleConfigurationName": rule, "RuleEvaluationStatus": status}]}
    aws.s3.objects["artifacts", FOLDER + files.verdicts(name(number))] = json.dumps(word).encode()


def test_a_trial_that_a_rule_stopped_does_not_go_on(aws: Aws) -> None:
    tuned(aws, [trial(1, 0.8), trial(2, 0.9, "Stopped")])
    aws.s3.objects["artifacts", model(2).removeprefix("s3://artifacts/")] = b"saved"
    says(aws, 2, "stops")
    assert judged()["tuning"]["best"]["number"] == 1
    assert [one.get("stopped_by") for one in written(aws)["trials"]] == [None, "stops"]


@pytest.mark.parametrize(("rule", "status"), [("tells", "IssuesFound"), ("stops", "NoIssuesFound"), ("x", "Error")])
def test_a_trial_that_was_stopped_early_goes_on_if_it_is_the_best_and_left_a_model(
    aws: Aws, rule: str, status: str
) -> None:
    tuned(aws, [trial(1, 0.8), trial(2, 0.9, "Stopped")])
    says(aws, 2, rule, status)
    assert judged()["tuning"]["best"]["number"] == 1, "it saved none"
    aws.s3.objects["artifacts", model(2).removeprefix("s3://artifacts/")] = b"saved"
    answer = judged()
    assert (answer["tuning"]["best"]["number"], answer["training"]["status"]) == (2, "Stopped")


def test_trials_without_a_figure_or_that_failed_are_not_chosen(aws: Aws) -> None:
    tuned(aws, [trial(1, None), trial(2, 0.9, "Failed", FailureReason="AlgorithmError"), trial(3, 0.1)])
    assert judged()["tuning"]["best"]["number"] == 3


def test_a_tuning_job_that_failed_says_what_was_wrong_with_a_trial(aws: Aws) -> None:
    reason = "AlgorithmError: ExecuteUserScriptError:\nErrorMessage \"KeyError: 'f1'\", exit code: 1"
    trials = [trial(n, None, "Failed", FailureReason=reason) for n in (1, 2)]
    words = "No training job succeeded after 5 attempts."
    tuned(aws, trials, "Failed", FailureReason=words)
    task = {"state": "Tune", "error": "States.TaskFailed", "cause": "{}"}
    answer = judged(failure=task)
    assert (answer["next"], answer["training"], answer["tuned"]) == ("failed", None, None)
    failure = answer["failure"]
    assert failure["state"] == "Tune"
    assert failure["cause"].startswith(f"tuning job {JOB} failed: {words}\n{name(2)}: AlgorithmError")
    assert causes.gist(causes.readable(failure)["cause"]) == "KeyError: 'f1'"
    assert causes.outcome_of(failure) == "Failed"
    assert len(written(aws)["trials"]) == 2, "they are written down all the same"


def test_an_objective_that_no_trial_printed_is_named(aws: Aws) -> None:
    tuned(aws, [trial(1, None), trial(2, None)])
    cause = (
        f"tuning job {JOB}: none of its 2 training jobs printed a figure that matches train.metrics f1, the objective"
    )
    assert judged()["failure"] == {"state": "Tune", "error": "NoTrialSucceeded", "cause": cause}


def test_rules_that_stopped_all_are_told_of(aws: Aws) -> None:
    tuned(aws, [trial(1, 0.8, "Stopped"), trial(2, 0.9, "Stopped")])
    says(aws, 1, "stops")
    says(aws, 2, "stops")
    assert "none of its 2 training jobs, 2 of them stopped by a rule left a model" in judged()["failure"]["cause"]


def test_a_tuning_job_that_a_person_stopped_ends_the_run_stopped(aws: Aws) -> None:
    tuned(aws, [trial(1, 0.8)], "Stopped", HyperParameterTuningEndTime=START + timedelta(seconds=50))
    failure = judged(max_runtime=120)["failure"]
    assert causes.outcome_of(failure) == "Stopped"
    assert causes.readable(failure)["cause"] == (
        f"tuning job {JOB} was stopped (StopHyperParameterTuningJob) before it was done"
    )


def test_one_that_has_had_its_time_goes_on_with_the_best(aws: Aws) -> None:
    tuned(aws, [trial(1, 0.8)], "Stopped", HyperParameterTuningEndTime=START + timedelta(seconds=120))
    assert judged(max_runtime=120)["next"] == "evaluate"


def test_one_that_was_never_made_leaves_the_tasks_own_failure(aws: Aws) -> None:
    del aws.sagemaker.tuning_jobs[JOB]
    denied = {"state": "Tune", "error": "SageMaker.AccessDenied", "cause": "not authorized"}
    answer = judged(failure=denied)
    assert (answer["next"], answer["failure"]) == ("failed", denied)
    assert answer["tuning"]["job"] == JOB and "best" not in answer["tuning"]
    assert "there is no tuning job" in judged()["failure"]["cause"]


def test_one_that_the_run_gave_up_waiting_for_is_no_result(aws: Aws) -> None:
    tuned(aws, [trial(1, 0.8)], "InProgress")
    late = {"state": "Tune", "error": "States.Timeout", "cause": ""}
    assert judged(failure=late)["failure"] == late
    assert "is InProgress still" in judged()["failure"]["cause"]


def test_times_that_are_not_known_are_left_out(aws: Aws) -> None:
    one = trial(1, 0.8)
    del one["TrainingEndTime"]
    tuned(aws, [one])
    assert "seconds" not in judged()["tuning"]
    assert "seconds" not in written(aws)["trials"][0]
