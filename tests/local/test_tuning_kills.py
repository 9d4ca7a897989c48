"""The embedded AWS is killed again and again in the middle of tuning: what was finished stays, the job completes."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from job_kit import Jobs
from running_aws import Aws, AwsFactory
from waiting import until

KILLS, TRIALS, SLOTS = 5, 10, 2
NAME, GROUP = "killed", "/aws/sagemaker/TrainingJobs"
SCRIPT = """
import time
print("begun", flush=True)
time.sleep(0.3)
print("f1=0.5;", flush=True)
"""


@pytest.mark.fidelity(
    "Tuning",
    "A trial that the service's fault cut off begins again where RetryStrategy says so, one that has ended doesn't.",
    "botocore: RetryStrategy of HyperParameterTrainingJobDefinition",
)
def test_tuning_goes_on_where_it_was_killed(fresh_aws: AwsFactory) -> None:
    aws = fresh_aws.start()
    aws.client("sagemaker").create_hyper_parameter_tuning_job(**tuning_request(Jobs(aws)))
    before: dict[str, Any] = {}
    begun: dict[str, int] = {}
    for _ in range(KILLS):
        before = at_least_completed(aws, len(before) + 1)
        assert described(aws)["HyperParameterTuningJobStatus"] == "InProgress"
        os.kill(aws.server.pid, signal.SIGKILL)
        aws = fresh_aws.start()
        after = completed(aws)
        assert {name: after.get(name) for name in before} == before, "as they were"
        begun = {**times_begun(aws, list(before)), **begun}
    until(lambda: described(aws)["HyperParameterTuningJobStatus"] != "InProgress", "the tuning job's end")
    job, trials = described(aws), completed(aws)
    assert job["HyperParameterTuningJobStatus"] == "Completed", job.get("FailureReason")
    assert job["TrainingJobStatusCounters"]["Completed"] == len(trials) == TRIALS
    assert job["ObjectiveStatusCounters"] == {"Succeeded": TRIALS, "Pending": 0, "Failed": 0}
    assert times_begun(aws, list(begun)) == begun, "none has begun again after it had ended"


def described(aws: Aws) -> dict[str, Any]:
    found: dict[str, Any] = aws.client("sagemaker").describe_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=NAME
    )
    return found


def at_least_completed(aws: Aws, count: int) -> dict[str, Any]:
    """The completed trials, once there are so many."""
    until(lambda: len(completed(aws)) >= count, f"{count} completed trials")
    return completed(aws)


def completed(aws: Aws) -> dict[str, Any]:
    """Every completed trial's summary, by its name."""
    pages = aws.client("sagemaker").get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
    listed = pages.paginate(HyperParameterTuningJobName=NAME, StatusEquals="Completed")
    return {one["TrainingJobName"]: one for page in listed for one in page["TrainingJobSummaries"]}


def times_begun(aws: Aws, trials: list[str]) -> dict[str, int]:
    """How often each of them has begun: more than once where a kill cut it off."""
    logs = aws.client("logs")
    found = {}
    for trial in trials:
        events = logs.filter_log_events(logGroupName=GROUP, logStreamNamePrefix=f"{trial}/")["events"]
        found[trial] = [event["message"] for event in events].count("begun")
    assert min(found.values()) > 0
    return found


def tuning_request(jobs: Jobs) -> dict[str, Any]:
    """A tuning job of the script."""
    limits = {"MaxNumberOfTrainingJobs": TRIALS, "MaxParallelTrainingJobs": SLOTS}
    retried = {"RetryStrategy": {"MaximumRetryAttempts": 2 * KILLS}}
    asked = jobs.tuning_request(jobs.source(SCRIPT), definition=retried, RandomSeed=0, ResourceLimits=limits)
    return {**asked, "HyperParameterTuningJobName": NAME}
