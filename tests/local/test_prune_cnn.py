"""prune_cnn as it is shipped, deployed: rounds on drawn signs until its rule stops one; the smallest network serves."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from deployed import AsShipped, Pipeline
from running_aws import IMAGES, ROOT

from localaws.sagemaker.containers.images import Images

PYTORCH = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"
MODEL = ROOT / "training_code" / "prune_cnn"
# As it is shipped it prunes half of all units a round, and the rule stops the fifth; so it stops the third.
PIPELINES = {"prune-cnn": AsShipped(MODEL, {"fraction": 0.75})}
# A round takes some ten seconds where nothing else runs.
SECONDS = 600


@pytest.fixture(scope="module")
def pruning(deployed: Callable[[str], Pipeline], tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder, pipeline = tmp_path_factory.mktemp("signs"), deployed("prune-cnn")
    python = Images(IMAGES).environment(PYTORCH, print).python
    subprocess.run([python, MODEL / "signs.py", folder], check=True, capture_output=True)
    for channel in ("train", "test"):
        upload(pipeline, folder / channel, f"signs/{channel}/")
    return pipeline


def upload(pipeline: Pipeline, folder: Path, prefix: str) -> None:
    bucket, s3 = pipeline.shared["DataBucketName"], pipeline.aws.client("s3")
    for path in folder.iterdir():
        s3.upload_file(str(path), bucket, f"{prefix}{path.name}")


def test_pruned_until_the_rule_stops_a_round(pruning: Pipeline) -> None:
    answer = pruning.trigger()
    assert answer.get("status") == "started", answer
    record = pruning.record(answer["run_id"], seconds=SECONDS)
    assert record["outcome"] == "Promoted", record.get("error")
    rounds = record["rounds"]
    assert (rounds["ended"], record["stopped_by"]["rule"]) == ("rule", "AccuracyDrop")
    assert record["stopped_by"]["reason"].startswith("accuracy over pass 1")
    first, *_, stopped = rounds["rows"]
    chosen = rounds["rows"][int(rounds["chosen"]) - 1]
    assert stopped["stopped_by_rule"] and chosen["status"] == "Completed"
    assert float(first["metrics"]["parameters"]) / float(chosen["metrics"]["parameters"]) > 10
    assert float(first["metrics"]["validation:accuracy"]) - float(chosen["metrics"]["validation:accuracy"]) <= 0.02
    assert pruning.state["champion"]["model_data"] == chosen["model_data"]
