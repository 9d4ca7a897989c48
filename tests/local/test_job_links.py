"""Links that a job leaves in its folders: those that lead out are named in its log, and nobody follows them."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from job_kit import Jobs
from running_aws import Aws

from localaws.sagemaker.containers import container
from localaws.sagemaker.containers.container import ContainerSpec, Shown

SECRET = "a secret of the server's"
OUTSIDE = "\nOUTSIDE = {outside!r}\n"
IN_TRAINING = """
import os, shutil, sys
def swap(path, target):
    shutil.rmtree(path) if os.path.isdir(path) else None
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.symlink(target, path)
ml, secret = "/opt/ml", OUTSIDE + "/secret.txt"
open(ml + "/model/model.bin", "w").write("weights")
os.symlink("model.bin", ml + "/model/latest")
os.symlink(ml + "/model/model.bin", ml + "/model/absolute")
os.symlink(secret, ml + "/model/secret")
os.symlink("../../../../../../../../../../.." + secret, ml + "/model/relative")
os.symlink("/proc/self/environ", ml + "/model/environ")
os.mkfifo(ml + "/model/pipe")
# Where an archive of the model could be made.
for name in ("model.tar.gz", "output.tar.gz", "output/data.tar.gz"):
    os.symlink(OUTSIDE + "/overwritten", ml + "/" + name)
swap(ml + "/output/data", OUTSIDE)
swap(ml + "/checkpoints/step", OUTSIDE)
open(ml + "/checkpoints/own", "w").write("kept")
try:
    os.link(secret, ml + "/model/hard")
    print("LINKED")
except OSError as error:
    print("NOT LINKED", error)
"""
FAILS = """
import os, shutil, sys
kind = sys.argv[1 + sys.argv.index("--kind")]
if kind == "pipe":
    os.mkfifo("/opt/ml/output/failure")
elif kind == "link":
    os.symlink(OUTSIDE + "/secret.txt", "/opt/ml/output/failure")
else:
    shutil.rmtree("/opt/ml/output")
    os.symlink(OUTSIDE, "/opt/ml/output")
sys.exit("the labels are upside down")
"""


@pytest.fixture(scope="module")
def jobs(aws: Aws) -> Jobs:
    return Jobs(aws)


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the server's user, which no job should see."""
    folder = tmp_path_factory.mktemp("outside")
    for name in ("secret.txt", "failure", "message", "overwritten"):
        (folder / name).write_text(SECRET)
    return folder


def members(jobs: Jobs, key: str) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(jobs.get(key))) as tar:
        return {name: (tar.extractfile(name) or io.BytesIO()).read() for name in tar.getnames()}


@pytest.mark.fidelity(
    "Training jobs",
    "A link to a file of the model's own folder is uploaded as that file; one that leads out of it isn't followed.",
    "AWS re:Post, SageMaker endpoint creation fails: an archive with symbolic links can't be served",
)
def test_a_training_job_s_links_are_followed_inside_its_folders_alone(jobs: Jobs, outside: Path) -> None:
    place = f"s3://{jobs.bucket}/checkpoints/{jobs.name()}"
    script = OUTSIDE.format(outside=str(outside)) + IN_TRAINING
    job = jobs.train(script, CheckpointConfig={"S3Uri": place})
    lines = jobs.log_lines(job["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), lines)
    model = members(jobs, job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{jobs.bucket}/"))
    assert model == dict.fromkeys(["absolute", "latest", "model.bin"], b"weights")
    left_out = [line.split(" ")[0] for line in lines if "is left" in line]
    assert left_out == [
        "/opt/ml/checkpoints/step", "/opt/ml/output/data", "/opt/ml/model/environ", "/opt/ml/model/pipe",
        "/opt/ml/model/relative", "/opt/ml/model/secret",
    ]  # fmt: skip
    assert f"/opt/ml/model/secret is left out: it is a link to {outside}/secret.txt, outside /opt/ml/model." in lines
    assert any(line.startswith("NOT LINKED") for line in lines)
    assert [key.rpartition("/")[2] for key in jobs.keys(place.removeprefix(f"s3://{jobs.bucket}/"))] == ["own"]
    assert not jobs.keys(f"out/{job['TrainingJobName']}/output/output.tar.gz")
    assert (outside / "overwritten").read_text() == SECRET


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_a_failure_file_is_the_job_s_own_or_none(jobs: Jobs, outside: Path, kind: str) -> None:
    source = jobs.source(OUTSIDE.format(outside=str(outside)) + FAILS)
    job = jobs.train("", HyperParameters={**jobs.script_mode(source), "kind": json.dumps(kind)})
    reason = job["FailureReason"]
    assert job["TrainingJobStatus"] == "Failed"
    assert SECRET not in reason and "exit code: 1" in reason
    lines = jobs.log_lines(job["TrainingJobName"])
    assert [line for line in lines if line.startswith("/opt/ml/output/failure isn't read:")], lines


def test_a_processing_job_s_links_are_followed_inside_its_outputs_alone(jobs: Jobs, outside: Path) -> None:
    script = OUTSIDE.format(outside=str(outside)) + """
import os, shutil, time
os.symlink(OUTSIDE + "/secret.txt", "/opt/ml/output/message")
for name in ("output", "live"):
    folder = "/opt/ml/processing/" + name
    open(folder + "/own.txt", "w").write("own")
    os.symlink(OUTSIDE, folder + "/folder")
    os.symlink(OUTSIDE + "/secret.txt", folder + "/secret.txt")
    os.mkfifo(folder + "/pipe")
shutil.copytree("/opt/ml/processing/live", "/opt/ml/processing/other", symlinks=True, ignore=lambda *_: ["pipe"])
until = time.monotonic() + 2.5  # two passes see one folder become the other
while time.monotonic() < until:
    os.rename("/opt/ml/processing/other/own.txt", "/opt/ml/processing/other/own")
    os.symlink(OUTSIDE + "/secret.txt", "/opt/ml/processing/other/own.txt")
    os.rename("/opt/ml/processing/other/own.txt", "/opt/ml/processing/live/own.txt")
    os.rename("/opt/ml/processing/other/own", "/opt/ml/processing/live/own.txt")
    os.link("/opt/ml/processing/live/own.txt", "/opt/ml/processing/other/own.txt")
"""  # fmt: skip
    outputs: list[Any] = [jobs.processing_output("output"), jobs.processing_output("live", "Continuous")]
    job = jobs.process(script, ProcessingOutputConfig={"Outputs": outputs})
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert "ExitMessage" not in job
    found = {key: jobs.get(key) for key in jobs.keys(f"processed/{jobs.prefix}/")}
    assert {(key.split("/", 2)[2], content) for key, content in found.items()} == {
        ("live/own.txt", b"own"), ("output/own.txt", b"own"),
    }  # fmt: skip


def test_a_folder_of_another_container_is_shown_only_while_it_is_one(tmp_path: Path, outside: Path) -> None:
    if container.isolation() == "none":
        pytest.skip("this kernel mounts nothing; Landlock keeps the container from what the link leads to")
    for name in ("ml", "tmp", "tensors"):
        (tmp_path / name).mkdir()
    status = (tmp_path / "tensors").stat()
    shown = Shown(tmp_path / "tensors", f"{status.st_dev}:{status.st_ino}")
    spec = ContainerSpec(
        command=["ls", "/opt/ml/seen"],
        environment={"PATH": os.defpath},
        base_dir=tmp_path / "ml",
        tmp_dir=tmp_path / "tmp",
        cwd=Path("/"),
        shows={"seen": shown},
    )
    (tmp_path / "tensors" / "own").touch()
    assert ended(spec) == (0, "own\n")
    (tmp_path / "tensors").rename(tmp_path / "before")
    (tmp_path / "tensors").symlink_to(outside)
    exit_code, output = ended(spec)
    assert exit_code == 125 and "it isn't the directory that was to be shown" in output


def ended(spec: ContainerSpec) -> tuple[int, str]:
    running = container.launch(spec)
    with running.output:
        output = running.output.read().decode()
    return running.wait(10), output
