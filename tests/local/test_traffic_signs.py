"""traffic_signs as it is shipped, deployed: learns drawn signs, passes its gate, answers, and shows what it sees."""

from __future__ import annotations

import base64
import json
import struct
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from deployed import AsShipped, Pipeline
from running_aws import IMAGES, ROOT

from contract import files, views
from localaws.sagemaker.containers.images import Images

PYTORCH = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"
MODEL = ROOT / "training_code" / "traffic_signs"
# Fewer signs than signs.py draws by itself, and fewer epochs.
PIPELINES = {"traffic-signs": AsShipped(MODEL, {"epochs": 8})}
SIGNS = ("--tracks", "20", "--frames", "4", "--test-tracks", "8")
# Training takes some fifteen seconds where nothing else runs, the images' packages come before it.
SECONDS = 600
# One of the drawn pictures, on standard output: its label, then a PNG file.
AS_PNG = """
import sys
import numpy as np
sys.path[:0] = sys.argv[2:]
from toolkit.views import png
with np.load(sys.argv[1]) as signs:
    at = signs["y"].tolist().index("60_kmh")
    sys.stdout.buffer.write(png(signs["X"][at]))
"""


@pytest.fixture(scope="module")
def signs(deployed: Callable[[str], Pipeline], tmp_path_factory: pytest.TempPathFactory) -> tuple[Pipeline, bytes]:
    """The pipeline with its data in place, and a held-out picture of a 60 km/h sign as PNG."""
    folder, pipeline = tmp_path_factory.mktemp("signs"), deployed("traffic-signs")
    python = Images(IMAGES).environment(PYTORCH, print).python
    subprocess.run([python, MODEL / "signs.py", folder, *SIGNS], check=True, capture_output=True)
    s3 = pipeline.aws.client("s3")
    for channel in ("train", "test"):
        key = f"traffic-signs/{channel}/signs.npz"
        s3.upload_file(str(folder / channel / "signs.npz"), pipeline.shared["DataBucketName"], key)
    command = [python, "-c", AS_PNG, folder / "test" / "signs.npz", ROOT, ROOT / "training_code"]
    return pipeline, subprocess.run(command, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def record(signs: tuple[Pipeline, bytes]) -> dict[str, Any]:
    """Of a run that ended with a champion."""
    answer = signs[0].trigger()
    assert answer.get("status") == "started", answer
    found = signs[0].record(answer["run_id"], seconds=SECONDS)
    assert found["outcome"] == "Promoted", found.get("error") or found.get("decision")
    return found


def ask(pipeline: Pipeline, body: bytes, content_type: str, accept: str) -> bytes:
    answer = pipeline.aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=pipeline.own["EndpointName"], ContentType=content_type, Accept=accept, Body=body
    )
    found: bytes = answer["Body"].read()
    return found


def test_a_picture_s_class_and_why(signs: tuple[Pipeline, bytes], record: dict[str, Any]) -> None:
    pipeline, picture = signs
    assert float(record["decision"]["score"]) >= 0.9
    assert ask(pipeline, picture, "image/png", "text/csv").decode().strip() == "60_kmh"
    (found,) = json.loads(ask(pipeline, picture, "image/png", "application/json"))
    assert found["class"] == "60_kmh" and 0.3 < found["probability"] <= 1
    drawn = ask(pipeline, picture, "image/png", "image/png")
    assert drawn.startswith(b"\x89PNG") and struct.unpack(">II", drawn[16:24]) == (256, 256)
    body = json.dumps({"pictures": [[[[0, 0, 0]] * 32] * 32], "saliency": True}).encode()
    (black,) = json.loads(ask(pipeline, body, "application/json", "application/json"))
    assert base64.b64decode(black["saliency"]).startswith(b"\x89PNG")


def test_what_it_looked_at_after_each_epoch(signs: tuple[Pipeline, bytes], record: dict[str, Any]) -> None:
    pipeline, _ = signs
    bucket, s3 = pipeline.shared["ArtifactBucketName"], pipeline.aws.client("s3")
    tensors = files.run_folder(pipeline.name, record["run_id"]) + files.TENSORS

    def read(path: str) -> bytes:
        content: bytes = s3.get_object(Bucket=bucket, Key=f"{tensors}/{path}")["Body"].read()
        return content

    documents = {name: json.loads(read(views.document(name))) for name in ("maps", "confusion", "losses")}
    for name, document in documents.items():
        assert document["pictures"], (name, document)
        assert not document["problems"], (name, document["problems"])
    drawn = [read(picture["file"]).decode() for picture in documents["maps"]["pictures"]]
    assert {text.count("<image ") for text in drawn} == {24}, "eight pictures, as they are and with two maps"
    assert len(set(drawn)) == len(drawn), "they change from step to step"
