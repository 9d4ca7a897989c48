"""Why a job has ended that used more than it may, in AWS's words."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from localaws.sagemaker.containers.beneath import Folder
from localaws.sagemaker.containers.instance_sizes import GIB
from localaws.sagemaker.containers.limits import DISK, MEMORY, PROCESSES, Exceeded
from localaws.sagemaker.containers.objects import Download, S3Object
from localaws.sagemaker.jobs import job_limits, training_output
from localaws.sagemaker.jobs.outcomes import MAX_RUNTIME, SCRIPT, JobFailedError, Outcome

CONFIG = {"InstanceType": "ml.c8g.medium", "InstanceCount": 1, "VolumeSizeInGB": 3}
TRAINING = {"ResourceConfig": CONFIG}
PROCESSING = {"ProcessingResources": {"ClusterConfig": CONFIG}}


def job(document: dict[str, Any], said: list[str], ml: Path = Path()) -> Any:
    """The host of a job of one."""
    return SimpleNamespace(job=SimpleNamespace(document=document), ml=ml, log=SimpleNamespace(say=said.append))


@pytest.mark.parametrize("document", [TRAINING, PROCESSING])
def test_an_instance_s_memory_and_volume_are_the_job_s_limits(document: dict[str, Any]) -> None:
    found = job_limits.limits(document)
    assert (found.memory, found.disk) == (2 * GIB, 3 * GIB)


@pytest.mark.fidelity(
    "Training jobs",
    "A job whose instance hasn't memory enough is a ClientError that asks for an instance type with more memory.",
    "comic/grand-challenge.org, components/backends/amazon_sagemaker_base.py, compares the whole FailureReason",
)
@pytest.mark.fidelity(
    "Processing jobs",
    "A processing job whose instance hasn't memory enough is a ClientError that asks for a type with more.",
    "comic/grand-challenge.org, components/backends/amazon_sagemaker_base.py, compares the whole FailureReason",
)
@pytest.mark.parametrize("document", [TRAINING, PROCESSING])
def test_out_of_memory(document: dict[str, Any]) -> None:
    said: list[str] = []
    reason = job_limits.why_ended(job(document, said), Outcome(137, SCRIPT, MEMORY))
    assert reason == (
        "ClientError: Please use an instance type with more memory, or reduce the size of job data processed on an "
        "instance."
    )
    assert len(said) == 1 and "2.0 GiB of memory, which ml.c8g.medium has" in said[0]


def test_of_several_hosts_each_has_a_share_of_this_machine() -> None:
    said: list[str] = []
    document = {"ResourceConfig": {**CONFIG, "InstanceCount": 20}}
    job_limits.why_ended(job(document, said), Outcome(137, SCRIPT, MEMORY))
    assert said[0].endswith("or this machine for each of 20 hosts.")


def test_a_full_volume_is_told_with_its_size() -> None:
    said: list[str] = []
    reason = job_limits.why_ended(job(TRAINING, said), Outcome(137, SCRIPT, DISK))
    assert reason == "AlgorithmError: Insufficient disk space: [Errno 28] No space left on device, exit code: 137"
    assert "3 GB (VolumeSizeInGB)" in said[0]


@pytest.mark.parametrize(
    ("exit_code", "cause", "exceeded"),
    [(0, SCRIPT, MEMORY), (137, MAX_RUNTIME, MEMORY), (1, SCRIPT, None), (137, SCRIPT, PROCESSES)],
)
def test_what_has_ended_otherwise_has_another_reason(exit_code: int, cause: str, exceeded: Exceeded | None) -> None:
    assert job_limits.why_ended(job(TRAINING, []), Outcome(exit_code, cause, exceeded)) is None


@pytest.mark.fidelity(
    "Training jobs",
    "Data that is larger than the volume fails the job: ClientError: Data download failed:Insufficient disk space.",
    "aws/sagemaker-python-sdk issue 128",
)
def test_data_that_is_larger_than_the_volume_is_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "before").write_bytes(bytes(1 << 20))

    def fetch(size: int) -> None:
        downloads = [Download(S3Object("bucket", f"part-{number}", size), tmp_path / "x") for number in range(3)]
        job_limits.check_room(job(TRAINING, [], tmp_path), downloads)

    fetch(GIB - (1 << 20))
    with pytest.raises(JobFailedError, match=r"^ClientError: Data download failed:Insufficient disk space$"):
        fetch(GIB)


@pytest.mark.fidelity(
    "Training jobs",
    "A model that the volume has no room for: ClientError: Artifact upload failed:Insufficient disk space.",
    "huggingface/blog issue 114",
)
def test_a_model_with_holes_is_not_uploaded(tmp_path: Path) -> None:
    (tmp_path / "ml" / "model").mkdir(parents=True)
    with (tmp_path / "ml" / "model" / "holes").open("wb") as file:
        file.truncate(4 * GIB)
    document = {**TRAINING, "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"}}
    host = job(document, [], tmp_path / "ml")
    host.folder = lambda name: Folder(tmp_path / "ml", name, f"/opt/ml/{name}", 3 * GIB)
    role = SimpleNamespace(objects=None)
    fake: Any = SimpleNamespace(name="job", document=document, role=role, hosts=[host], log=host.log)
    with pytest.raises(JobFailedError, match=r"^ClientError: Artifact upload failed:Insufficient disk space$"):
        training_output.upload(fake)
