"""autoencoder as it is shipped, deployed: drawn digits, less lost than by principal components; pictures; answers."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from deployed import AsShipped, Pipeline
from running_aws import IMAGES, ROOT

from contract import views
from localaws.sagemaker.containers.images import Images

PYTORCH = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"
MODEL = ROOT / "training_code" / "autoencoder"
# As it is shipped it trains for more than twice as long, of which nothing new is to be seen.
PIPELINES = {"autoencoder": AsShipped(MODEL, {"epochs": 12, "look-every": 60})}
SECONDS = 600
JSON, NPY, CSV = "application/json", "application/x-npy", "text/csv"


@pytest.fixture(scope="module")
def pipeline(deployed: Callable[[str], Pipeline], tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder, pipeline = tmp_path_factory.mktemp("digits"), deployed("autoencoder")
    python = Images(IMAGES).environment(PYTORCH, print).python
    subprocess.run([python, MODEL / "digits.py", folder], check=True, capture_output=True)
    bucket, s3 = pipeline.shared["DataBucketName"], pipeline.aws.client("s3")
    for path in folder.rglob("*.csv"):
        s3.upload_file(str(path), bucket, f"drawn-digits/{path.relative_to(folder)}")
    return pipeline


@pytest.fixture(scope="module")
def record(pipeline: Pipeline) -> dict[str, Any]:
    """Of a run that trains, judges and deploys."""
    answer = pipeline.trigger()
    assert answer.get("status") == "started", answer
    return pipeline.record(answer["run_id"], seconds=SECONDS)


def ask(pipeline: Pipeline, body: str, content_type: str = JSON, accept: str = JSON) -> Any:
    answer = pipeline.aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=pipeline.own["EndpointName"], ContentType=content_type, Accept=accept, Body=body
    )
    text = answer["Body"].read().decode()
    return json.loads(text) if accept == JSON else text


def held_out(pipeline: Pipeline) -> list[list[int]]:
    found = pipeline.aws.client("s3").get_object(
        Bucket=pipeline.shared["DataBucketName"], Key="drawn-digits/test/digits.csv"
    )
    return [[int(field) for field in line.split(b",")][1:] for line in found["Body"].iter_lines()]


def test_it_loses_less_than_principal_components_and_goes_live(record: dict[str, Any], pipeline: Pipeline) -> None:
    assert record["outcome"] == "Promoted", record.get("error")
    assert record["evaluation"]["metric"] == "reconstruction.gain_over_pca"
    assert float(record["evaluation"]["challenger"]["score"]) > 0.1
    metrics = {name: float(value) for name, value in record["metrics"].items()}
    assert metrics["validation:error"] < metrics["validation:pca_error"]
    assert metrics["validation:knn_accuracy"] > 0.8
    assert 0.3 < metrics["validation:purity"] <= 1


def test_the_endpoint_encodes_and_decodes(record: dict[str, Any], pipeline: Pipeline) -> None:
    digits = held_out(pipeline)[:3]
    latents = ask(pipeline, json.dumps({"encode": digits}))["latents"]
    assert [len(row) for row in latents] == [20] * 3
    decoded = ask(pipeline, json.dumps({"decode": latents}))["digits"]
    again = ask(pipeline, json.dumps({"reconstruct": digits}))["digits"]
    for one, other, digit in zip(decoded, again, digits, strict=True):
        assert one == pytest.approx(other, abs=0.05)
        lost = sum((a - b) ** 2 for a, b in zip(other, digit, strict=True)) / 784
        assert lost < sum(pixel**2 for pixel in digit) / 784 / 2, "nearer to the digit than black is"
    by_width = ask(pipeline, "\n".join(",".join(map(str, digit)) for digit in digits), CSV, CSV)
    for line, row in zip(by_width.splitlines(), latents, strict=True):
        assert [float(field) for field in line.split(",")] == pytest.approx(row, rel=1e-4, abs=1e-4)


def test_a_request_that_cannot_be_answered_is_told_why(record: dict[str, Any], pipeline: Pipeline) -> None:
    with pytest.raises(ClientError, match=r"decode holds .* of the shape \(1, 3\); latents are numbers \(n, 20\)"):
        ask(pipeline, json.dumps({"decode": [[1, 2, 3]]}))


@pytest.mark.parametrize("name", ["reconstructions", "latents", "losses", "norms"])
def test_each_view_has_pictures_over_the_training(name: str, record: dict[str, Any], pipeline: Pipeline) -> None:
    bucket, s3 = pipeline.shared["ArtifactBucketName"], pipeline.aws.client("s3")
    folder = f"runs/autoencoder/{record['run_id']}/train/tensors"
    document = json.loads(s3.get_object(Bucket=bucket, Key=f"{folder}/views/{name}.json")["Body"].read())
    assert (document["status"], document["problems"]) == (views.ENDED, [])
    pictures = document["pictures"]
    assert len(pictures) >= 3
    # On a busy machine the first may still wait for the drawing process when the second is due, and is left out.
    assert pictures[0]["step"] == 0 or document["skipped"]
    first, last = (
        s3.get_object(Bucket=bucket, Key=f"{folder}/{picture['file']}")["Body"].read()
        for picture in (pictures[0], pictures[-1])
    )
    assert first != last
    if name == "reconstructions":
        assert len(re.findall(b"<image ", last)) == 20, "ten digits and their reconstructions"
    else:
        assert json.loads(last)["$schema"].startswith("https://vega.github.io/schema/vega-lite/")
