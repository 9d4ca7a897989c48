"""A run that tunes: the real state machine, interpreted; each request is checked by botocore's own model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from run_world import IMAGE, MANIFESTS, PLAN, RUN_ID, SHARED, World, definition, make_spec, run, surroundings

from contract import names
from infra.workflow.machine import run_machine
from infra.workflow.steps.plan import spec_hash
from infra.workflow.tuning_request import Trials
from localaws.ministack_adapter.stepfunctions import jsonata
from localaws.states.definition import Checks, problems
from localaws.states.errors import StatesError
from ratchet.spec import PipelineSpec

RUN = f"s3://artifacts/runs/digits-forest/{RUN_ID}"
JOB = names.tuning_job("local", "digits-forest", RUN_ID)
TRIAL = f"{JOB}-002-0a1b2c3d"
RANGES = {
    "max-depth": {"integer": [1, 20], "scale": "linear"},
    "rate": {"continuous": [0.001, 0.1], "scale": "logarithmic"},
    "it's": {"categorical": ["sqrt", "log2"]},
}
TUNE: dict[str, Any] = {"objective": {"maximize": "f1"}, "ranges": RANGES, "max_jobs": 20, "parallel": 2}
PARAMETER_RANGES = {
    "IntegerParameterRanges": [{"Name": "max-depth", "MinValue": "1", "MaxValue": "20", "ScalingType": "Linear"}],
    "ContinuousParameterRanges": [
        {"Name": "rate", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Logarithmic"}
    ],
    "CategoricalParameterRanges": [{"Name": "it's", "Values": ["sqrt", "log2"]}],
}
VALUES = {"max-depth": "12", "rate": "0.01", "it's": "log2"}
TUNES = {
    **PLAN,
    "tuning": {"job": JOB, "because": "somebody asked for it", "ranges": PARAMETER_RANGES, "folder": RUN_ID},
}
TRAINS = {**PLAN, "tuned": VALUES, "untuned": "it trains with the champion's hyperparameters"}
MODEL = f"{RUN}/train/{TRIAL}/output/model.tar.gz"
BEST = {"number": 2, "job": TRIAL, "status": "Completed", "objective": 0.97, "values": VALUES}
TRAINING = {
    "status": "Completed",
    "model_data": MODEL,
    "metrics": {"f1": 0.97},
    "hyperparameters": {"n-estimators": "100", **VALUES},
    "seconds": 7,
    "environment": {"RATCHET_PIPELINE": "digits-forest"},
    "description": {"TrainingJobName": TRIAL, "TrainingJobStatus": "Completed"},
}
TUNING = {"job": JOB, "because": "somebody asked for it", "metric": "f1", "better": "greater", "jobs": 20, "best": BEST}
JUDGED = {"next": "evaluate", "training": TRAINING, "tuning": TUNING, "tuned": VALUES, "failure": None}
DESCRIBED = {"HyperParameterTuningJobName": JOB, "HyperParameterTuningJobStatus": "Completed"}


def spec_with(folder: Path, tune: dict[str, Any] | None = None, **changes: Any) -> PipelineSpec:
    said = {name: value for name, value in {**TUNE, **(tune or {})}.items() if value is not None}
    return make_spec(folder, **{"tune": said, **changes})


def world(plan: dict[str, Any] = TUNES, judged: dict[str, Any] = JUDGED, **answers: Any) -> World:
    known = {"createHyperParameterTuningJob": DESCRIBED, "trials": {"Payload": judged}}
    return World(plan=plan, answers={**known, **answers})


def tuning_request(ran: Any) -> dict[str, Any]:
    (request,) = ran.called("createHyperParameterTuningJob")
    return dict(request)


# ------------------------------------------------------------------------------------------------------- what happens


def test_a_run_that_tunes_judges_and_deploys_the_best_trials_model(tmp_path: Path) -> None:
    ran = run(spec_with(tmp_path), world())
    assert ran.error is None and ran.recorded["outcome"] == "Promoted"
    assert [state for state in ran.states if state in ("Tune", "JudgeTrials", "Train", "Evaluate")] == [
        "Tune",
        "JudgeTrials",
        "Evaluate",
    ]
    (evaluation,) = ran.called("createProcessingJob")
    inputs = {entry["InputName"]: entry["S3Input"]["S3Uri"] for entry in evaluation["ProcessingInputs"]}
    assert inputs["challenger"] == MODEL
    assert ran.recorded["training"] == TRAINING
    assert ran.recorded["tuning"] == TUNING
    assert ran.recorded["candidate"]["tuned"] == VALUES, "the champion keeps them"
    assert ran.recorded["jobs"]["Tune"] == JOB


def test_a_run_that_does_not_tune_trains_once_with_what_is_known(tmp_path: Path) -> None:
    ran = run(spec_with(tmp_path), world(TRAINS))
    assert not ran.called("createHyperParameterTuningJob") and not ran.called("trials")
    (request,) = ran.called("createTrainingJob")
    assert VALUES.items() <= request["HyperParameters"].items()
    assert request["HyperParameters"]["n-estimators"] == "100"
    assert request["Environment"]["RATCHET_RUN_ID"] == RUN_ID
    assert ran.recorded["candidate"]["tuned"] == VALUES
    assert (ran.recorded["tuning"], ran.recorded["jobs"]["Tune"]) == (None, "")


def test_a_run_that_knows_no_values_leaves_them_to_the_script(tmp_path: Path) -> None:
    spec = spec_with(tmp_path, {"first_run": False})
    ran = run(spec, world({**PLAN, "tuned": {}, "untuned": "it trains with train.py's own values"}))
    (request,) = ran.called("createTrainingJob")
    assert [name for name in request["HyperParameters"] if not name.startswith("sagemaker_")] == ["n-estimators"]
    assert ran.recorded["candidate"]["tuned"] == {}


def test_the_folder_is_open_to_training_while_the_trials_train(tmp_path: Path) -> None:
    calls = run(spec_with(tmp_path), world()).calls
    kinds = ("tagRole", "createHyperParameterTuningJob", "trials", "createProcessingJob")
    assert [name for name, _ in calls if name in kinds] == [
        "tagRole",
        "createHyperParameterTuningJob",
        "trials",
        "tagRole",
        "tagRole",
        "createProcessingJob",
    ]


def test_the_judge_is_told_what_it_judges_by(tmp_path: Path) -> None:
    ran = run(spec_with(tmp_path, {"max_runtime": "2h"}), world())
    (told,) = ran.called("trials")
    payload = told["Payload"]
    assert payload.pop("run")["run_id"] == RUN_ID
    rest = {"metric": "f1", "better": "greater", "max_runtime": 7200, "failure": None}
    assert payload == {"tuning": TUNES["tuning"], **rest}


def test_a_tuning_job_that_failed_is_judged_too_and_its_trials_cause_is_recorded(tmp_path: Path) -> None:
    failed = {"state": "Tune", "error": "NoTrialSucceeded", "cause": "tuning job x failed: …\nx-001: KeyError: 'f1'"}
    answer = {"next": "failed", "training": None, "tuning": {**TUNING, "best": None}, "tuned": None, "failure": failed}
    error = StatesError("States.TaskFailed", json.dumps({**DESCRIBED, "HyperParameterTuningJobStatus": "Failed"}))
    ran = run(spec_with(tmp_path), world(judged=answer, createHyperParameterTuningJob=error))
    (told,) = ran.called("trials")
    assert told["Payload"]["failure"]["state"] == "Tune"
    assert ran.recorded["failure"] == failed
    assert not ran.called("createProcessingJob")
    assert ran.recorded["tuning"]["jobs"] == 20


def test_a_judge_that_fails_fails_the_run_by_its_own_state(tmp_path: Path) -> None:
    broken = StatesError("ClientError", '{"errorMessage": "AccessDenied"}')
    ran = run(spec_with(tmp_path), world(trials=broken))
    assert ran.recorded["failure"] == {"state": "JudgeTrials", "error": "ClientError", "cause": broken.cause}


def test_a_tuning_job_that_goes_on_already_is_followed_and_not_made_again(tmp_path: Path) -> None:
    """The run that made it was cut off; its trials write its folder still."""
    first = "20261119-101112-abcd"
    plan = {**TUNES, "tuning": {**TUNES["tuning"], "folder": first, "adopted": True}}
    looks = [{**DESCRIBED, "HyperParameterTuningJobStatus": "InProgress"}, DESCRIBED]
    ran = run(spec_with(tmp_path), world(plan, describeHyperParameterTuningJob=looks))
    assert not ran.called("createHyperParameterTuningJob")
    assert ran.called("describeHyperParameterTuningJob") == [{"HyperParameterTuningJobName": JOB}] * 2
    assert ran.states.count("WaitForTuning") == 1 and ran.recorded["outcome"] == "Promoted"
    tags = [tag["Value"] for request in ran.called("tagRole") for tag in request["Tags"]]
    assert tags == [first, "none", RUN_ID]
    gone = StatesError("SageMaker.SageMakerException", "no")
    lost = run(spec_with(tmp_path), world(plan, describeHyperParameterTuningJob=gone))
    assert lost.called("trials")[0]["Payload"]["failure"]["state"] == "FollowTuning"


def test_a_tuning_job_waits_while_others_have_the_instances(tmp_path: Path) -> None:
    limit = "The account-level service limit 'ml.m5.large for training job usage' is 4 Instances"
    busy = StatesError("SageMaker.ResourceLimitExceededException", f"{limit}, with current utilization of 4 Instances")
    ran = run(spec_with(tmp_path), world(createHyperParameterTuningJob=[busy, DESCRIBED]))
    assert ran.states.count("TuneWaits") == 1 and ran.recorded["outcome"] == "Promoted"


# ----------------------------------------------------------------------------------------------------------- requests


def channel(name: str) -> dict[str, Any]:
    source = {"S3DataType": "ManifestFile", "S3Uri": MANIFESTS[name], "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "InputMode": "File", "DataSource": {"S3DataSource": source}}


def test_the_tuning_job(tmp_path: Path) -> None:
    request = tuning_request(run(spec_with(tmp_path), world()))
    request["TrainingJobDefinition"]["InputDataConfig"].sort(key=lambda entry: entry["ChannelName"])
    assert request == {
        "HyperParameterTuningJobName": JOB,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "f1"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 20, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": PARAMETER_RANGES,
            "TrainingJobEarlyStoppingType": "Off",
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": {
                "n-estimators": "100",
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": "s3://artifacts/code/digits-forest/c0de/sourcedir.tar.gz",
                "sagemaker_job_name": "local-digits-forest",
            },
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE.uri,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "f1", "Regex": "f1: ([0-9.]+)"}],
            },
            "InputDataConfig": [channel("extra-1"), channel("train")],
            "OutputDataConfig": {"S3OutputPath": f"{RUN}/train", "KmsKeyId": SHARED.key_arn},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
            "RetryStrategy": {"MaximumRetryAttempts": 2},
            "RoleArn": "arn:aws:iam::000000000000:role/Training",
            "Environment": {
                "RATCHET_ENVIRONMENT": "local",
                "RATCHET_PIPELINE": "digits-forest",
                "RATCHET_PROBE": '{"output":"s3://artifacts/runs/digits-forest/<run>/train/tensors/<job>/"}',
            },
        },
        "Tags": [
            {"Key": "ratchet:environment", "Value": "local"},
            {"Key": "ratchet:pipeline", "Value": "digits-forest"},
            {"Key": "ratchet:run", "Value": RUN_ID},
        ],
    }


def test_trials_hand_their_instances_on_without_being_told(tmp_path: Path) -> None:
    train = {"instance": "ml.m5.large", "keep_warm": "10m", "metrics": {"f1": "f1: ([0-9.]+)"}}
    definition = tuning_request(run(spec_with(tmp_path, train=train), world()))["TrainingJobDefinition"]
    assert definition["ResourceConfig"] == {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}


def test_all_that_the_spec_may_say_of_it(tmp_path: Path) -> None:
    said = {
        "strategy": "Random",
        "objective": {"minimize": "f1"},
        "max_runtime": "2h",
        "seed": 7,
        "early_stopping": True,
        "stop_when": {"target": 0.99, "not_improving": 5, "converged": True},
    }
    config = tuning_request(run(spec_with(tmp_path, said), world()))["HyperParameterTuningJobConfig"]
    assert config["Strategy"] == "Random" and config["RandomSeed"] == 7
    assert config["HyperParameterTuningJobObjective"]["Type"] == "Minimize"
    assert config["ResourceLimits"]["MaxRuntimeInSeconds"] == 7200
    assert config["TrainingJobEarlyStoppingType"] == "Auto"
    assert config["TuningJobCompletionCriteria"] == {
        "TargetObjectiveMetricValue": 0.99,
        "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 5},
        "ConvergenceDetected": {"CompleteOnConvergence": "Enabled"},
    }


def test_hyperband_and_grid(tmp_path: Path) -> None:
    hyperband = {"strategy": "Hyperband", "resource": {"min": 3, "max": 81}}
    config = tuning_request(run(spec_with(tmp_path, hyperband), world()))["HyperParameterTuningJobConfig"]
    assert config["StrategyConfig"] == {"HyperbandStrategyConfig": {"MinResource": 3, "MaxResource": 81}}
    grid = {"strategy": "Grid", "max_jobs": None, "ranges": {"x": {"categorical": [1, 2]}}, "parallel": 2}
    plan = {**TUNES, "tuning": {"job": JOB, "because": "x", "ranges": {}}}
    config = tuning_request(run(spec_with(tmp_path, grid), world(plan)))["HyperParameterTuningJobConfig"]
    assert config["ResourceLimits"] == {"MaxParallelTrainingJobs": 2}


WARM = {
    "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "local-digits-forest-0000000000"}],
    "WarmStartType": "TransferLearning",
}


def test_parents_are_those_of_the_plan(tmp_path: Path) -> None:
    spec = spec_with(tmp_path, {"warm_start": {"last": 2}})
    plan = {**TUNES, "tuning": {**TUNES["tuning"], "warm_start": WARM}}
    assert tuning_request(run(spec, world(plan)))["WarmStartConfig"] == WARM
    without = tuning_request(run(spec, world()))
    assert "WarmStartConfig" not in without, "the first tuning job has no parents"
    assert without == tuning_request(run(spec_with(tmp_path), world())), "and is otherwise the same"


def test_refined_ranges_are_those_of_the_plan(tmp_path: Path) -> None:
    spec = spec_with(tmp_path, {"warm_start": {"last": 1}, "refine": True})
    narrower = {"CategoricalParameterRanges": [{"Name": "it's", "Values": ["log2"]}]}
    plan = {**TUNES, "tuning": {**TUNES["tuning"], "ranges": narrower, "warm_start": WARM}}
    config = tuning_request(run(spec, world(plan)))["HyperParameterTuningJobConfig"]
    assert config["ParameterRanges"] == narrower


@pytest.mark.fidelity(
    "Tuning",
    "A tuning job with parents may not have another environment than theirs, so a trial's holds nothing of its run.",
    "aws/sagemaker-python-sdk #3693 (the fields of TrainingJobDefinition that are allowed to change)",
)
def test_what_trials_are_told_is_the_same_in_every_run(tmp_path: Path) -> None:
    spec = spec_with(tmp_path, rules=[{"rule": "LossNotDecreasing"}])
    one = tuning_request(run(spec, world()))["TrainingJobDefinition"]
    assert RUN_ID not in json.dumps(one["Environment"])
    assert one["Environment"]["RATCHET_VERDICTS"] == (
        "s3://artifacts/runs/digits-forest/<run>/train/verdicts/<job>.json"
    )
    assert RUN_ID not in json.dumps(one["StaticHyperParameters"])


def test_trials_on_spot_capacity(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("from toolkit import checkpoint\n")
    train = {"instance": "ml.m5.large", "max_runtime": "1h", "spot": {"max_wait": "2h"}, "metrics": {"f1": "f1: (.+)"}}
    one = tuning_request(run(spec_with(tmp_path, train=train), world()))["TrainingJobDefinition"]
    assert one["EnableManagedSpotTraining"] is True
    assert one["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200}
    assert one["CheckpointConfig"] == {"S3Uri": f"{RUN}/train/checkpoints"}


# ---------------------------------------------------------------------------------------------------- the definition


def test_the_planner_is_told_what_it_decides_by(tmp_path: Path) -> None:
    tune = {"warm_start": {"last": 2}, "refine": True, "every": "10 runs", "on": "drift"}
    (told,) = run(spec_with(tmp_path, tune), world()).called("planner")
    one = tuning_request(run(spec_with(tmp_path), world()))["TrainingJobDefinition"]
    assert told["Payload"]["tune"] == {
        "environment": "local",
        "first_run": True,
        "every": {"runs": 10, "seconds": None},
        "on_drift": True,
        "objective": {"Type": "Maximize", "MetricName": "f1"},
        "better": "greater",
        "ranges": PARAMETER_RANGES,
        "refine": True,
        "warm_start": {"last": 2, "jobs": [], "type": "TransferLearning"},
        "names": sorted([*RANGES, *one["StaticHyperParameters"]]),
        "variables": one["Environment"],
    }


@pytest.mark.parametrize("tune", [{}, {"warm_start": {"last": 5}, "refine": True, "max_runtime": "1d"}])
@pytest.mark.parametrize("rules", [[], [{"rule": "LossNotDecreasing"}]])
def test_step_functions_takes_the_definition(tmp_path: Path, tune: dict[str, Any], rules: list[Any]) -> None:
    text = json.dumps(definition(spec_with(tmp_path, tune, rules=rules)))
    assert problems(text, Checks(parse=jsonata.parse, resource=lambda _arn: None)) == []


def test_without_tune_nothing_of_it_is_there(tmp_path: Path) -> None:
    text = json.dumps(definition(make_spec(tmp_path)))
    for word in ("tun", "Trials", "HowToTrain", "HyperParameterTuningJob"):
        assert word not in text, word


def test_a_tuning_job_may_take_as_long_as_its_trials(tmp_path: Path) -> None:
    def seconds(**tune: Any) -> int:
        return int(definition(spec_with(tmp_path, tune))["States"]["Tune"]["TimeoutSeconds"])

    assert seconds(max_runtime="2h") == 7200 + 3600
    assert seconds(max_jobs=20, parallel=2) == 10 * (3600 + 900) + 3600
    assert seconds(max_jobs=20, parallel=20) == 3600 + 900 + 3600


def test_when_it_tunes_makes_no_other_model(tmp_path: Path) -> None:
    plain = spec_hash(spec_with(tmp_path))
    assert spec_hash(spec_with(tmp_path, {"every": "10 runs", "on": "drift"})) == plain
    assert spec_hash(spec_with(tmp_path, {"max_jobs": 21})) != plain
    assert spec_hash(make_spec(tmp_path)) != plain


def test_trials_are_named_by_the_pipeline(tmp_path: Path) -> None:
    at = surroundings(spec_with(tmp_path))
    (arn,) = Trials(completed="").job_arns(at)
    assert arn.endswith(":training-job/local-digits-forest-??????????-???-????????")
    assert [function.folder for function in run_machine(at).functions] == [
        "planner",
        "trials",
        "gate",
        "verifier",
        "recorder",
    ]
