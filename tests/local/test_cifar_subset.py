"""cifar_subset as it is shipped, deployed: learns drawn shapes from a part of them, shows which, passes its gate."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from deployed import AsShipped, Pipeline
from image_uris import PYTORCH
from running_aws import IMAGES, ROOT

from contract import files, views
from localaws.sagemaker.containers.images import Images

MODEL = ROOT / "training_code" / "cifar_subset"
PIPELINES = {"cifar-subset": AsShipped(MODEL)}
# Training takes some ten seconds where nothing else runs, the images' packages come before it.
SECONDS = 600


@pytest.fixture(scope="module")
def shapes(deployed: Callable[[str], Pipeline], tmp_path_factory: pytest.TempPathFactory) -> tuple[Pipeline, Path]:
    """The pipeline with its data in place, and where they lie."""
    folder, pipeline = tmp_path_factory.mktemp("shapes"), deployed("cifar-subset")
    python = Images(IMAGES).environment(PYTORCH, print).python
    subprocess.run([python, MODEL / "shapes.py", folder], check=True, capture_output=True)
    s3 = pipeline.aws.client("s3")
    for channel in ("train", "test"):
        key = f"cifar-subset/{channel}/shapes.npz"
        s3.upload_file(str(folder / channel / "shapes.npz"), pipeline.shared["DataBucketName"], key)
    return pipeline, folder


def test_learns_from_a_part_and_shows_which(shapes: tuple[Pipeline, Path]) -> None:
    pipeline, _ = shapes
    answer = pipeline.trigger()
    assert answer.get("status") == "started", answer
    record = pipeline.record(answer["run_id"], seconds=SECONDS)
    assert record["outcome"] == "Promoted", record.get("error") or record.get("decision")
    figures = {name: float(value) for name, value in record["metrics"].items()}
    assert 0 <= figures["selection_seconds"] < figures["seconds"], "what choosing takes is counted"

    bucket, s3 = pipeline.shared["ArtifactBucketName"], pipeline.aws.client("s3")
    tensors = files.run_folder(pipeline.name, record["run_id"]) + files.TENSORS

    def read(path: str) -> bytes:
        content: bytes = s3.get_object(Bucket=bucket, Key=f"{tensors}/{path}")["Body"].read()
        return content

    document = json.loads(read(views.document("chosen")))
    assert document["pictures"] and not document["problems"], document
    shares, losses = json.loads(read(document["pictures"][-1]["file"]))["vconcat"]
    assert {row["epoch"] for row in shares["data"]["values"]} == set(range(8))
    assert len(shares["data"]["values"]) == 8 * 6 and len(losses["data"]["values"]) == 8 * 2
    # A black picture is no shape, but of a class it is.
    answered = pipeline.aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=pipeline.own["EndpointName"], ContentType="application/x-npy", Accept="text/csv", Body=black()
    )
    assert answered["Body"].read().decode() in {"circle", "cross", "diamond", "ring", "square", "triangle"}


def black() -> bytes:
    """A black picture in NPY's format, without NumPy."""
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 32, 32, 3), }"
    padded = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode() + bytes(32 * 32 * 3)
