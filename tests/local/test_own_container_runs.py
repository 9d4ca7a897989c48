"""Whole runs of containers of one's own: Dockerfile, CodeBuild, ECR, trained, judged, served; in Python and in C."""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from base_images import NO_BUILDS, NO_COMPILER, OwnContainer, mirror
from botocore.exceptions import ClientError
from checkouts import Shell, checkout
from deployed import Pipeline
from running_aws import ROOT

TRAINING_CODE = ROOT / "training_code"
PYTHON, C = OwnContainer(TRAINING_CODE / "own_container"), OwnContainer(TRAINING_CODE / "own_container_c")
IN_C = {} if NO_COMPILER else {"own-container-c": C}
PIPELINES = {} if NO_BUILDS else {"own-container": PYTHON, **IN_C}
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

    # Fewer digits make a worse model: it doesn't take the champion's place, and both were asked over HTTP.
    champion = first["evaluation"]["challenger"]["score"]
    pipeline.put("train/digits.csv", "".join(f"{','.join(row)}\n" for row in held_out[:40]))
    worse = pipeline.run()
    assert worse["outcome"] in ("NotBetter", "Rejected"), worse.get("error")
    assert worse["evaluation"]["champion"]["score"] == champion


def test_a_reason_that_the_container_writes_is_the_runs(deployed: Callable[[str], Pipeline]) -> None:
    pipeline = deployed("own-container")
    pipeline.put("train/more.csv", "setosa,5.1,3.5,1.4\n")
    record = pipeline.run()
    assert (record["outcome"], record["error"]["state"]) == ("Failed", "Train")
    assert record["error"]["cause"].endswith(": AlgorithmError: more.csv:1 has 3 numbers; needed: 4, exit code: 1")


def test_a_registry_that_refuses_ends_the_run_with_iams_words(deployed: Callable[[str], Pipeline]) -> None:
    pipeline = deployed("own-container")
    sampled(pipeline, PYTHON)
    with pipeline.without("ecr:BatchGetImage", pipeline.role("JobsTraining")):
        record = pipeline.run(forced=True)
    assert (record["outcome"], record["error"]["state"]) == ("Failed", "Train")
    assert "ecr:BatchGetImage" in record["error"]["cause"]


# ------------------------------------------------------------------------------------------------- from an empty folder

README = (PYTHON.folder / "README.md").read_text()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """Who does what the README says, in a checkout of their own, and then changes what they have."""
    folder = tmp_path_factory.mktemp("reader")
    root = checkout(folder / "checkout")
    shutil.copytree(PYTHON.folder, root / "training_code" / "own_container")
    with mirror([PYTHON]) as registries:
        shell = Shell(root, folder / "home", {"CONTAINERS_REGISTRIES_CONF": str(registries)})
        try:
            assert shell("up", "--port", "0", "--no-deploy").code == 0
            blocks = "".join(re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL))
            shell.told["readme"] = shell.bash(f"source .venv/bin/activate\n{blocks}")
            mine = root / "training_code" / "mine"
            (mine / "train").write_text((mine / "train").read_text().replace("labels=", "of labels="))
            shell.keep("changed", "run", "mine", "--wait", "--json")
            shell.keep("runs", "runs", "mine", "--json")
            with (mine / "Dockerfile").open("a") as dockerfile:
                dockerfile.write("RUN python3 -c 'raise SystemExit(\"no such wheel\")'\n")
            shell.keep("failing", "run", "mine", "--wait")
            flower = folder / "flower.csv"
            flower.write_text("5.1,3.5,1.4,0.2\n")
            shell.keep("still", "invoke", "mine", str(flower))
            yield shell
        finally:
            shell("down")


def test_its_readme_leads_from_an_empty_folder_to_a_model_that_answers(reader: Shell) -> None:
    told = reader.told["readme"]
    assert told.code == 0, f"{told.output}\n{told.errors}"
    assert "Promoted" in told.output
    assert "\nsetosa\n" in told.output


def test_changed_code_is_a_new_image_that_has_to_be_better(reader: Shell) -> None:
    # Besides there may be one that the sample's arrival has started, and that found nothing new.
    runs = {run["outcome"]: run for run in reader.told["runs"].json["runs"]}
    first, changed = runs["Promoted"], runs["NotBetter"]
    repository, digest = changed["image_uri"].split("@")
    assert first["image_uri"].startswith(f"{repository}@sha256:")
    assert not first["image_uri"].endswith(digest)
    assert changed["evaluation"]["champion"]["score"] == first["evaluation"]["challenger"]["score"], (
        "the champion answers in its own image"
    )


def test_a_run_that_fails_is_told_by_the_command_and_the_champion_answers(reader: Shell) -> None:
    failing = reader.told["failing"]
    assert failing.code == 1
    assert "The image build: docker build failed:" in failing.errors
    assert "no such wheel" in failing.errors
    assert reader.told["still"].output == "setosa\n"
