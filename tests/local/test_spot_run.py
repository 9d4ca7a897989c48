"""A whole run on spot capacity: deployed, interrupted, gone on from its checkpoint, and told in record and report."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deployed import Pipeline, Scripted
from job_kit import Jobs
from waiting import until

from contract.run_table import plain
from localaws import spot_command
from localaws.sagemaker.jobs.spot_market import Interruption
from ratchet import report
from ratchet.runs import of_item

# One deployment for all of them.

TRAIN = """
import json, os, time
from pathlib import Path
from toolkit.checkpoint import Checkpoints
from toolkit.serving import save_serving_code

orders = json.loads((Path(os.environ["SM_CHANNEL_TRAIN"]) / "orders.json").read_text())
done = []
for step in Checkpoints(every=5, done=done).steps(orders["steps"]):
    time.sleep(0.02)
    done.append(step)
    print(f"step={step}", flush=True)
assert done == list(range(orders["steps"]))
model = Path(os.environ["SM_MODEL_DIR"])
(model / "model.json").write_text(json.dumps(orders))
save_serving_code(model)
"""
ON_SPOT = {"instance": "ml.m5.large", "max_runtime": "10m", "spot": {"max_wait": "20m"}}


PIPELINES = {"spotted": Scripted({"train": ON_SPOT}, files={"train.py": TRAIN})}


@pytest.fixture
def pipeline(deployed: Callable[[str], Pipeline]) -> Pipeline:
    return deployed("spotted")


def interrupted(pipeline: Pipeline, job: str) -> bool:
    """Whether the interruption was taken: only a job in status Training can be interrupted."""
    try:
        spot_command.interrupt(pipeline.aws.server, job, Interruption(notice=0, absence=0))
    except spot_command.InterruptionRefusedError:
        return False
    return True


def interrupted_run(pipeline: Pipeline, times: int) -> dict[str, Any]:
    """A run whose job loses its instance so often, each time after further steps; its record."""
    pipeline.idle()
    answer = pipeline.trigger(forced=True)
    jobs, job = Jobs(pipeline.aws), f"local-spotted-{answer['run_id']}-train"
    for time in range(times):
        jobs.until_logged(job, f"step={20 * (time + 1)}")
        until(lambda: interrupted(pipeline, job), f"{job} to be in status Training")
    record: dict[str, Any] = plain(pipeline.record(answer["run_id"]))
    return record


def test_a_run_goes_on_after_interruptions_and_says_what_spot_saved(pipeline: Pipeline) -> None:
    pipeline.order(accuracy=0.8, steps=300)
    record = interrupted_run(pipeline, times=2)
    assert record["outcome"] == "Promoted", record.get("error")
    figures = record["spot"]
    assert figures["interruptions"] == 2
    assert figures["billable_seconds"] < figures["training_seconds"]
    assert 0 < figures["saved"] < 1
    assert pipeline.ask(1) == "1"

    folder = f"runs/spotted/{record['run_id']}/train/checkpoints/"
    kept = pipeline.aws.client("s3").list_objects_v2(Bucket=pipeline.shared["ArtifactBucketName"], Prefix=folder)
    assert {Path(entry["Key"]).name for entry in kept["Contents"]} >= {"checkpoint-0.safetensors"}

    run = of_item(record)
    assert run.spot.startswith("interrupted 2 times; ")
    page = report.render(report.Sources(run=run, environment="local", account="0", region="us-east-1"))
    assert f"saved by spot: {html.escape(run.spot)}" in page


def test_another_run_begins_with_no_checkpoint(pipeline: Pipeline) -> None:
    pipeline.order(accuracy=0.9, steps=5)
    record = interrupted_run(pipeline, times=0)
    assert "error" not in record
    assert record["spot"]["interruptions"] == 0
    assert of_item(record).spot.startswith("not interrupted; ")
