"""Tuning jobs on the embedded AWS: through boto3 as their users do it, and through Step Functions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from job_kit import OBJECTIVE, Jobs
from resources import allow
from running_aws import Aws
from state_machines import machine
from waiting import until

Document = dict[str, Any]
# No import but what the interpreter has: a trial takes a fraction of a second.
SCORES = """
import os, sys
told = dict(zip(sys.argv[1::2], sys.argv[2::2]))
print("ARGUMENTS", *sorted(told))
print("THREADS", os.environ.get("OMP_NUM_THREADS"), os.environ.get("LOKY_MAX_CPU_COUNT"))
open(os.environ["SM_MODEL_DIR"] + "/lr.txt", "w").write(told["--lr"])
print("f1=" + told["--lr"] + ";")
"""
FAILS = "raise ValueError('no label 7 in the data')"
GOES_ON = """
import os, time
open(os.environ["SM_MODEL_DIR"] + "/partial.txt", "w").write("so far")
print("f1=0.5;", flush=True)
time.sleep(600)
"""
LEARNS = """
import sys, time
told = dict(zip(sys.argv[1::2], sys.argv[2::2]))
for epoch in range(6):
    print("f1=" + told["--lr"] + ";", flush=True)
    time.sleep(0.1)
time.sleep(600 if told["--lr"] == "0.1" else 0)
"""
RULE = "arn:aws:events:us-east-1:000000000000:rule/StepFunctionsGetEventsForSageMakerTuningJobsRule"
MANAGED_RULE = allow("events:PutTargets", "events:PutRule", "events:DescribeRule", resource=RULE)
OPERATIONS = ("Create", "Describe", "Stop")
TUNING = allow(*(f"sagemaker:{each}HyperParameterTuningJob" for each in OPERATIONS))
TAGS = allow("sagemaker:AddTags", "sagemaker:ListTags")


@pytest.fixture(scope="module")
def jobs(aws: Aws) -> Jobs:
    return Jobs(aws)


@pytest.fixture(scope="module")
def scripts(jobs: Jobs) -> dict[str, str]:
    """The source archives of the scripts."""
    texts = {"scores": SCORES, "fails": FAILS, "goes on": GOES_ON, "learns": LEARNS}
    return {name: jobs.source(text) for name, text in texts.items()}


def tuning_request(jobs: Jobs, source: str, *, definition: Document | None = None, **config: Any) -> Document:
    """A tuning job of three random trials, two at once, with a static hyperparameter."""
    static = {**jobs.script_mode(source), "classes": "10"}
    return jobs.tuning_request(source, definition={"StaticHyperParameters": static, **(definition or {})}, **config)


def ended(jobs: Jobs, name: str) -> Document:
    def look() -> Document | None:
        job: Document = jobs.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        return job if job["HyperParameterTuningJobStatus"] in ("Completed", "Failed", "Stopped") else None

    job: Document = until(look, f"{name} to end")
    return job


def trials_of(jobs: Jobs, name: str, **asked: Any) -> list[Document]:
    found: list[Document] = jobs.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name, **asked
    )["TrainingJobSummaries"]
    return found


def refusal(jobs: Jobs, request: Document) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        jobs.sagemaker.create_hyper_parameter_tuning_job(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


@pytest.fixture(scope="module")
def tuned(jobs: Jobs, scripts: dict[str, str]) -> Document:
    """A tuning job that is over."""
    request = tuning_request(jobs, scripts["scores"])
    jobs.sagemaker.create_hyper_parameter_tuning_job(**request, Tags=[{"Key": "team", "Value": "vision"}])
    return ended(jobs, request["HyperParameterTuningJobName"])


@pytest.mark.fidelity(
    "Tuning",
    "A tuning job's trials are training jobs with TuningJobArn, its tags, a model each; the summary has the value that "
    "the log told.",
    "SageMaker DG, How Hyperparameter Tuning Works, Define Metrics; SageMaker API, DescribeTrainingJob: TuningJobArn",
)
def test_trials_are_training_jobs(jobs: Jobs, tuned: Document) -> None:
    assert tuned["HyperParameterTuningJobStatus"] == "Completed", tuned.get("FailureReason")
    assert tuned["TrainingJobStatusCounters"]["Completed"] == tuned["ObjectiveStatusCounters"]["Succeeded"] == 3
    name, best = tuned["HyperParameterTuningJobName"], tuned["BestTrainingJob"]
    by_value = trials_of(jobs, name, SortBy="FinalObjectiveMetricValue", SortOrder="Descending")
    assert by_value[0]["TrainingJobName"] == best["TrainingJobName"]
    for summary in by_value:
        value = float(summary["TunedHyperParameters"]["lr"])
        assert summary["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == pytest.approx(value)
    job = jobs.sagemaker.describe_training_job(TrainingJobName=best["TrainingJobName"])
    assert job["TuningJobArn"] == tuned["HyperParameterTuningJobArn"]
    assert job["HyperParameters"]["_tuning_objective_metric"] == OBJECTIVE
    assert job["ModelArtifacts"]["S3ModelArtifacts"].endswith(f"{best['TrainingJobName']}/output/model.tar.gz")
    tags = jobs.sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "vision"}]
    log = jobs.log_lines(best["TrainingJobName"])
    assert "ARGUMENTS --classes --lr" in log, "the objective's name is for the container, not for the script"
    told = next(line for line in log if "trials run at once" in line)
    threads = next(line for line in log if line.startswith("THREADS")).split()[1:]
    assert f"use {threads[0]} thread" in told
    assert threads[0] == threads[1]


def test_tuning_jobs_are_listed_searched_and_deleted(jobs: Jobs, tuned: Document) -> None:
    name = tuned["HyperParameterTuningJobName"]
    listed = jobs.sagemaker.list_hyper_parameter_tuning_jobs(NameContains=name, StatusEquals="Completed")
    [summary] = listed["HyperParameterTuningJobSummaries"]
    assert (summary["Strategy"], summary["ResourceLimits"]["MaxNumberOfTrainingJobs"]) == ("Random", 3)
    filters = [{"Name": "HyperParameterTuningJobName", "Operator": "Equals", "Value": name}]
    found = jobs.sagemaker.search(Resource="HyperParameterTuningJob", SearchExpression={"Filters": filters})["Results"]
    assert [each["HyperParameterTuningJob"]["HyperParameterTuningJobStatus"] for each in found] == ["Completed"]
    assert len(trials_of(jobs, name, MaxResults=2)) == 2
    assert trials_of(jobs, name, StatusEquals="Failed") == []


@pytest.mark.fidelity(
    "Tuning",
    "A second job of one name is ResourceInUse, one that isn't there ResourceNotFound, in AWS's sentences.",
    "aws/amazon-sagemaker-examples issues 2440, 1540",
)
@pytest.mark.fidelity(
    "Tuning",
    "A tuning job whose training jobs would be refused is refused: a channel without objects, a role that isn't there.",
    "aws/amazon-sagemaker-examples: No S3 objects found under S3 URL … in CreateHyperParameterTuningJob",
)
def test_what_cannot_work_is_refused(jobs: Jobs, scripts: dict[str, str], tuned: Document) -> None:
    again = tuning_request(jobs, scripts["scores"])
    again["HyperParameterTuningJobName"] = name = tuned["HyperParameterTuningJobName"]
    assert refusal(jobs, again) == (
        "ResourceInUse",
        f"A hyperparameter tuning job with the name, {name}, already exists. Choose a different name.",
    )
    absent = r"ResourceNotFound.*can't find a tuning job called nobody\. Type another name"
    with pytest.raises(ClientError, match=absent):
        jobs.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="nobody")
    empty = jobs.channel("train", f"s3://{jobs.bucket}/nothing/")
    code, message = refusal(jobs, tuning_request(jobs, scripts["scores"], definition={"InputDataConfig": [empty]}))
    assert code == "ValidationException"
    assert "No S3 objects found under S3 URL" in message
    many = {"InstanceType": "ml.m5.large", "InstanceCount": 21, "VolumeSizeInGB": 5}
    code, message = refusal(jobs, tuning_request(jobs, scripts["scores"], definition={"ResourceConfig": many}))
    assert "with current utilization of 0 Instances and a request delta of 21 Instances" in message
    code, message = refusal(jobs, tuning_request(jobs, scripts["scores"], definition={"RoleArn": jobs.role + "-gone"}))
    assert "Could not assume role" in message


def test_a_stop_stops_the_trials_at_once_and_keeps_their_models(jobs: Jobs, scripts: dict[str, str]) -> None:
    request = tuning_request(jobs, scripts["goes on"])
    name = request["HyperParameterTuningJobName"]
    jobs.sagemaker.create_hyper_parameter_tuning_job(**request)
    running = until(lambda: len(found := trials_of(jobs, name)) == 2 and found, "two trials")
    for trial in running:
        jobs.until_logged(trial["TrainingJobName"], "f1=0.5;")
    jobs.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    done = ended(jobs, name)
    assert done["HyperParameterTuningJobStatus"] == "Stopped"
    assert done["TrainingJobStatusCounters"]["Stopped"] == done["ObjectiveStatusCounters"]["Succeeded"] == 2
    for trial in trials_of(jobs, name):
        assert f"out/{trial['TrainingJobName']}/output/model.tar.gz" in jobs.keys("out/")
    jobs.sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    with pytest.raises(ClientError, match="ResourceNotFound"):
        trials_of(jobs, name)


def test_a_trial_that_learns_worse_than_others_ends_early(jobs: Jobs, scripts: dict[str, str]) -> None:
    request = tuning_request(
        jobs,
        scripts["learns"],
        Strategy="Grid",
        TrainingJobEarlyStoppingType="Auto",
        ResourceLimits={"MaxParallelTrainingJobs": 1},
        ParameterRanges={"CategoricalParameterRanges": [{"Name": "lr", "Values": ["0.8", "0.9", "0.1"]}]},
    )
    jobs.sagemaker.create_hyper_parameter_tuning_job(**request)
    done = ended(jobs, request["HyperParameterTuningJobName"])
    assert done["HyperParameterTuningJobStatus"] == "Completed", done.get("FailureReason")
    told = [
        (trial["TunedHyperParameters"]["lr"], trial["TrainingJobStatus"])
        for trial in trials_of(jobs, request["HyperParameterTuningJobName"])
    ]
    assert told == [("0.8", "Completed"), ("0.9", "Completed"), ("0.1", "Stopped")]
    assert done["BestTrainingJob"]["TunedHyperParameters"] == {"lr": "0.9"}


# ----------------------------------------------------------------------------------------------- through Step Functions


def task(request: Document, **fields: Any) -> Document:
    resource = "arn:aws:states:::sagemaker:createHyperParameterTuningJob.sync"
    return {"T": {"Type": "Task", "Resource": resource, "Arguments": request, "End": True, **fields}}


@pytest.fixture(scope="module")
def pass_role(jobs: Jobs) -> Document:
    condition = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    return {**allow("iam:PassRole", resource=jobs.role), "Condition": condition}


@pytest.mark.fidelity(
    "Step Functions",
    "createHyperParameterTuningJob.sync answers with the tuning job's description, BestTrainingJob in it; its managed "
    "rule is StepFunctionsGetEventsForSageMakerTuningJobsRule.",
    "Step Functions DG, Create and manage Amazon SageMaker AI jobs with Step Functions; "
    "aws/aws-step-functions-data-science-sdk-python, README: IAM policy",
)
def test_sync_returns_the_description_of_the_finished_job(
    aws: Aws, jobs: Jobs, scripts: dict[str, str], pass_role: Document
) -> None:
    request = tuning_request(jobs, scripts["scores"])
    ended_execution = machine(aws, task(request), MANAGED_RULE, TUNING, TAGS, pass_role).run()
    assert ended_execution["status"] == "SUCCEEDED", ended_execution
    output = ended_execution["output"]
    assert output["HyperParameterTuningJobStatus"] == "Completed"
    assert output["BestTrainingJob"]["TrainingJobStatus"] == "Completed"
    assert output["HyperParameterTuningEndTime"] > 1_600_000_000_000, "epoch milliseconds"
    tags = jobs.sagemaker.list_tags(ResourceArn=output["BestTrainingJob"]["TrainingJobArn"])["Tags"]
    assert tags == [{"Key": "MANAGED_BY_AWS", "Value": "STARTED_BY_STEP_FUNCTIONS"}]


def test_a_tuning_job_that_fails_fails_the_task(
    aws: Aws, jobs: Jobs, scripts: dict[str, str], pass_role: Document
) -> None:
    limits = {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1}
    request = tuning_request(jobs, scripts["fails"], ResourceLimits=limits)
    failed = machine(aws, task(request), MANAGED_RULE, TUNING, TAGS, pass_role).run()
    assert failed["error"] == "States.TaskFailed"
    assert json.loads(failed["cause"])["FailureReason"].startswith("No training job succeeded after 1 attempts.")
    [trial] = trials_of(jobs, request["HyperParameterTuningJobName"])
    assert "ValueError: no label 7 in the data" in trial["FailureReason"]


@pytest.mark.fidelity(
    "Step Functions",
    "Stopping an execution stops the tuning job that it waits for.",
    "Step Functions DG, Run a job (.sync)",
)
def test_stopping_the_execution_stops_the_tuning_job(
    aws: Aws, jobs: Jobs, scripts: dict[str, str], pass_role: Document
) -> None:
    request = tuning_request(jobs, scripts["goes on"])
    name = request["HyperParameterTuningJobName"]
    waiting = machine(aws, task(request), MANAGED_RULE, TUNING, TAGS, pass_role)
    execution = waiting.start()
    until(lambda: any(each["type"] == "TaskSubmitted" for each in waiting.history(execution)), "the tuning job")
    until(lambda: trials_of(jobs, name), "a trial")
    waiting.sfn.stop_execution(executionArn=execution)
    assert waiting.ended(execution)["status"] == "ABORTED"
    assert ended(jobs, name)["HyperParameterTuningJobStatus"] == "Stopped"


@pytest.mark.fidelity(
    "Step Functions",
    "createHyperParameterTuningJob.sync needs Create…, Describe…, AddTags, ListTags and iam:PassRole.",
    "Step Functions DG, IAM policies for calling Amazon SageMaker AI with Step Functions",
)
@pytest.mark.parametrize(
    ("lacking", "says"),
    [
        ("create", "sagemaker:CreateHyperParameterTuningJob on resource: arn:aws:sagemaker:us-east-1:0"),
        ("describe", "sagemaker:DescribeHyperParameterTuningJob on resource: arn:aws:sagemaker:us-east-1:0"),
        ("pass", "iam:PassRole on resource: arn:aws:iam::000000000000:role/"),
        ("add tags", "sagemaker:AddTags on resource: arn:aws:sagemaker:us-east-1:000000000000:hyper-parameter-tuning-"),
        ("list tags", "sagemaker:ListTags on resource: arn:aws:sagemaker:us-east-1:000000000000:hyper-parameter-"),
    ],
)
def test_each_permission_that_is_missing_is_named(
    aws: Aws, jobs: Jobs, scripts: dict[str, str], pass_role: Document, lacking: str, says: str
) -> None:
    statements = {
        "create": allow("sagemaker:CreateHyperParameterTuningJob"),
        "describe": allow("sagemaker:DescribeHyperParameterTuningJob"),
        "pass": pass_role,
        "add tags": allow("sagemaker:AddTags"),
        "list tags": allow("sagemaker:ListTags"),
    }
    del statements[lacking]
    refused = machine(aws, task(tuning_request(jobs, scripts["scores"])), MANAGED_RULE, *statements.values()).run()
    assert refused["error"] == "SageMaker.AmazonSageMakerException"
    assert f"is not authorized to perform: {says}" in refused["cause"]
