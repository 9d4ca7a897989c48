"""Pipelines that tune, deployed: tuning jobs through Step Functions, the champion's values, and what goes wrong."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from deployed import Pipeline, Scripted, opened
from running_aws import AwsFactory
from waiting import until

from contract import names
from contract.run_table import plain
from ratchet import tuned

# As good as its depth is near to 7; it needs nothing that takes long to import.
TRAIN = """
import json, os, sys, time
from pathlib import Path
from urllib.parse import urlsplit
from contract import environment
from toolkit.serving import save_serving_code

told = dict(zip(sys.argv[1::2], sys.argv[2::2]))
orders = json.loads((Path(os.environ["SM_CHANNEL_TRAIN"]) / "orders.json").read_text())
depth = int(told["--depth"])
accuracy = round(orders["best"] - abs(depth - 7) / 100, 4)
time.sleep(orders.get("seconds", 0))
if orders.get("raises"):
    raise ValueError("the training data are upside down")
if not orders.get("silent"):
    print(f"accuracy={accuracy}", flush=True)
job = os.environ["TRAINING_JOB_NAME"]
if orders.get("stops") == depth:
    import boto3
    status = {"RuleConfigurationName": "LossNotDecreasing", "RuleEvaluationStatus": "IssuesFound",
              "StatusDetails": json.dumps({"rule": "LossNotDecreasing", "step": 4, "reason": "it rises"})}
    detail = json.dumps({"TrainingJobName": job, "TrainingJobStatus": "InProgress",
                         "DebugRuleEvaluationStatuses": [status]})
    place = urlsplit(environment.of_this_job("RATCHET_VERDICTS", os.environ))
    boto3.client("s3").put_object(Bucket=place.netloc, Key=place.path[1:], Body=detail)
    entry = {"Source": "ratchet.rules", "DetailType": "SageMaker Training Job State Change", "Detail": detail}
    boto3.client("events", region_name=os.environ["AWS_REGION"]).put_events(Entries=[entry])
    time.sleep(4)  # a trial in a framework image isn't told of a stop
(Path(os.environ["SM_MODEL_DIR"]) / "model.json").write_text(json.dumps({**orders, "accuracy": accuracy}))
save_serving_code(os.environ["SM_MODEL_DIR"])
"""

TUNE: dict[str, Any] = {
    "strategy": "Grid",
    "objective": {"maximize": "accuracy"},
    "ranges": {"depth": {"categorical": [5, 7, 8]}},
    "parallel": 3,
}
LEARNING = {
    "strategy": "Random",
    "objective": {"maximize": "accuracy"},
    "ranges": {"depth": {"integer": [1, 20], "scale": "linear"}},
    "max_jobs": 2,
    "parallel": 2,
    "seed": 7,
    "warm_start": {"last": 2},
}
KILLS = 5
SPEC = {"train": {"instance": "ml.m5.large", "metrics": {"accuracy": "accuracy=([0-9.]+)"}}}
RULES = [{"rule": "LossNotDecreasing"}]
PIPELINES = {
    "tuned": Scripted({**SPEC, "tune": TUNE, "rules": RULES}, {"train.py": TRAIN}),
    "learning": Scripted({**SPEC, "tune": LEARNING}, {"train.py": TRAIN}),
    "resumed": Scripted({**SPEC, "tune": {**LEARNING, "max_jobs": KILLS + 2, "parallel": 1}}, {"train.py": TRAIN}),
}


@pytest.fixture
def pipeline(deployed: Callable[[str], Pipeline]) -> Pipeline:
    """A pipeline that has tuned once, and that nothing runs in."""
    return tuned_once(deployed("tuned"))


def tuned_once(pipeline: Pipeline) -> Pipeline:
    pipeline.idle()
    if "champion" not in pipeline.state:
        pipeline.order(best=0.8)
        assert pipeline.run()["outcome"] == "Promoted"
    return pipeline


def tuning_of(record: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = plain(record["tuning"])
    return found


def trial_jobs(pipeline: Pipeline, job: str) -> list[dict[str, Any]]:
    client = pipeline.aws.client("sagemaker")
    found: list[dict[str, Any]] = client.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=job
    )["TrainingJobSummaries"]
    return found


def test_the_first_run_tunes_and_its_best_trial_becomes_champion(pipeline: Pipeline) -> None:
    champion = pipeline.state["champion"]
    first = champion["run_id"]
    record = pipeline.item(f"run#{first}")
    tuning = tuning_of(record)
    assert tuning["job"] == names.tuning_job("local", "tuned", first)
    assert {row["values"]["depth"]: row["objective"] for row in tuning["trials"]} == {"5": 0.78, "7": 0.8, "8": 0.79}
    assert tuning["best"]["values"] == {"depth": "7"} == champion["tuned"]
    assert champion["model_data"].endswith(f"/{first}/train/{tuning['best']['job']}/output/model.tar.gz")
    assert record["hyperparameters"]["depth"] == "7"
    assert [state for state in pipeline.states(first) if state in ("Tune", "JudgeTrials", "Train")] == [
        "Tune",
        "JudgeTrials",
    ]
    key = f"runs/tuned/{first}/trials.json"
    body = pipeline.aws.client("s3").get_object(Bucket=pipeline.shared["ArtifactBucketName"], Key=key)["Body"].read()
    assert json.loads(body)["trials"] == tuning["trials"]
    tags = pipeline.aws.client("sagemaker").list_tags(
        ResourceArn=trial_jobs(pipeline, tuning["job"])[0]["TrainingJobArn"]
    )
    assert {"Key": "ratchet:run", "Value": first} in tags["Tags"], "a trial is its run's, for the stopper"
    assert (pipeline.ask(79), pipeline.ask(81)) == ("1", "0"), "it is right about 80 rows of a hundred"
    table = tuned.trials(plain(record))
    assert table and [row.objective for row in table.rows] == ["0.8", "0.79", "0.78"]


def test_the_next_run_trains_once_with_the_champions_hyperparameters(pipeline: Pipeline) -> None:
    pipeline.order(best=0.9)
    record = pipeline.run()
    assert record["outcome"] == "Promoted"
    assert "tuning" not in record and "Tune" not in pipeline.states(record["run_id"])
    assert record["untuned"] == "it trains with the champion's hyperparameters, tuned again by `ratchet run --tune`"
    job = f"local-tuned-{record['run_id']}-train"
    described = pipeline.aws.client("sagemaker").describe_training_job(TrainingJobName=job)
    assert described["HyperParameters"]["depth"] == "7"
    assert pipeline.state["champion"]["tuned"] == {"depth": "7"}
    assert int(pipeline.state["tuning"]["runs"]) >= 1


def test_a_rule_stops_its_trial_alone_and_another_goes_on(pipeline: Pipeline) -> None:
    pipeline.order(best=0.97, stops=7)
    record = pipeline.run(tune=True)
    assert record["outcome"] == "Promoted", record
    tuning = tuning_of(record)
    assert tuning["because"] == "somebody asked for it"
    rows = {row["values"]["depth"]: row for row in tuning["trials"]}
    assert (rows["7"]["status"], rows["7"]["stopped_by"]) == ("Stopped", "LossNotDecreasing")
    assert tuning["best"]["values"] == {"depth": "8"}
    assert "stopped_by" not in record, "the run went on"
    assert [verdict["training_job"] for verdict in record["rule_verdicts"]] == [rows["7"]["job"]]


def test_a_tuning_job_that_fails_names_what_a_trial_raised(pipeline: Pipeline) -> None:
    champion = pipeline.state["champion"]
    pipeline.order(best=0.99, raises=True)
    record = pipeline.run(tune=True)
    assert record["outcome"] == "Failed"
    assert record["error"]["state"] == "Tune"
    assert "No training job succeeded" in record["error"]["cause"]
    assert "the training data are upside down" in record["error"]["cause"]
    assert {row["status"] for row in tuning_of(record)["trials"]} == {"Failed"}
    assert pipeline.state["champion"] == champion


ROLES = [
    ("Workflow", "sagemaker:CreateHyperParameterTuningJob", "Tune"),
    ("JobsTraining", "s3:GetObject", "Tune"),
    ("RunTrials", "sagemaker:DescribeHyperParameterTuningJob", "JudgeTrials"),
    ("RunTrials", "sagemaker:ListTrainingJobsForHyperParameterTuningJob", "JudgeTrials"),
    ("RunTrials", "sagemaker:DescribeTrainingJob", "JudgeTrials"),
    ("RunTrials", "s3:PutObject", "JudgeTrials"),
]


@pytest.mark.parametrize(("role", "action", "state"), ROLES)
def test_a_role_that_lacks_an_action_is_named_with_it(pipeline: Pipeline, role: str, action: str, state: str) -> None:
    pipeline.order(best=0.99, lacking=action)
    name = pipeline.role(role)
    with pipeline.without(action, name):
        record = pipeline.run(tune=True)
    assert record["outcome"] == "Failed"
    assert action in record["error"]["cause"]
    assert name in record["error"]["cause"]
    assert record["error"]["state"] == state


@pytest.fixture
def learning(deployed: Callable[[str], Pipeline]) -> Pipeline:
    return tuned_once(deployed("learning"))


def test_a_tuning_job_learns_from_the_last_ones(learning: Pipeline) -> None:
    first = learning.state["champion"]["run_id"]
    learning.order(best=0.95)
    record = learning.run(tune=True)
    tuning = tuning_of(record)
    assert tuning["parents"] == [names.tuning_job("local", "learning", first)]
    described = learning.aws.client("sagemaker").describe_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=tuning["job"]
    )
    parents = [{"HyperParameterTuningJobName": parent} for parent in tuning["parents"]]
    assert described["WarmStartConfig"] == {
        "ParentHyperParameterTuningJobs": parents,
        "WarmStartType": "TransferLearning",
    }
    assert [entry["job"] for entry in learning.state["tuning"]["jobs"]][:2] == [tuning["job"], tuning["parents"][0]]


def test_a_planner_that_may_not_look_at_parents_is_named(learning: Pipeline) -> None:
    learning.order(best=0.96)
    name = learning.role("RunPlanner")
    with learning.without("sagemaker:DescribeHyperParameterTuningJob", name):
        record = learning.run(tune=True)
    assert record["error"]["state"] == "Plan"
    assert "sagemaker:DescribeHyperParameterTuningJob" in record["error"]["cause"] and name in record["error"]["cause"]


def completed(pipeline: Pipeline, job: str) -> dict[str, Any]:
    """The trials that have completed, each with the time of its end."""
    found = trial_jobs(pipeline, job)
    return {one["TrainingJobName"]: one["TrainingEndTime"] for one in found if one["TrainingJobStatus"] == "Completed"}


def test_a_run_that_is_cut_off_while_it_tunes_repeats_no_trial(fresh_deployed_aws: AwsFactory) -> None:
    """The runs that take its place, each cut off in its turn, go on with its tuning job; the last has the champion."""
    aws = fresh_deployed_aws.start()
    pipeline = opened(aws, "resumed", PIPELINES["resumed"])
    pipeline.order(best=0.9, seconds=2)
    run_id = pipeline.trigger()["run_id"]
    job = names.tuning_job("local", "resumed", run_id)
    listed = pipeline.aws.client("sagemaker").list_hyper_parameter_tuning_jobs
    until(lambda: listed(NameContains=job)["HyperParameterTuningJobSummaries"], "the tuning job")
    before: dict[str, Any] = {}
    for _ in range(KILLS):
        until(lambda: len(completed(pipeline, job)) > len(before), "another trial")  # noqa: B023 - it is waited for here
        before = completed(pipeline, job)
        assert "champion" not in pipeline.state
        os.kill(pipeline.aws.server.pid, signal.SIGKILL)
        pipeline = Pipeline(fresh_deployed_aws.start(), pipeline.name, pipeline.shared, pipeline.own)
        assert before.items() <= completed(pipeline, job).items(), "what had completed is as it was"

    until(lambda: "champion" in pipeline.state, "a champion")
    assert pipeline.item(f"run#{run_id}")["outcome"] == "Failed"
    champion = pipeline.idle()["champion"]
    record = pipeline.record(champion["run_id"])
    assert champion["run_id"] != run_id
    tuning = tuning_of(record)
    assert tuning["job"] == job, "the first run's"
    assert before.items() <= completed(pipeline, job).items()
    assert [row["status"] for row in tuning["trials"]].count("Completed") == len(tuning["trials"]) == KILLS + 2
    assert f"/{run_id}/train/{tuning['best']['job']}/" in champion["model_data"]
    visited = pipeline.states(champion["run_id"])
    assert "FollowTuning" in visited and "Tune" not in visited
    assert pipeline.ask(1) == "1"
