"""mnist_keras as it is shipped, deployed: TensorFlow trains, PyTorch judges and serves what Keras has saved."""

from __future__ import annotations

import gzip
import itertools
import json
import struct
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from deployed import AsShipped, Pipeline
from image_uris import TENSORFLOW
from running_aws import IMAGES, ROOT

from bench import mnist_keras
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
        TrainingJobName=names.job("local", pipeline.name, run["run_id"], names.TRAIN_STEP)
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
    lines = (digits / "test" / "digits.csv").read_text().splitlines()[:20]
    labels, pictures = [line.partition(",")[0] for line in lines], [line.partition(",")[2] for line in lines]
    numbers = [[int(pixel) for pixel in line.split(",")] for line in pictures]
    runtime = pipeline.aws.client("sagemaker-runtime")

    def asked(body: bytes | str, kind: str) -> bytes:
        answer = runtime.invoke_endpoint(
            EndpointName=pipeline.own["EndpointName"], Body=body, ContentType=kind, Accept=kind
        )
        assert answer["ContentType"] == kind
        found: bytes = answer["Body"].read()
        return found

    as_lines = asked("\n".join(pictures), "text/csv").decode().split()
    told = json.loads(asked(json.dumps(numbers), "application/json"))
    array = asked(npy(bytes(itertools.chain(*numbers)), (20, 28, 28)), "application/x-npy")
    assert sum(line == label for line, label in zip(as_lines, labels, strict=True)) > 16
    assert [str(each["digit"]) for each in told] == as_lines
    probabilities = list(struct.iter_unpack("<10f", array[-20 * 10 * 4 :]))
    for each, row in zip(told, probabilities, strict=True):
        assert each["probabilities"] == pytest.approx(row, abs=1e-5)
        assert sum(row) == pytest.approx(1, abs=1e-5)


def npy(content: bytes, shape: tuple[int, ...]) -> bytes:
    """Bytes as an array in NumPy's format, version 1."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def test_pictures_of_each_view_are_there(pipeline: Pipeline, run: Mapping[str, Any]) -> None:
    s3, bucket = pipeline.aws.client("s3"), pipeline.shared["ArtifactBucketName"]
    tensors = files.run_folder(pipeline.name, run["run_id"]) + files.TENSORS
    for view, last in (("losses", 150), ("confusion", 164)):
        body = s3.get_object(Bucket=bucket, Key=f"{tensors}/{words.document(view)}")["Body"].read()
        document = json.loads(body)
        assert (document["status"], document["problems"]) == (words.ENDED, []), document
        assert document["pictures"][-1]["step"] == last


def test_the_benchmark_on_a_small_size(digits: Path, tmp_path: Path) -> None:
    lines = (digits / "train" / "digits.csv").read_text().splitlines()
    numbers = [bytes(int(number) for number in line.split(",")) for line in lines]
    (tmp_path / mnist_keras.LABELS).write_bytes(gzip.compress(bytes(8) + bytes(row[0] for row in numbers)))
    head = struct.pack(">4I", 2051, len(numbers), 28, 28)
    (tmp_path / mnist_keras.PICTURES).write_bytes(gzip.compress(head + b"".join(row[1:] for row in numbers)))
    assert mnist_keras.missing(tmp_path) is None
    found = mnist_keras.measure(tmp_path, True, lambda _text: None)["figures"]
    assert found["seeds"] == 1 and found["held_out"] == 200
    assert found["accuracy"] > 0.5
    assert 0 < found["backend_difference"] < 1e-4, "rounding"
