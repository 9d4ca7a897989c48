"""mnist_keras as it is shipped, deployed: TensorFlow trains, PyTorch judges and serves what Keras has saved."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deployed import AsShipped, Pipeline
from image_uris import TENSORFLOW
from running_aws import IMAGES, ROOT

from contract import files, names
from contract import views as words
from localaws.sagemaker.containers.images import Images

MODEL = ROOT / "training_code" / "mnist_keras"
PIPELINES = {"mnist-keras": AsShipped(MODEL, {"epochs": 4, "batch-size": 32})}
# To import TensorFlow, and Keras on PyTorch, takes long where others run beside it.
SECONDS = 600


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example data, by channel."""
    folder = tmp_path_factory.mktemp("digits")
    python = Images(IMAGES).environment(TENSORFLOW, print).python
    subprocess.run([python, MODEL / "example_digits.py", folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def pipeline(deployed: Callable[[str], Pipeline], digits: Path) -> Pipeline:
    found = deployed("mnist-keras")
    bucket, s3 = found.shared["DataBucketName"], found.aws.client("s3")
    for path in digits.rglob("*.csv"):
        s3.upload_file(str(path), bucket, f"digits-28/{path.relative_to(digits)}")
    return found


@pytest.fixture(scope="module")
def run(pipeline: Pipeline) -> Mapping[str, Any]:
    """The run's record."""
    answer = pipeline.trigger()
    assert answer.get("status") == "started", answer
    return pipeline.record(answer["run_id"], seconds=SECONDS)


def test_tensorflow_trains_and_pytorch_judges_and_serves(pipeline: Pipeline, run: Mapping[str, Any]) -> None:
    assert run["outcome"] == "Promoted", run.get("error")
    assert float(run["metrics"]["validation:accuracy"]) > 0.9
    sagemaker = pipeline.aws.client("sagemaker")
    training = sagemaker.describe_training_job(
        TrainingJobName=names.job("local", pipeline.name, run["run_id"], "train")
    )
    judging = sagemaker.describe_processing_job(
        ProcessingJobName=names.job("local", pipeline.name, run["run_id"], names.EVALUATE_STEP)
    )
    (model,) = pipeline.deployed()["models"]
    serving = sagemaker.describe_model(ModelName=model)["PrimaryContainer"]
    assert [
        uri.rpartition("/")[2]
        for uri in (
            training["AlgorithmSpecification"]["TrainingImage"],
            judging["AppSpecification"]["ImageUri"],
            serving["Image"],
        )
    ] == [
        "tensorflow-training:2.21.0-cpu-py312",
        "pytorch-training:2.6.0-cpu-py312",
        "pytorch-inference:2.6.0-cpu-py312",
    ]


def test_the_endpoint_answers_each_kind_of_request(pipeline: Pipeline, run: Mapping[str, Any], digits: Path) -> None:
    assert run["outcome"] == "Promoted", run.get("error")
    rows = np.loadtxt(digits / "test" / "digits.csv", delimiter=",", dtype=np.float32)[:20]
    labels, pictures = rows[:, 0].astype(int), rows[:, 1:]
    npy = io.BytesIO()
    np.save(npy, pictures.reshape(-1, 28, 28).astype(np.uint8))
    lines = "".join(",".join(map(str, row)) + "\n" for row in pictures.astype(int).tolist())
    runtime = pipeline.aws.client("sagemaker-runtime")

    def asked(body: bytes | str, sent: str, wanted: str) -> bytes:
        answer = runtime.invoke_endpoint(
            EndpointName=pipeline.own["EndpointName"], Body=body, ContentType=sent, Accept=wanted
        )
        assert answer["ContentType"] == wanted
        found: bytes = answer["Body"].read()
        return found

    as_lines = asked(lines, "text/csv", "text/csv").decode().split()
    told = json.loads(asked(json.dumps(pictures.tolist()), "application/json", "application/json"))
    array = np.load(io.BytesIO(asked(npy.getvalue(), "application/x-npy", "application/x-npy")))
    assert np.mean([int(line) for line in as_lines] == labels) > 0.8
    assert [str(each["digit"]) for each in told] == as_lines
    np.testing.assert_allclose([each["probabilities"] for each in told], array, atol=1e-5)
    np.testing.assert_allclose(array.sum(1), 1, atol=1e-5)


def test_pictures_of_each_view_are_there(pipeline: Pipeline, run: Mapping[str, Any]) -> None:
    s3, bucket = pipeline.aws.client("s3"), pipeline.shared["ArtifactBucketName"]
    tensors = files.run_folder(pipeline.name, run["run_id"]) + files.TENSORS
    for view, last in (("losses", 150), ("confusion", 164)):
        body = s3.get_object(Bucket=bucket, Key=f"{tensors}/{words.document(view)}")["Body"].read()
        document = json.loads(body)
        assert (document["status"], document["problems"]) == (words.ENDED, []), document
        assert document["pictures"][-1]["step"] == last
