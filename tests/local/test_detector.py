"""detector deployed: it begins with another pipeline's champion, learns drawn cells, answers in both formats, and shows
what it finds.

The other pipeline, cifar-subset, has a champion because this test says so in the run table, unless it has one already:
what is tested is how its model comes here, not how it came to be.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from boto3.dynamodb.types import TypeSerializer
from deployed import AsShipped, Pipeline
from running_aws import IMAGES, ROOT

from bench.environments import with_more
from contract import files, run_table, views
from localaws.sagemaker.containers.images import Images

PYTORCH = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"
MODEL, OTHER = ROOT / "training_code" / "detector", ROOT / "training_code" / "cifar_subset"
SMALL = {"size": 64, "epochs": 2, "batch_size": 4, "threads": 1}
CELLS = ("--pictures", "24", "--held-out", "6", "--size", "96", "72")
RUN = "20261101-000000-0000"
SECONDS = 600
# A model.tar.gz of a narrow network with fresh weights, as cifar_subset's train.py leaves one.
WEIGHTS = """
import sys, tarfile, tempfile
from pathlib import Path
sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]).parent)]
import network
from toolkit import network_files
with tempfile.TemporaryDirectory() as folder:
    arch = network.Architecture(("cat", "dog"), 8)
    network_files.save(folder, arch, network.build(arch))
    with tarfile.open(sys.argv[2], "w:gz") as archive:
        archive.add(folder, ".")
"""


@dataclass(frozen=True)
class WithoutFloor(AsShipped):
    """As shipped, but that two epochs are good enough."""

    def write(self, models: Path, name: str) -> None:
        super().write(models, name)
        path = models / name / "pipeline.yaml"
        spec = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump({**spec, "gate": {**spec["gate"], "minimum": 0.0}}))


PIPELINES = {"detector": WithoutFloor(MODEL, SMALL), "cifar-subset": AsShipped(OTHER)}


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn pictures, and the archive of a pretrained network."""
    folder = tmp_path_factory.mktemp("cells")
    python = with_more(Path(Images(IMAGES).environment(PYTORCH, print).python), MODEL / "requirements.txt")
    subprocess.run([python, MODEL / "cells.py", folder, *CELLS], check=True, capture_output=True)
    command = [python, "-c", WEIGHTS, OTHER, folder / files.MODEL_ARCHIVE]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def champion(deployed: Callable[[str], Pipeline], cells: Path) -> Iterator[dict[str, Any]]:
    """cifar-subset's: its own, or one for this module alone."""
    other = deployed("cifar-subset")
    before = other.state
    if "champion" in before:
        yield before["champion"]
        return
    key = f"{files.run_folder(other.name, RUN)}{files.TRAIN}/a-job/output/{files.MODEL_ARCHIVE}"
    bucket, table = other.shared["ArtifactBucketName"], other.shared["RunTableName"]
    other.aws.client("s3").upload_file(str(cells / files.MODEL_ARCHIVE), bucket, key)
    found = {"run_id": RUN, "model_data": f"s3://{bucket}/{key}", "fingerprint": "f"}
    item = {"TableName": table, "Key": run_table.key(other.name, run_table.STATE_ITEM)}
    value = {":champion": TypeSerializer().serialize(found)}
    dynamodb = other.aws.client("dynamodb")
    dynamodb.update_item(**item, UpdateExpression="SET champion = :champion", ExpressionAttributeValues=value)
    yield found
    # As it was: of a pipeline that has never run there is no item.
    if before:
        dynamodb.update_item(**item, UpdateExpression="REMOVE champion")
    else:
        dynamodb.delete_item(**item)


@pytest.fixture(scope="module")
def finding(deployed: Callable[[str], Pipeline], cells: Path) -> Pipeline:
    """The pipeline with its data in place."""
    pipeline = deployed("detector")
    s3 = pipeline.aws.client("s3")
    for path in (path for channel in ("train", "test") for path in (cells / channel).rglob("*") if path.is_file()):
        s3.upload_file(str(path), pipeline.shared["DataBucketName"], f"detector/{path.relative_to(cells).as_posix()}")
    return pipeline


def test_without_a_champion_to_begin_with_the_run_ends_and_says_what_to_do(
    finding: Pipeline, deployed: Callable[[str], Pipeline]
) -> None:
    if "champion" in deployed("cifar-subset").state:
        pytest.skip("cifar-subset has a champion already: another module of this process has trained one")
    record = finding.run()
    assert record["outcome"] == "Failed"
    assert record["error"]["state"] == "Plan"
    assert "data.pretrained is the champion of cifar-subset, which has none yet" in record["error"]["cause"]


def test_begins_with_the_champion_learns_and_answers(finding: Pipeline, champion: dict[str, Any], cells: Path) -> None:
    answer = finding.trigger()
    assert answer.get("status") == "started", answer
    record = finding.record(answer["run_id"], seconds=SECONDS)
    assert record["outcome"] == "Promoted", record.get("error") or record.get("decision")
    begun = {"pipeline": "cifar-subset", "run_id": champion["run_id"], "model_data": champion["model_data"]}
    assert record["other_champions"] == {"pretrained": begun}
    picture = next((cells / "test" / "images").iterdir()).read_bytes()
    plain, verbose = (ask(finding, picture, accept) for accept in ("application/json", "application/json;verbose"))
    assert list(plain) == ["normalized_boxes", "classes", "scores"]
    assert verbose.keys() - plain.keys() == {"labels", "model_output"}
    assert {name: verbose[name] for name in plain} == plain
    assert set(verbose["labels"]) <= {"red", "white", "platelet"}
    drawn = shown(finding, answer["run_id"])
    assert len(drawn) == SMALL["epochs"] and len(set(drawn)) == len(drawn)
    assert all(picture.startswith("<svg") and "<image " in picture for picture in drawn)


def ask(pipeline: Pipeline, body: bytes, accept: str) -> dict[str, Any]:
    """What the endpoint answers."""
    answer = pipeline.aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=pipeline.own["EndpointName"], ContentType="application/x-image", Accept=accept, Body=body
    )
    found: dict[str, Any] = json.loads(answer["Body"].read())
    return found


def shown(pipeline: Pipeline, run: str) -> list[str]:
    """The pictures of the view `boxes`."""
    bucket, s3 = pipeline.shared["ArtifactBucketName"], pipeline.aws.client("s3")
    tensors = f"{files.run_folder(pipeline.name, run)}{files.TENSORS}/"

    def read(name: str) -> str:
        content: str = s3.get_object(Bucket=bucket, Key=tensors + name)["Body"].read().decode()
        return content

    document = json.loads(read(views.document("boxes")))
    assert document["problems"] == [], document
    return [read(picture["file"]) for picture in document["pictures"]]
