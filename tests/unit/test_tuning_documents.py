"""A tuning job's document: counters, the best training job, summaries, events, and what its trials ask for."""

from __future__ import annotations

import pytest
from tuning_kit import METRIC, trial, tuning_job

from localaws.ministack_adapter.sagemaker_keys import request_keys
from localaws.ministack_adapter.sagemaker_requests import resource_arns
from localaws.sagemaker.core.validation import check_request, service_model
from localaws.sagemaker.jobs import shared_cores, tuning_documents, tuning_endings, tuning_study, tuning_warm_start
from localaws.sagemaker.jobs.tuning_study import Trial

SERVICE_FAULT = "InternalServerError: the job was cut off in status Training"
TRIALS = [
    trial(1, "Completed", 0.8),
    trial(2, "Stopped", 0.9),
    trial(3, "Completed"),
    trial(4, "Failed", 0.99, "AlgorithmError: it broke"),
    trial(5, "Failed", reason=SERVICE_FAULT),
    trial(6, "InProgress"),
    trial(7, "Stopping"),
]


@pytest.mark.fidelity(
    "Tuning",
    "Training jobs are counted as Completed, InProgress, RetryableError (the service's fault), NonRetryableError (the "
    "client's) and Stopped, their objectives as Succeeded, Pending and Failed (failed, or no metric emitted).",
    "botocore, sagemaker: TrainingJobStatusCounters, ObjectiveStatusCounters",
)
def test_training_jobs_and_their_objectives_are_counted() -> None:
    assert tuning_documents.counters(TRIALS) == {
        "TrainingJobStatusCounters": {
            "Completed": 2, "InProgress": 2, "RetryableError": 1, "NonRetryableError": 1, "Stopped": 1
        },
        "ObjectiveStatusCounters": {"Succeeded": 2, "Pending": 2, "Failed": 3},
    }  # fmt: skip


@pytest.mark.fidelity(
    "Tuning",
    "The best training job is one that has ended with the best value; its summary has its tuned hyperparameters alone.",
    "botocore, sagemaker: HyperParameterTrainingJobSummary",
)
def test_the_best_training_job_may_have_been_stopped_but_not_failed() -> None:
    best = tuning_documents.best(tuning_job(), TRIALS)
    assert best is not None
    assert best["TrainingJobName"] == "tune-002-0123abcd"
    assert best["FinalHyperParameterTuningJobObjectiveMetric"] == {"MetricName": METRIC, "Value": 0.9}
    assert best["TunedHyperParameters"] == {"lr": "0.01", "depth": "3", "kernel": "rbf"}
    assert (best["ObjectiveStatus"], best["TrainingJobStatus"]) == ("Succeeded", "Stopped")
    least = tuning_job(HyperParameterTuningJobObjective={"Type": "Minimize", "MetricName": METRIC})
    assert (tuning_documents.best(least, TRIALS) or {})["TrainingJobName"] == "tune-001-0123abcd"
    assert tuning_documents.best(tuning_job(), TRIALS[2:]) is None


def test_a_summary_fits_its_shape() -> None:
    shape = service_model().shape_for("HyperParameterTrainingJobSummary")
    for job in TRIALS:
        summary = tuning_documents.summary(tuning_job(definition={"DefinitionName": "one"}), job)
        assert set(shape.required_members) <= set(summary) <= set(shape.members)
        assert summary["TrainingJobDefinitionName"] == "one"
    failed = tuning_documents.summary(tuning_job(), TRIALS[3])
    assert (failed["ObjectiveStatus"], failed["FailureReason"]) == ("Failed", "AlgorithmError: it broke")
    assert "FinalHyperParameterTuningJobObjectiveMetric" not in failed


@pytest.mark.fidelity(
    "Tuning",
    "A trial's training job is <tuning job>-NNN-<8 hex>, with the static hyperparameters, its own and "
    "_tuning_objective_metric.",
    "SageMaker DG, Define Metrics; names in aws/sagemaker-python-sdk",
)
def test_a_trial_asks_for_what_its_tuning_job_says() -> None:
    vpc = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
    definition = {
        "VpcConfig": vpc, "Environment": {"A": "1"}, "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90},
        "RetryStrategy": {"MaximumRetryAttempts": 2},
        "OutputDataConfig": {"S3OutputPath": "s3://b/out", "KmsKeyId": "alias/k"},
    }  # fmt: skip
    document = tuning_job(definition={**definition, "CheckpointConfig": {"S3Uri": "s3://b/checkpoints/"}})
    name = tuning_documents.trial_name("tune", 7, "0123abcd")
    asked = tuning_documents.trial_request(document, name, {"lr": "0.5"})
    check_request("CreateTrainingJob", asked)
    assert asked["TrainingJobName"] == "tune-007-0123abcd"
    assert asked["HyperParameters"] == {
        "_tuning_objective_metric": METRIC, "classes": "10", "lr": "0.5", "sagemaker_program": '"train.py"',
        "sagemaker_submit_directory": '"s3://b/code.tar.gz"',
    }  # fmt: skip
    assert {member: asked[member] for member in definition} == definition
    assert asked["CheckpointConfig"] == {"S3Uri": "s3://b/checkpoints/tune-007-0123abcd"}
    assert tuning_documents.trial_number(name) == 7
    assert tuning_documents.trial_number("my-tune-job-1000-0123abcd") == 1000


@pytest.mark.fidelity(
    "EventBridge",
    "A tuning job's event has its times as strings of milliseconds and no BestTrainingJob.",
    "SageMaker DG, Events that Amazon SageMaker AI sends to Amazon EventBridge: hyperparameter tuning job state change",
)
def test_its_event_has_strings_for_times_and_no_best_job() -> None:
    document = {**tuning_job(), "LastModifiedTime": 101.5, "BestTrainingJob": {"CreationTime": 1.0}}
    detail = tuning_documents.event_detail(document)
    assert (detail["CreationTime"], detail["LastModifiedTime"]) == ("100000", "101500")
    assert "BestTrainingJob" not in detail
    assert detail["HyperParameterTuningJobConfig"] == document["HyperParameterTuningJobConfig"]


def test_its_description_fits_its_shape_and_tells_the_objective_among_the_static_hyperparameters() -> None:
    document = tuning_job()
    members = service_model().operation_model("DescribeHyperParameterTuningJob").output_shape.members
    assert set(document) <= set(members)
    assert document["TrainingJobDefinition"]["StaticHyperParameters"]["_tuning_objective_metric"] == METRIC
    assert document["HyperParameterTuningJobConfig"]["TrainingJobEarlyStoppingType"] == "Off"


@pytest.mark.fidelity(
    "Tuning",
    "KeepAlivePeriodInSeconds isn't kept: a tuning job, which reuses instances by itself, is described without it.",
    "aws-controllers-k8s/sagemaker-controller pull request 176",
)
def test_it_keeps_no_instances_warm_by_request() -> None:
    resources = {**tuning_job()["TrainingJobDefinition"]["ResourceConfig"], "KeepAlivePeriodInSeconds": 600}
    document = tuning_job(definition={"ResourceConfig": resources})
    assert document == tuning_job()
    assert "KeepAlivePeriodInSeconds" not in trial(1, "InProgress")["ResourceConfig"]


def test_a_job_without_a_seed_has_one_of_its_own() -> None:
    document, other = tuning_job(), tuning_job(name="other")
    for each in (document, other):
        del each["HyperParameterTuningJobConfig"]["RandomSeed"]
    assert tuning_documents.seed(tuning_job()) == 7
    assert tuning_documents.seed(document) == tuning_documents.seed(document) != tuning_documents.seed(other)


@pytest.mark.fidelity(
    "Tuning",
    "Five failures without a success end a tuning job: No training job succeeded after 5 attempts. ….",
    "aws/amazon-sagemaker-examples issues 2436, 2437",
)
def test_failures_without_a_success_end_it() -> None:
    failed = [trial(number, "Failed", reason="AlgorithmError: x") for number in range(1, 6)]
    assert tuning_endings.of_failures(failed[:4]) is None
    assert tuning_endings.of_failures([*failed[:4], trial(5, "InProgress")]) is None
    assert tuning_endings.of_failures([*failed, trial(6, "Completed", 0.5)]) is None
    ending = tuning_endings.of_failures(failed)
    assert ending is not None
    assert (ending.status, ending.reason) == (
        "Failed",
        "No training job succeeded after 5 attempts. For additional details, please take a look at the training job "
        "failures by listing training jobs for the hyperparameter tuning job.",
    )
    assert "after 3 attempts" in tuning_endings.of_all(failed[:3]).reason


def test_an_objective_that_is_never_printed_ends_it_too() -> None:
    silent = [trial(number, "Completed") for number in range(1, 6)]
    ending = tuning_endings.of_failures(silent)
    assert ending is not None
    assert ending.reason == (
        "None of 5 training jobs has reported the objective metric validation:f1: nothing that they printed matches "
        "its regular expression, f1=([0-9.]+). Print it, or correct AlgorithmSpecification.MetricDefinitions."
    )
    assert tuning_endings.of_all([*silent[:2], trial(3, "Completed", 0.5)]).status == "Completed"
    assert tuning_endings.of_all([]).status == "Completed"


@pytest.mark.fidelity(
    "Tuning",
    "OverallBestTrainingJob is the best of a tuning job and its parents, with the tuning job that started it.",
    "SageMaker API, DescribeHyperParameterTuningJob: OverallBestTrainingJob",
)
def test_the_overall_best_may_be_a_parents() -> None:
    parent = {**tuning_job("Completed", name="parent"), "BestTrainingJob": tuning_documents.best(tuning_job(), TRIALS)}
    own = tuning_documents.best(tuning_job(), TRIALS[:1])
    found = tuning_warm_start.overall_best(tuning_job(), own, [parent])
    assert found is not None
    assert (found["TrainingJobName"], found["TuningJobName"]) == ("tune-002-0123abcd", "parent")
    assert (tuning_warm_start.overall_best(tuning_job(), own, []) or {})["TuningJobName"] == "tune"
    assert tuning_warm_start.overall_best(tuning_job(), None, [tuning_job("Failed", name="parent")]) is None


def test_parents_trials_come_with_the_values_that_they_ran_with() -> None:
    inherited = tuning_study.inherited(tuning_job(), [[TRIALS[0], TRIALS[2]], [TRIALS[1], TRIALS[3]]])
    values = {"lr": "0.01", "depth": "3", "kernel": "rbf"}
    assert inherited == (
        Trial(1, values, "completed", 0.8, parent=True),
        Trial(2, values, "stopped", 0.9, parent=True),
    )


@pytest.mark.fidelity(
    "IAM",
    "CreateHyperParameterTuningJob has the condition keys of the training jobs that it starts; "
    "ListTrainingJobsForHyperParameterTuningJob is about its tuning job.",
    "Service Authorization Reference, Actions, resources, and condition keys for Amazon SageMaker",
)
def test_policies_see_what_the_training_jobs_ask_for() -> None:
    document = tuning_job(definition={"VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}})
    keys = request_keys("CreateHyperParameterTuningJob", document, lambda service, rest: f"{service}:{rest}")
    assert keys == {
        "sagemaker:InstanceTypes": ["ml.m5.large"], "sagemaker:NetworkIsolation": False,
        "sagemaker:VpcSubnets": ["subnet-1"], "sagemaker:VpcSecurityGroupIds": ["sg-1"],
        "sagemaker:InterContainerTrafficEncryption": False, "sagemaker:MaxRuntimeInSeconds": 60,
    }  # fmt: skip
    named = {"HyperParameterTuningJobName": "tune"}
    arn = "arn:aws:sagemaker:us-east-1:0:hyper-parameter-tuning-job/tune"
    assert resource_arns("us-east-1", "0", "ListTrainingJobsForHyperParameterTuningJob", named) == [arn]
    assert resource_arns("us-east-1", "0", "ListHyperParameterTuningJobs", {}) == ["*"]


def test_trials_that_run_at_once_share_the_cores() -> None:
    assert shared_cores.variables(1, 2) == {}
    assert shared_cores.remarks(1, 2, {}, "trials") == []
    assert shared_cores.variables(2, 2)["OMP_NUM_THREADS"] == "1"
    assert shared_cores.variables(2, 8)["LOKY_MAX_CPU_COUNT"] == "4"
    assert shared_cores.variables(4, 2)["OPENBLAS_NUM_THREADS"] == "1"
    [said] = shared_cores.remarks(2, 8, {"OMP_NUM_THREADS": "3"}, "trials")
    assert said == (
        "2 trials run at once on 8 cores: this one is told to use 4 threads by OMP_NUM_THREADS and its kin (of the "
        "request: OMP_NUM_THREADS=3)."
    )
