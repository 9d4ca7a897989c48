"""Views whose tensors are copied to S3: the pictures come, too; an interrupted job goes on with those that are there;
and they are drawn from S3 by hand. Their documents are valid Vega-Lite."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import vl_convert
from image_uris import SKLEARN
from running_aws import IMAGES, Aws

from localaws.sagemaker.containers.images import Images

CHECKOUT = Path(__file__).parents[2]
# Steps START to END; each picture is waited for, so that the test knows which there are.
TRAINS = """
import json, os, time
import numpy as np
from pathlib import Path
from toolkit.probe import Probe, layout

probe = Probe.from_environment()
start, end = int(os.environ["START"]), int(os.environ["END"])
probe.load_state_dict({"TRAIN": start, "EVAL": start})
random = np.random.default_rng(0)
for step in range(start, end):
    probe.loss("train", 1 / (1 + step))
    for layer in ("first", "second"):
        weight = random.normal(size=50) * (1 + step)
        probe._offer(f"{layer}/weight", layout.WEIGHT, weight)
        probe._offer(f"{layer}/weight.gradient", layout.GRADIENT, weight / 10)
    probe.step()
    with probe.mode("eval"):
        probe.labels(np.arange(12) % 3)
        probe.predictions(random.normal(size=(12, 3)))
        probe.step()
document = probe.directory / "views" / "plain.json"
last = f'"step": {end - 1}, "file"'
while not (document.exists() and last in document.read_text()):
    time.sleep(0.02)
probe.flush()
probe._worker._sync.copy()
if os.environ.get("KILLED"):
    os.kill(os.getpid(), 9)
probe.close()
"""
PLAIN = """
def plain(trial, step):
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text>{step}</text></svg>'
"""
BUILT_IN = ("losses", "histograms", "norms", "confusion")
COLLECTIONS = {
    "weights": {"interval": 1, "reductions": ["norm", "histogram"]},
    "gradients": {"interval": 1, "reductions": ["norm"]},
    "labels": {"interval": 1, "modes": ["eval"]},
    "predictions": {"interval": 1, "modes": ["eval"]},
}


class Model:
    """A model's folder, and an environment that runs its scripts beside the embedded AWS."""

    def __init__(self, aws: Aws, folder: Path) -> None:
        self.folder = folder
        (folder / "train.py").write_text(TRAINS)
        (folder / "views.py").write_text(PLAIN)
        self._python = Images(IMAGES).environment(SKLEARN, print).python
        self._variables = {**os.environ, **aws.environment, "PYTHONPATH": f"{CHECKOUT / 'training_code'}:{CHECKOUT}"}

    def train(self, place: str, start: int, end: int, **more: str) -> subprocess.CompletedProcess[str]:
        """Trains in a container of its own, so to say: nothing is there of an earlier one."""
        views = [{"view": "plain", "every": 1}, {"view": "confusion"}]
        told = {
            "RATCHET_PROBE": json.dumps({"output": place, "collections": COLLECTIONS, "sync_seconds": 3600}),
            "RATCHET_VIEWS": json.dumps(views),
            "RATCHET_TENSORS": str(self.folder / f"tensors-{start}"),
            "START": str(start),
            "END": str(end),
        }
        return self._run(["train.py"], {**told, **more})

    def draw(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """By hand."""
        return self._run(["-m", "toolkit.views", *arguments], {})

    def _run(self, arguments: list[str], more: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._python, *arguments],
            cwd=self.folder,
            env={**self._variables, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )


@pytest.fixture
def model(aws: Aws, tmp_path: Path) -> Model:
    return Model(aws, tmp_path)


def stored(aws: Aws, bucket: str, key: str) -> Any:
    return json.loads(aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())


def test_an_interrupted_job_goes_on_with_its_pictures(aws: Aws, model: Model) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="viewed")
    place = "s3://viewed/runs/digits/r1/train/tensors"
    killed = model.train(f"{place}/", 0, 4, KILLED="1")
    assert killed.returncode == -9, killed.stderr
    before = stored(aws, "viewed", "runs/digits/r1/train/tensors/views/plain.json")
    assert 3 in [picture["step"] for picture in before["pictures"]]
    # From the checkpoint before: step 3 comes again.
    done = model.train(f"{place}/", 3, 7)
    assert done.returncode == 0, done.stderr
    after = stored(aws, "viewed", "runs/digits/r1/train/tensors/views/plain.json")
    steps = [picture["step"] for picture in after["pictures"]]
    assert after["status"] == "ended"
    assert steps == sorted(set(steps))
    assert {*(picture["step"] for picture in before["pictures"]), 6} <= set(steps)
    for picture in after["pictures"]:
        found = s3.head_object(Bucket="viewed", Key=f"runs/digits/r1/train/tensors/{picture['file']}")
        assert found["ContentLength"] == picture["bytes"]

    # By hand, from all that both have saved.
    views = [{"view": view, "every": 1} for view in ("plain", *BUILT_IN)]
    drawn = model.draw("--tensors", place, "--views", json.dumps(views), "--output", "out", "--steps", "2,6")
    assert (drawn.returncode, drawn.stderr) == (0, "")
    assert len(drawn.stdout.splitlines()) == 2 * len(views)
    for view in BUILT_IN:
        document = json.loads((model.folder / "out" / "views" / view / "000000000006.vl.json").read_text())
        assert "<svg" in vl_convert.vegalite_to_svg(document), view
    rows = json.loads((model.folder / "out/views/losses/000000000006.vl.json").read_text())["data"]["values"]
    assert [row["step"] for row in rows] == list(range(7))


def test_tensors_that_are_not_there_are_said(aws: Aws, model: Model) -> None:
    aws.client("s3").create_bucket(Bucket="no-tensors")
    for place in ("s3://no-tensors/t", "s3://no-such-bucket-at-all/t"):
        drawn = model.draw("--tensors", place, "--view", "losses", "--output", "out")
        assert drawn.returncode == 1
        assert place in drawn.stderr
        assert "Traceback" not in drawn.stderr
