"""Managed spot training on the embedded AWS: instances are taken, by command and by schedule, and jobs go on."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from job_kit import GOES_ON_UNTIL_STOPPED, Jobs
from running_aws import Aws, AwsFactory
from waiting import until

from localaws import spot_command
from localaws.sagemaker.jobs.spot_market import Interruption

# Counts to `goal` in small steps, with a checkpoint a step when `saves`; says where each container began.
COUNTS = """
import argparse, os, pathlib, signal, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("--goal", type=int)
parser.add_argument("--saves", default="yes")
known = parser.parse_known_args()[0]
saved = pathlib.Path("/opt/ml/checkpoints/count")
count = int(saved.read_text()) if saved.exists() else 0
print(f"begins at {count}", flush=True)
mark = pathlib.Path("/tmp/mark")
print(f"marked before: {mark.exists()}", flush=True)
mark.touch()
signal.signal(signal.SIGTERM, lambda *_: print("told to end", flush=True))
while count < known.goal:
    time.sleep(0.02)
    count += 1
    if known.saves == "yes":
        new = saved.with_suffix(".new")
        new.write_text(str(count))
        new.rename(saved)
    print(f"count={count}", flush=True)
pathlib.Path(os.environ["SM_MODEL_DIR"], "count.txt").write_text(str(count))
"""
SPOT: dict[str, Any] = {"EnableManagedSpotTraining": True}
ABRUPT = Interruption(notice=0, absence=0)


def spot_request(jobs: Jobs, script: str, *, max_runtime: int = 300, max_wait: int = 600, **changes: Any) -> Any:
    limits = {"MaxRuntimeInSeconds": max_runtime, "MaxWaitTimeInSeconds": max_wait}
    return jobs.hearing_request(script, **SPOT, StoppingCondition=limits, **changes)


def counting(jobs: Jobs, goal: int, saves: str = "yes", **changes: Any) -> Any:
    request = spot_request(jobs, COUNTS, **changes)
    request["HyperParameters"] |= {"goal": json.dumps(goal), "saves": json.dumps(saves)}
    if saves == "yes":
        request["CheckpointConfig"] = {"S3Uri": f"s3://{jobs.bucket}/checkpoints/{request['TrainingJobName']}"}
    return request


@pytest.fixture(scope="module")
def jobs(aws: Aws) -> Jobs:
    return Jobs(aws)


@pytest.fixture
def scheduled(fresh_aws: AwsFactory) -> Iterator[Any]:
    """Starts an AWS whose market is the given one."""

    def start(**market: Any) -> Jobs:
        fresh_aws.state.mkdir(parents=True)
        (fresh_aws.state / "settings.json").write_text(json.dumps({"spot": market}))
        return Jobs(fresh_aws.start())

    yield start


def statuses(job: Any) -> list[str]:
    return [step["Status"] for step in job["SecondaryStatusTransitions"]]


def lines(jobs: Jobs, name: str, beginning: str) -> list[str]:
    return [line for line in jobs.log_lines(name) if line.startswith(beginning)]


@pytest.mark.fidelity(
    "Spot training",
    "An interrupted job goes Training, Interrupted, Starting, Downloading, Training, and finds its checkpoints.",
    "SageMaker DG, Managed Spot Training Lifecycle",
)
def test_an_interrupted_job_goes_on_from_its_checkpoint_on_a_new_instance(jobs: Jobs, aws: Aws) -> None:
    request = counting(jobs, goal=150)
    name = request["TrainingJobName"]
    jobs.sagemaker.create_training_job(**request)
    jobs.until_logged(name, "count=20")
    assert spot_command.main(["interrupt", name, "--state", str(aws.state), "--notice", "0", "--absence", "0.1"]) == 0
    job = jobs.ended(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    on_an_instance = ["Downloading", "Training"]
    assert statuses(job) == [
        "Starting",
        *on_an_instance,
        "Interrupted",
        "Starting",
        *on_an_instance,
        "Uploading",
        "Completed",
    ]
    begun = [int(line.rpartition(" ")[2]) for line in lines(jobs, name, "begins at")]
    assert begun[0] == 0
    assert 20 <= begun[1] < 150
    assert lines(jobs, name, "marked") == ["marked before: False"] * 2, "each container has a /tmp of its own"


@pytest.mark.fidelity(
    "Spot training",
    "TrainingTimeInSeconds leaves out what was waited; BillableTimeInSeconds is below it.",
    "SageMaker DG, Managed Spot Training: savings",
)
def test_time_without_an_instance_is_not_training_time_and_spot_is_cheaper(jobs: Jobs) -> None:
    request = counting(jobs, goal=150)
    name = request["TrainingJobName"]
    jobs.sagemaker.create_training_job(**request)
    jobs.until_logged(name, "count=5")
    spot_command.interrupt(jobs.aws.server, name, Interruption(notice=0, absence=3))
    job = jobs.ended(name)
    whole = (job["TrainingEndTime"] - job["TrainingStartTime"]).total_seconds()
    waited = [
        (step["EndTime"] - step["StartTime"]).total_seconds()
        for step in job["SecondaryStatusTransitions"]
        if step["Status"] == "Interrupted"
    ]
    assert sum(waited) >= 3
    assert job["TrainingTimeInSeconds"] <= whole - 3 + 1
    assert 1 <= job["BillableTimeInSeconds"] < job["TrainingTimeInSeconds"]


@pytest.mark.fidelity(
    "Spot training",
    "SIGTERM comes before the instance goes.",
    "SageMaker DG, Managed Spot Training in Amazon SageMaker AI",
)
def test_a_script_is_told_before_its_instance_goes(jobs: Jobs) -> None:
    request = counting(jobs, goal=150)
    name = request["TrainingJobName"]
    jobs.sagemaker.create_training_job(**request)
    jobs.until_logged(name, "count=5")
    spot_command.interrupt(jobs.aws.server, name, Interruption(notice=3, absence=0))
    assert jobs.ended(name)["TrainingJobStatus"] == "Completed"
    assert lines(jobs, name, "told") == ["told to end"]
    assert len(lines(jobs, name, "begins at")) == 2


def test_without_checkpoints_a_job_begins_again(jobs: Jobs) -> None:
    request = counting(jobs, goal=150, saves="no")
    name = request["TrainingJobName"]
    jobs.sagemaker.create_training_job(**request)
    jobs.until_logged(name, "count=10")
    spot_command.interrupt(jobs.aws.server, name, ABRUPT)
    assert jobs.ended(name)["TrainingJobStatus"] == "Completed"
    assert lines(jobs, name, "begins at") == ["begins at 0", "begins at 0"]


def test_the_market_interrupts_by_its_schedule(scheduled: Any) -> None:
    jobs = scheduled(interrupt_every=0.4, interruptions=3, notice=0, absence=0, discount=0.9)
    request = counting(jobs, goal=120)
    jobs.sagemaker.create_training_job(**request)
    job = jobs.ended(request["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed"
    assert statuses(job).count("Interrupted") == 3
    plain = jobs.train("print('done')")
    assert "Interrupted" not in statuses(plain)
    assert plain["BillableTimeInSeconds"] == plain["TrainingTimeInSeconds"]


@pytest.mark.fidelity(
    "Spot training",
    "MaxWaitTimeInSeconds ends a job as Stopped, MaxWaitTimeExceeded, with its model.",
    "SageMaker API, StoppingCondition: MaxWaitTimeInSeconds; DescribeTrainingJob: SecondaryStatus",
)
def test_a_job_that_is_not_done_in_time_ends_as_max_wait_time_exceeded(jobs: Jobs) -> None:
    limit = jobs.some_seconds()
    request = spot_request(jobs, GOES_ON_UNTIL_STOPPED, max_runtime=limit, max_wait=limit)
    name = request["TrainingJobName"]
    jobs.sagemaker.create_training_job(**request)
    job = jobs.ended(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")
    assert statuses(job)[-2:] == ["Stopping", "MaxWaitTimeExceeded"]
    assert "stopping" in jobs.log_lines(name)
    assert job["ModelArtifacts"]["S3ModelArtifacts"].endswith("model.tar.gz")


@pytest.mark.fidelity(
    "Spot training",
    "Waiting for an instance counts for MaxWaitTimeInSeconds.",
    "SageMaker API, StoppingCondition: MaxWaitTimeInSeconds",
)
def test_time_without_capacity_counts_for_max_wait(jobs: Jobs) -> None:
    limit = jobs.some_seconds()
    request = spot_request(jobs, GOES_ON_UNTIL_STOPPED, max_runtime=limit, max_wait=limit)
    name = request["TrainingJobName"]
    jobs.sagemaker.create_training_job(**request)
    jobs.until_logged(name, "ready")
    spot_command.interrupt(jobs.aws.server, name, Interruption(notice=0, absence=3600))
    job = jobs.ended(name)
    assert statuses(job)[-3:] == ["Interrupted", "Stopping", "MaxWaitTimeExceeded"]


@pytest.mark.fidelity(
    "Spot training",
    "MaxRuntimeInSeconds is of all of a job's instances together.",
    "SageMaker API, StoppingCondition: MaxRuntimeInSeconds",
)
def test_max_runtime_is_of_all_instances_together(jobs: Jobs) -> None:
    script = GOES_ON_UNTIL_STOPPED.replace(
        "time.sleep(600)", "time.sleep(3); print('late', flush=True); time.sleep(600)"
    )
    limit = 3 + jobs.some_seconds()
    request = spot_request(jobs, script, max_runtime=limit, max_wait=600)
    name = request["TrainingJobName"]
    jobs.sagemaker.create_training_job(**request)
    jobs.until_logged(name, "late")
    spot_command.interrupt(jobs.aws.server, name, ABRUPT)
    job = jobs.ended(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    trained = [
        (step["EndTime"] - step["StartTime"]).total_seconds()
        for step in job["SecondaryStatusTransitions"]
        if step["Status"] == "Training"
    ]
    assert trained[0] >= 3
    assert trained[1] < limit  # what was left of it


@pytest.mark.fidelity(
    "Spot training",
    "A job that waits for capacity can be stopped.",
    "SageMaker API, StopTrainingJob",
)
def test_a_job_can_be_stopped_while_it_waits_for_capacity(jobs: Jobs) -> None:
    request = spot_request(jobs, GOES_ON_UNTIL_STOPPED)
    name = request["TrainingJobName"]
    jobs.sagemaker.create_training_job(**request)
    jobs.until_logged(name, "ready")
    spot_command.interrupt(jobs.aws.server, name, Interruption(notice=0, absence=3600))
    jobs.until_secondary(name, "Interrupted")
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    job = jobs.ended(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")


def test_checkpoints_that_cannot_be_written_fail_the_job_by_name(jobs: Jobs) -> None:
    request = counting(jobs, goal=3)
    request["RoleArn"] = jobs.make_role(["s3:ListBucket", "s3:GetObject"])
    jobs.sagemaker.create_training_job(**request)
    job = jobs.ended(request["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Failed"
    assert "Checkpoint upload failed: AccessDenied (403)" in job["FailureReason"]
    assert "s3:PutObject" in job["FailureReason"]


def test_only_a_spot_job_that_trains_is_interrupted(jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    state = str(jobs.aws.state)
    done = jobs.train("print('x')")["TrainingJobName"]
    ended = counting(jobs, goal=1)
    jobs.sagemaker.create_training_job(**ended)
    jobs.ended(ended["TrainingJobName"])
    for name, says in (
        ("no-such-job", "There is no training job no-such-job."),
        (done, f"{done} isn't managed spot training"),
        (ended["TrainingJobName"], "is in status Completed; only a job in status Training can be interrupted"),
    ):
        assert spot_command.main(["interrupt", name, "--state", state]) == 1
        assert says in capsys.readouterr().err
    assert spot_command.main(["interrupt", "x", "--state", state, "--notice", "-1"]) == 1
    assert "notice: -1.0; it must be a number of at least 0" in capsys.readouterr().err


def test_without_a_server_the_command_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spot_command.main(["interrupt", "x", "--state", str(tmp_path)]) == 1
    assert "no embedded AWS is running" in capsys.readouterr().err


def post(jobs: Jobs, body: bytes, path: str = spot_command.PATH, **headers: str) -> tuple[int, str]:
    url = jobs.aws.server.endpoint_url + path
    request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 - to this machine
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())["message"]


def test_interrupting_asks_for_the_root_users_key(jobs: Jobs) -> None:
    body = b'{"TrainingJobName": "x"}'
    assert post(jobs, body)[0] == 403
    assert post(jobs, body, Authorization="Bearer guess")[0] == 403
    key = {"Authorization": f"Bearer {jobs.aws.server.secret_access_key}"}
    assert "Origin header" in post(jobs, body, Origin="https://evil.example", **key)[1]
    assert "Host header" in post(jobs, body, Host="evil.example", **key)[1]
    assert "the body is not JSON" in post(jobs, b"{", **key)[1]
    assert "an object with a TrainingJobName" in post(jobs, b"[]", **key)[1]
    assert "unknown members force" in post(jobs, b'{"TrainingJobName": "x", "force": true}', **key)[1]
    assert post(jobs, body, path="/_localaws/other", **key)[0] == 404


def test_a_job_that_waits_for_a_slot_longer_than_max_wait_never_starts(jobs: Jobs) -> None:
    slots = []
    while True:
        request = jobs.hearing_request(GOES_ON_UNTIL_STOPPED)
        jobs.sagemaker.create_training_job(**request)
        slots.append(request["TrainingJobName"])
        described = jobs.sagemaker.describe_training_job(TrainingJobName=slots[-1])
        if described["SecondaryStatus"] == "Pending":
            break
    request = spot_request(jobs, "print('never')", max_runtime=1, max_wait=1)
    jobs.sagemaker.create_training_job(**request)
    job = jobs.ended(request["TrainingJobName"])
    assert statuses(job) == ["Pending", "Stopping", "MaxWaitTimeExceeded"]
    assert "TrainingTimeInSeconds" not in job
    for name in slots:
        jobs.sagemaker.stop_training_job(TrainingJobName=name)
    assert until(lambda: [jobs.ended(name)["TrainingJobStatus"] for name in slots], "the slots") == ["Stopped"] * len(
        slots
    )
