"""What can't be deployed is refused by `cdk synth`, in a sentence that says where and what would be right."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from synthesis import CONTEXT, ROOT, settings, synthesize, write_pipeline

from ratchet.spec import ConfigurationError, SpecError

CASES: list[tuple[dict[str, Any], str]] = [
    (
        {"framework": {"name": "sklearn", "version": "9.9-0"}},
        r"framework.version: sklearn 9.9-0 has no training image; versions with both images are .*1\.9-0",
    ),
    (
        {"framework": {"name": "pytorch", "version": "2.10.0"}},
        r"framework.version: pytorch 2.10.0 has no inference image; versions with both images are .*2\.6\.0",
    ),
    (
        {"train": {"instance": "ml.trn1.2xlarge"}},
        "train.instance: ml.trn1.2xlarge is a machine for neuron images; sklearn's are for cpu",
    ),
    (
        {"deploy": {"instance": "ml.c7g.large"}},
        "deploy.instance: ml.c7g.large is a machine for arm64 images; sklearn's are for cpu",
    ),
]


@pytest.mark.parametrize(("changes", "message"), CASES)
def test_an_image_that_does_not_exist(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    folder = write_pipeline(tmp_path / "models", **changes)
    with pytest.raises(SpecError, match=message) as error:
        synthesize(settings("local"), tmp_path / "models", tmp_path / "out")
    assert str(error.value).startswith(f"{folder / 'pipeline.yaml'}:")


def test_a_region_without_the_image(tmp_path: Path) -> None:
    write_pipeline(tmp_path / "models")
    with pytest.raises(SpecError, match=r"sklearn 1.9-0 has no training image in mx-central-1; only in .*us-east-1"):
        synthesize(settings("prod", region="mx-central-1"), tmp_path / "models", tmp_path / "out")


def test_a_dockerfile_where_no_image_is_built(tmp_path: Path) -> None:
    folder = write_pipeline(tmp_path / "models", framework=None, dockerfile="Dockerfile")
    (folder / "Dockerfile").write_text("FROM scratch\n")
    with pytest.raises(SpecError, match="dockerfile: the environment local builds no images"):
        synthesize(settings("local", image_builds="none"), tmp_path / "models", tmp_path / "out")


def test_two_pipelines_of_one_name(tmp_path: Path) -> None:
    folder = write_pipeline(tmp_path / "models")
    shutil.copytree(folder, tmp_path / "models" / "tickets_again")
    with pytest.raises(SpecError, match=r"tickets_again/pipeline.yaml:\d+: name: is 'tickets', which .*has already"):
        synthesize(settings("local"), tmp_path / "models", tmp_path / "out")


@pytest.mark.parametrize("missing", ["train.py", "serve.py"])
def test_a_folder_without_its_code(tmp_path: Path, missing: str) -> None:
    folder = write_pipeline(tmp_path / "models")
    (folder / missing).unlink()
    with pytest.raises(ConfigurationError, match=f"tickets/{missing}: is missing"):
        synthesize(settings("local"), tmp_path / "models", tmp_path / "out")


# CDK's library can't start with it: what is refused all the same was refused before.
WITHOUT_CDK = {"JSII_RUNTIME": "/nonexistent"}


def run_app(
    folder: Path, variables: Mapping[str, str] | None = None, environment: str = "local", **more: str
) -> subprocess.CompletedProcess[str]:
    """app.py of a copy of the checkout, as the cdk command runs it."""
    context = json.dumps({**CONTEXT, "environment": environment, **more})
    called_with = {"CDK_CONTEXT_JSON": context, "CDK_OUTDIR": str(folder / "out")}
    return subprocess.run(
        [sys.executable, "app.py"],
        cwd=folder,
        env={**os.environ, **called_with, **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the pipelines of its own."""
    shutil.copy(ROOT / "app.py", tmp_path)
    for name in ("infra", "lambdas", "ratchet"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "training_code" / "toolkit", tmp_path / "training_code" / "toolkit")
    return tmp_path


def test_a_wrong_spec_ends_the_app_with_its_sentence_alone(checkout: Path) -> None:
    folder = write_pipeline(checkout / "training_code", train={"instance": "m5.large"})
    done = run_app(checkout, WITHOUT_CDK)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{folder / 'pipeline.yaml'}:")
    assert "ml.m5.large" in line


def test_an_unknown_environment_ends_the_app_with_those_there_are(checkout: Path) -> None:
    done = run_app(checkout, WITHOUT_CDK, environment="production")
    assert done.returncode == 1
    assert done.stderr == "cdk.json: there is no environment 'production'; there are local, dev, prod\n"


def test_the_app_of_a_checkout_without_pipelines_is_the_shared_stack(checkout: Path) -> None:
    done = run_app(checkout)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in (checkout / "out").glob("*.template.json")] == ["ratchet-local-shared.template.json"]


def test_the_chosen_pipelines_are_made_whatever_is_wrong_with_another(checkout: Path) -> None:
    write_pipeline(checkout / "training_code")
    broken = write_pipeline(checkout / "training_code", name="broken", train={"instance": "m5.large"})
    everything = run_app(checkout, WITHOUT_CDK)
    assert everything.returncode == 1
    assert f"{broken / 'pipeline.yaml'}:" in everything.stderr
    assert "(without it: -c pipelines=tickets)" in everything.stderr
    done = run_app(checkout, pipelines="tickets")
    assert (done.returncode, done.stderr) == (0, "")
    made = {path.name for path in (checkout / "out").glob("*.template.json")}
    assert made == {"ratchet-local-shared.template.json", "ratchet-local-tickets.template.json"}
