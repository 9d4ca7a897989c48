"""The embedded AWS is killed again and again in the middle of tuning: what was finished stays, the job completes."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from job_kit import Jobs
from running_aws import Aws, AwsFactory
from waiting import until

KILLS, TRIALS, SLOTS = 5, 8, 2
NAME = "killed"
# Whichever ran twice said so twice.
SCRIPT = """
import time
print("begun", flush=True)
time.sleep(0.3)
print("f1=0.5;", flush=True)
"""


@pytest.mark.fidelity(
    "Tuning",
    "A trial that has ended keeps its name, its values, its times and its objective while others run.",
    "botocore: HyperParameterTrainingJobSummary, and TrainingJobStatusCounters, Completed",
)
def test_tuning_goes_on_where_it_was_killed(fresh_aws: AwsFactory) -> None:
    aws = fresh_aws.start()
    request = tuning_request(Jobs(aws))
    aws.client("sagemaker").create_hyper_parameter_tuning_job(**request)
    for kill in range(1, KILLS + 1):
        before = at_least_completed(aws, kill)
        os.kill(aws.server.pid, signal.SIGKILL)
        aws = fresh_aws.start()
        after = completed(aws)
        assert {name: after.get(name) for name in before} == before, "as they were"
    job = until(lambda: ended(aws), f"{NAME} to end")
    assert job["HyperParameterTuningJobStatus"] == "Completed", job.get("FailureReason")
    trials = completed(aws)
    assert job["TrainingJobStatusCounters"]["Completed"] == len(trials)
    assert job["ObjectiveStatusCounters"] == {"Succeeded": len(trials), "Pending": 0, "Failed": 0}
    assert len({name.split("-")[-2] for name in trials}) == len(trials), "a number each"
    logged = {name: Jobs(aws).log_lines(name).count("begun") for name in before}
    assert set(logged.values()) == {1}, f"these ran again: {logged}"


def at_least_completed(aws: Aws, count: int) -> dict[str, Any]:
    """The completed trials, once there are so many."""
    until(lambda: len(completed(aws)) >= count, f"{count} completed trials")
    return completed(aws)


def ended(aws: Aws) -> dict[str, Any] | None:
    """The tuning job's description, once it has ended."""
    job = aws.client("sagemaker").describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=NAME)
    return job if job["HyperParameterTuningJobStatus"] not in ("InProgress", "Stopping") else None


def completed(aws: Aws) -> dict[str, Any]:
    """Every completed trial's summary, by its name."""
    pages = aws.client("sagemaker").get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
    listed = pages.paginate(HyperParameterTuningJobName=NAME, StatusEquals="Completed")
    return {one["TrainingJobName"]: one for page in listed for one in page["TrainingJobSummaries"]}


def tuning_request(jobs: Jobs) -> dict[str, Any]:
    """A tuning job of the script."""
    training = jobs.training_request(SCRIPT)
    members = ("RoleArn", "InputDataConfig", "OutputDataConfig", "ResourceConfig", "StoppingCondition")
    return {
        "HyperParameterTuningJobName": NAME,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "f1"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": TRIALS, "MaxParallelTrainingJobs": SLOTS},
            "ParameterRanges": {"ContinuousParameterRanges": [{"Name": "x", "MinValue": "0", "MaxValue": "1"}]},
            "RandomSeed": 0,
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": training["HyperParameters"],
            "AlgorithmSpecification": {
                **training["AlgorithmSpecification"],
                "MetricDefinitions": [{"Name": "f1", "Regex": "f1=([0-9.]+);"}],
            },
            **{member: training[member] for member in members},
        },
    }
