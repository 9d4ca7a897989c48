"""Twenty interruptions of one training cost it an interval each at most, and leave its model as it would have been."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hosting_kit import archive
from job_kit import Jobs
from running_aws import AwsFactory

ROOT = Path(__file__).parents[2]
# The packages that a pipeline's code is packed with.
SHIPPED = (ROOT / "training_code" / "toolkit", ROOT / "contract")
INTERRUPTIONS, STEPS, EVERY = 20, 1600, 10

# Logistic regression by stochastic gradients with momentum and dropout: order and randomness are part of the result.
SCRIPT = f"""
import argparse, os, random, time
import numpy as np
from toolkit.checkpoint import Batches, Checkpoints

parser = argparse.ArgumentParser()
parser.add_argument("--pause", type=float)
pause = parser.parse_args().pause
data = np.random.default_rng(0)
features = data.normal(size=(200, 8))
labels = (features @ data.normal(size=8) > 0).astype(float)

random.seed(1)
np.random.seed(1)
weights, velocity = np.zeros(8), np.zeros(8)
dropout = np.random.default_rng(1)
batches = Batches(200, size=16, seed=1)
checkpoints = Checkpoints(every={EVERY}, weights=weights, velocity=velocity, dropout=dropout, batches=batches)
for step in checkpoints.steps({STEPS}):
    batch = batches.next()
    seen = features[batch] * (dropout.random(8) > 0.2) + np.random.normal(scale=0.01) + random.random() * 0.01
    error = 1 / (1 + np.exp(-seen @ weights)) - labels[batch]
    velocity *= 0.9
    velocity -= 0.1 * seen.T @ error / len(batch)
    weights += velocity
    print(f"step={{step}}", flush=True)
    time.sleep(pause)
loss = float(np.log1p(np.exp(-(2 * labels - 1) * (features @ weights))).mean())
print(f"loss={{loss!r}}", flush=True)
np.save(os.path.join(os.environ["SM_MODEL_DIR"], "weights.npy"), weights)
"""


@pytest.fixture
def market(fresh_aws: AwsFactory) -> Iterator[Any]:
    """Starts an AWS in which capacity comes and goes."""

    def start(**spot: Any) -> Jobs:
        fresh_aws.state.mkdir(parents=True)
        (fresh_aws.state / "settings.json").write_text(json.dumps({"spot": spot}))
        return Jobs(fresh_aws.start())

    yield start


def source(jobs: Jobs) -> str:
    """The script with the toolkit and the contract beside it, as a pipeline's code is packed."""
    files = {str(path.relative_to(each.parent)): path.read_bytes() for each in SHIPPED for path in each.rglob("*.py")}
    return jobs.put("code/sourcedir.tar.gz", archive({"train.py": SCRIPT, **files}))


def training(jobs: Jobs, code: str, pause: float, **changes: Any) -> dict[str, Any]:
    request = jobs.hearing_request("", source=code, **changes)
    request["HyperParameters"]["pause"] = json.dumps(pause)
    jobs.sagemaker.create_training_job(**request)
    return request


def weights(jobs: Jobs, job: dict[str, Any]) -> bytes:
    _, _, key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://").partition("/")
    with tarfile.open(fileobj=io.BytesIO(jobs.get(key))) as model:
        member = model.extractfile("weights.npy")
        assert member is not None
        return member.read()


def loss(lines: list[str]) -> str:
    return next(line for line in lines if line.startswith("loss="))


def work(lines: list[str]) -> list[tuple[int, int]]:
    """The first and the last step of each container that trained."""
    found: list[tuple[int, int]] = []
    last = None
    for line in lines:
        if match := re.fullmatch(r"step=(\d+)", line):
            step = int(match[1])
            begins = last is None or step != last + 1
            found = [*found, (step, step)] if begins else [*found[:-1], (found[-1][0], step)]
            last = step
        elif line.startswith("checkpoint: goes on"):
            last = None
    return found


# Without notice a container dies in the middle of whatever it does; with notice it saves its step.
@pytest.mark.parametrize("notice", [0, 30])
def test_twenty_interruptions_leave_the_model_as_it_would_have_been(market: Any, notice: float) -> None:
    jobs = market(interrupt_every=0.6, interruptions=INTERRUPTIONS, notice=notice, absence=0)
    code = source(jobs)
    disturbed = training(
        jobs,
        code,
        pause=0.008,
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 300, "MaxWaitTimeInSeconds": 600},
        CheckpointConfig={"S3Uri": f"s3://{jobs.bucket}/checkpoints"},
    )["TrainingJobName"]
    plain = training(jobs, code, pause=0)["TrainingJobName"]

    undisturbed, job = jobs.ended(plain), jobs.ended(disturbed)
    assert undisturbed["TrainingJobStatus"] == "Completed", undisturbed.get("FailureReason")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert [step["Status"] for step in job["SecondaryStatusTransitions"]].count("Interrupted") == INTERRUPTIONS
    said = jobs.log_lines(disturbed)
    assert loss(said) == loss(jobs.log_lines(plain))
    assert weights(jobs, job) == weights(jobs, undisturbed)

    containers = work(said)
    assert (containers[0][0], containers[-1][1]) == (0, STEPS - 1)
    lost = [before[1] + 1 - after[0] for before, after in pairwise(containers)]
    assert all(0 <= steps <= (EVERY if notice == 0 else 0) for steps in lost), lost
    files = {f"checkpoints/checkpoint-{number}.safetensors" for number in (0, 1)}
    assert {key for key in jobs.keys("checkpoints") if not key.endswith(".new")} == files
    assert job["BillableTimeInSeconds"] < job["TrainingTimeInSeconds"]
