"""A job's tensors in S3: copied while it trains, read from there, and what becomes of a bucket that isn't there."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from image_uris import SKLEARN
from running_aws import IMAGES, Aws

from localaws.sagemaker.containers.images import Images

CHECKOUT = Path(__file__).parents[2]
TRAINS = """
import time
from pathlib import Path
from toolkit.probe import Probe, Trial

probe = Probe.from_environment()
output = probe.settings.output
for step in range(3):
    probe.tensor("x", [step] * 4)
    probe.scalar("loss", 1 / (1 + step))
    probe.step()
# Another process could follow by now, from S3 alone.
Trial(output).wait_for_step(2, timeout=60)
probe.tensor("x", [3])
probe.close()

trial = Trial(output)
print([int(trial.value("x", step)[0]) for step in trial.steps("x")], trial.reduction("x", 2, "sum"), trial.finished)
try:
    trial.value("y", 0)
except Exception as error:
    print(type(error).__name__, error)
"""


def test_tensors_are_copied_as_the_job_goes_and_read_from_there(aws: Aws, tmp_path: Path) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="tensors")
    done = trained(aws, tmp_path, "s3://tensors/runs/digits/r1/tensors/")
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0] == "[0, 1, 2, 3] 8.0 True"
    assert said[1].startswith("NotSavedError y is not saved at TRAIN step 0: there is no tensor of that name")
    listed = s3.list_objects_v2(Bucket="tensors", Prefix="runs/digits/r1/tensors/")["Contents"]
    folders = {found["Key"].split("/")[4] for found in listed}
    assert folders == {"index", "tensors", "events", "collections", "end"}


def test_a_script_that_never_closes_its_probe(aws: Aws, tmp_path: Path) -> None:
    aws.client("s3").create_bucket(Bucket="unclosed")
    script = "from toolkit.probe import Probe; probe = Probe.from_environment(); probe.tensor('x', [1])"
    done = trained(aws, tmp_path, "s3://unclosed/t", script=script)
    assert (done.returncode, done.stderr) == (0, "")
    keys = [found["Key"] for found in aws.client("s3").list_objects_v2(Bucket="unclosed")["Contents"]]
    assert {key.split("/")[1] for key in keys} == {"index", "tensors", "events", "collections", "end"}


def test_a_bucket_that_is_not_there_is_said_and_training_goes_on(aws: Aws, tmp_path: Path) -> None:
    done = trained(aws, tmp_path, "s3://nowhere-at-all/t", script=TRAINS.replace("Trial(output).wait_for_step", "max"))
    assert "copying to s3://nowhere-at-all/t failed, and training goes on" in done.stderr
    (end,) = (tmp_path / "tensors" / "end").iterdir()
    assert json.loads(end.read_text())["steps"]["TRAIN"] == 3


OF_TWO = """
from toolkit.probe import Probe, Trial
from toolkit.probe.settings import Settings
import os

settings = Settings.parse(os.environ["RATCHET_PROBE"])
probes = [Probe(settings, rank=rank) for rank in range(2)]
for rank, probe in enumerate(probes):
    probe.tensor("x", [rank])
    probe.step()
for probe in probes:
    probe.close()
trial = Trial(settings.output)
print(trial.workers("x", 0), trial.value("x", 0, worker=1).tolist(), trial.finished)
"""


def test_processes_that_share_the_folder_copy_each_its_own(aws: Aws, tmp_path: Path) -> None:
    """Eight of a host with eight GPUs copied all tensors of all eight, each."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="shared-folder")
    s3.put_bucket_versioning(Bucket="shared-folder", VersioningConfiguration={"Status": "Enabled"})
    done = trained(aws, tmp_path, "s3://shared-folder/t", script=OF_TWO)
    assert (done.returncode, done.stdout) == (0, "[0, 1] [1] True\n"), done.stderr
    versions = s3.list_object_versions(Bucket="shared-folder")["Versions"]
    copied = [(version["Key"], version["ETag"]) for version in versions]
    assert len(copied) == len(set(copied)), "nothing twice"


def trained(aws: Aws, folder: Path, output: str, script: str = TRAINS) -> subprocess.CompletedProcess[str]:
    """The script in the scikit-learn image's Python, as a job would run it."""
    python = Images(IMAGES).environment(SKLEARN, print).python
    variables = {
        **aws.environment,
        "PYTHONPATH": str(CHECKOUT / "training_code"),
        "RATCHET_TENSORS": str(folder / "tensors"),
        "RATCHET_PROBE": json.dumps({"output": output, "sync_seconds": 0.2}),
        "PATH": os.environ["PATH"],
    }
    return subprocess.run(
        [python, "-c", script], env=variables, capture_output=True, text=True, check=False, cwd=folder
    )
