"""bert_qa as it is shipped, but for a network of random weights: it learns invented facts, its attention is drawn while
it does, it passes the gate and answers questions."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deployed import AsShipped, Pipeline
from running_aws import ROOT

from contract import files, views

MODEL = ROOT / "training_code" / "bert_qa"
SMALL = {
    "pretrained": "tiny",
    "epochs": 10,
    "batch": 16,
    "learning-rate": 0.002,
    "without-answer": 0,
    "threads": 1,
    "watch": 200,
}
PIPELINES = {"bert-qa": AsShipped(MODEL, SMALL)}
# Half a minute where nothing else runs; the first time its requirements are installed.
SECONDS = 900
TEXT = "Ede lies on the river Brumkus. About 7,000 people live in the town. It was founded by Valbrim Fusdis."


@pytest.fixture(scope="module")
def answering(deployed: Callable[[str], Pipeline], tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder, pipeline = tmp_path_factory.mktemp("facts"), deployed("bert-qa")
    subprocess.run([sys.executable, MODEL / "facts.py", folder], check=True, capture_output=True)
    for channel in ("train", "test"):
        upload(pipeline, folder / channel, f"facts/{channel}/")
    return pipeline


def upload(pipeline: Pipeline, folder: Path, prefix: str) -> None:
    bucket, s3 = pipeline.shared["DataBucketName"], pipeline.aws.client("s3")
    for path in folder.iterdir():
        s3.upload_file(str(path), bucket, f"{prefix}{path.name}")


def test_learns_is_looked_at_and_answers(answering: Pipeline) -> None:
    answer = answering.trigger()
    assert answer.get("status") == "started", answer
    record = answering.record(answer["run_id"], seconds=SECONDS)
    assert record["outcome"] == "Promoted", record
    assert float(record["decision"]["score"]) >= 0.45
    for name in ("heads", "head", "neurons"):
        document = drawn(answering, answer["run_id"], name)
        assert len(document["pictures"]) >= 3, document
        assert document["problems"] == []
    found = asked(answering, {"question": "Who founded Ede?", "context": TEXT})
    assert TEXT[found["start"] : found["end"]] == found["answer"]
    several = asked(answering, [{"question": "Who founded Ede?", "context": TEXT}, {"question": "Who?", "context": ""}])
    assert several == [found, {"answer": None, "score": 0.0, "start": None, "end": None}]


def drawn(pipeline: Pipeline, run: str, name: str) -> dict[str, Any]:
    """A view's document; its pictures are there, and SVG."""
    bucket, s3 = pipeline.shared["ArtifactBucketName"], pipeline.aws.client("s3")
    tensors = f"{files.run_folder(pipeline.name, run)}{files.TENSORS}/"
    found = s3.get_object(Bucket=bucket, Key=tensors + views.document(name))["Body"].read()
    document: dict[str, Any] = json.loads(found)
    for picture in document["pictures"]:
        content = s3.get_object(Bucket=bucket, Key=tensors + picture["file"])["Body"].read()
        assert content.startswith(b"<svg"), picture
    return document


def asked(pipeline: Pipeline, body: Any) -> Any:
    """What the endpoint answers."""
    runtime = pipeline.aws.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(
        EndpointName=pipeline.own["EndpointName"],
        ContentType="application/json",
        Accept="application/json",
        Body=json.dumps(body),
    )
    return json.loads(answer["Body"].read())
