"""The embedded AWS is killed again and again in the middle of tuning: what was finished stays, the job completes."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from job_kit import Jobs
from running_aws import Aws, AwsFactory
from waiting import until

KILLS, SLOTS = 5, 2
# Two for each kill, which they wait for, and two that are left for when there are no more.
TRIALS = SLOTS * (KILLS + 1)
NAME, GROUP = "killed", "/aws/sagemaker/TrainingJobs"
# Ends when somebody listens at its port.
SCRIPT = """
import os, socket, time
print("begun", flush=True)
number = int(os.environ["TRAINING_JOB_NAME"].split("-")[-2])
while True:
    try:
        socket.create_connection(("127.0.0.1", {ports}[(number - 1) // {slots}])).close()
        break
    except ConnectionRefusedError:
        time.sleep(0.05)
print("f1=0.5;", flush=True)
"""


@pytest.fixture
def gates() -> Iterator[list[socket.socket]]:
    """Ports that nobody listens at yet, and nobody else can."""
    with ExitStack() as open_ones:
        found = [open_ones.enter_context(socket.socket()) for _ in range(KILLS + 1)]
        for gate in found:
            gate.bind(("127.0.0.1", 0))
        yield found


@pytest.mark.fidelity(
    "Tuning",
    "A trial that the service's fault cut off begins again where RetryStrategy says so, one that has ended doesn't.",
    "botocore: RetryStrategy of HyperParameterTrainingJobDefinition",
)
def test_tuning_goes_on_where_it_was_killed(fresh_aws: AwsFactory, gates: list[socket.socket]) -> None:
    fresh_aws.state.mkdir()
    # An interpreter would be made warm after each kill, for two or three scripts that need none.
    (fresh_aws.state / "settings.json").write_text('{"warm": false}')
    aws = fresh_aws.start()
    ports = [gate.getsockname()[1] for gate in gates]
    aws.client("sagemaker").create_hyper_parameter_tuning_job(**tuning_request(Jobs(aws), ports))
    before: dict[str, Any] = {}
    begun: dict[str, int] = {}
    for gate in gates[:KILLS]:
        gate.listen()
        before = at_least_completed(aws, len(before) + 1)
        assert described(aws)["HyperParameterTuningJobStatus"] == "InProgress"
        os.kill(aws.server.pid, signal.SIGKILL)
        aws = fresh_aws.start()
        after = completed(aws)
        assert {name: after.get(name) for name in before} == before, "as they were"
        begun = {**times_begun(aws, list(before)), **begun}
    gates[KILLS].listen()
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


def tuning_request(jobs: Jobs, ports: list[int]) -> dict[str, Any]:
    """A tuning job of the script."""
    script = SCRIPT.format(ports=ports, slots=SLOTS)
    limits = {"MaxNumberOfTrainingJobs": TRIALS, "MaxParallelTrainingJobs": SLOTS}
    retried = {"RetryStrategy": {"MaximumRetryAttempts": 2 * KILLS}}
    asked = jobs.tuning_request(jobs.source(script), definition=retried, RandomSeed=0, ResourceLimits=limits)
    return {**asked, "HyperParameterTuningJobName": NAME}
