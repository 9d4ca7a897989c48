"""Whole runs of containers of one's own: Dockerfile, CodeBuild, ECR, trained, judged, served; in Python and in C."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from base_images import NO_BUILDS, NO_COMPILER, OwnContainer
from botocore.exceptions import ClientError
from deployed import HELD_OUT, Pipeline
from running_aws import ROOT

TRAINING_CODE = ROOT / "training_code"
PYTHON, C = OwnContainer(TRAINING_CODE / "own_container"), OwnContainer(TRAINING_CODE / "own_container_c")
SCRIPTED = OwnContainer(ROOT / "tests" / "local" / "scripted_container")
IN_C = {} if NO_COMPILER else {"own-container-c": C}
PIPELINES = {} if NO_BUILDS else {"own-container": PYTHON, "own-scripted": SCRIPTED, **IN_C}
pytestmark = pytest.mark.skipif(bool(NO_BUILDS), reason=NO_BUILDS)


def sampled(pipeline: Pipeline, model: OwnContainer) -> list[list[str]]:
    """Puts a folder's sample into the channels; its held-out rows."""
    for channel in ("train", "test"):
        for path in sorted((model.folder / "sample" / channel).iterdir()):
            pipeline.put(f"{channel}/{path.name}", path.read_text())
    return list(csv.reader(io.StringIO(path.read_text())))


def ask(pipeline: Pipeline, body: str, content_type: str = "text/csv", accept: str = "text/csv") -> tuple[str, str]:
    """What the endpoint answers, and of what type that is."""
    answer = pipeline.aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=pipeline.own["EndpointName"], ContentType=content_type, Accept=accept, Body=body
    )
    return answer["Body"].read().decode(), answer["ContentType"]


def refused(pipeline: Pipeline, body: str, content_type: str = "text/csv") -> tuple[int, str]:
    """The container's status and words for a request that it refuses."""
    with pytest.raises(ClientError) as caught:
        ask(pipeline, body, content_type)
    return caught.value.response["OriginalStatusCode"], caught.value.response["OriginalMessage"]


def rows_of(held_out: list[list[str]]) -> str:
    return "".join(f"{','.join(row[1:])}\n" for row in held_out)


def accuracy(answers: str, held_out: list[list[str]]) -> float:
    return sum(said == row[0] for said, row in zip(answers.split(), held_out, strict=True)) / len(held_out)


def digest_of(pipeline: Pipeline, record: dict[str, Any]) -> str:
    """The digest of a run's image, which is in the pipeline's own repository."""
    repository, _, digest = record["image_uri"].partition("@")
    name = repository.partition("/")[2]
    (image,) = pipeline.aws.client("ecr").describe_images(repositoryName=name)["imageDetails"]
    assert image["imageDigest"] == digest
    return str(digest)


def test_an_image_of_ones_own_is_built_trained_judged_and_served(deployed: Callable[[str], Pipeline]) -> None:
    pipeline = deployed("own-container")
    held_out = sampled(pipeline, PYTHON)
    first = pipeline.run()
    assert first["outcome"] == "Promoted", first.get("error")
    assert digest_of(pipeline, first).startswith("sha256:")
    assert first["hyperparameters"] == {"epochs": "60", "learning-rate": "0.05"}
    assert set(first["metrics"]) == {"train:loss", "validation:accuracy"}

    answers, content_type = ask(pipeline, rows_of(held_out))
    assert content_type == "text/csv"
    assert accuracy(answers, held_out) == pytest.approx(float(first["evaluation"]["challenger"]["score"])), (
        "what was judged is what serves"
    )
    assert ask(pipeline, "[[5.1, 3.5, 1.4, 0.2]]", "application/json", "application/json") == (
        '["setosa"]', "application/json",
    )  # fmt: skip
    assert refused(pipeline, "1,2") == (400, "row 1 has 2 numbers; the model takes 4")
    assert refused(pipeline, "a,2,3,4")[0] == 400
    assert refused(pipeline, "x", "image/png") == (
        415, "the content type is image/png; send text/csv or application/json",
    )  # fmt: skip

    # The same data make the same model, which is no better than itself.
    second = pipeline.run(forced=True)
    assert second["outcome"] == "NotBetter"
    assert second["evaluation"]["champion"]["score"] == second["evaluation"]["challenger"]["score"]
    assert float(second["evaluation"]["difference"]) == 0
    models = pipeline.deployed()["models"]
    assert models == {pipeline.state["champion"]["model_name"]}, "those that were only asked are gone"


@pytest.mark.skipif(bool(NO_COMPILER), reason=NO_COMPILER)
def test_so_is_one_program_in_c_in_an_image_without_anything_else(deployed: Callable[[str], Pipeline]) -> None:
    pipeline = deployed("own-container-c")
    held_out = sampled(pipeline, C)
    first = pipeline.run()
    assert first["outcome"] == "Promoted", first.get("error")
    answers, _ = ask(pipeline, rows_of(held_out))
    assert accuracy(answers, held_out) == pytest.approx(float(first["evaluation"]["challenger"]["score"]))
    assert refused(pipeline, "1,2") == (400, "line 1: needed: 64 numbers, with a comma between them")
    assert refused(pipeline, "[[1]]", "application/json") == (415, "send text/csv: 64 pixels a line")

    # More data make a better model: the challenger has to answer better than the champion, both asked over HTTP.
    champion = first["evaluation"]["challenger"]["score"]
    pipeline.put("train/digits.csv", "".join(f"{','.join(row)}\n" for row in held_out[:40]))
    worse = pipeline.run()
    assert worse["outcome"] in ("NotBetter", "Rejected"), worse.get("error")
    assert worse["evaluation"]["champion"]["score"] == champion


# Orders, the state that fails, and its words.
WRONG: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({"failure": "the data are upside down"}, "Train", "AlgorithmError: the data are upside down, exit code: 3"),
    (
        {"accuracy": 0.9, "asked": "ends"},
        "Evaluate",
        "the challenger can't answer: AlgorithmError: Model container failed to respond to ping. Please ensure /ping "
        "endpoint is implemented and responds with an HTTP 200 status code; its log says: no licence was found",
    ),
    (
        {"accuracy": 0.9, "asked": "fails"},
        "Evaluate",
        "the challenger can't answer held_out.csv:1 to held_out.csv:200 (200 rows): its container answered 500: out of "
        "luck",
    ),
    (
        {"accuracy": 0.9, "asked": "short"},
        "Evaluate",
        "the challenger gave 199 answers to 200 examples (held_out.csv:1 to held_out.csv:200); its container must give "
        "one line an example, in their order",
    ),
)
# What is wrong on the endpoint alone, the state that sees it, and its words: the champion stays.
ROLLED_BACK = (
    ("lies", "Verify", "example 1 of 5: answered '1', not '0'"),
    ("ends", "AwaitEndpoint", "did not pass the ping health check. Please check CloudWatch logs for this endpoint."),
)


def test_what_goes_wrong_in_a_container_is_told_in_its_own_words(deployed: Callable[[str], Pipeline]) -> None:
    pipeline = deployed("own-scripted")
    pipeline.put("test/held_out.csv", HELD_OUT)
    pipeline.order(accuracy=0.8)
    champion = pipeline.run()
    assert champion["outcome"] == "Promoted", champion.get("error")
    for orders, state, words in WRONG:
        pipeline.order(**orders)
        record = pipeline.run()
        assert (record["outcome"], record["error"]["state"]) == ("Failed", state)
        assert words in record["error"]["cause"]
    for wrong, state, words in ROLLED_BACK:
        pipeline.order(accuracy=0.95, endpoint=wrong)
        record = pipeline.run()
        assert (record["outcome"], record["error"]["state"]) == ("RolledBack", state)
        assert words in record["error"]["cause"]
    assert pipeline.state["champion"]["run_id"] == champion["run_id"]
    assert (pipeline.ask(3), pipeline.ask(85)) == ("1", "0"), "the champion answers"


def test_a_registry_that_refuses_ends_the_run_with_iams_words(deployed: Callable[[str], Pipeline]) -> None:
    pipeline = deployed("own-scripted")
    pipeline.put("test/held_out.csv", HELD_OUT)
    pipeline.order(accuracy=0.9, other=1)
    with pipeline.without("ecr:BatchGetImage", pipeline.role("JobsTraining")):
        record = pipeline.run()
    assert (record["outcome"], record["error"]["state"]) == ("Failed", "Train")
    assert "ecr:BatchGetImage" in record["error"]["cause"]
