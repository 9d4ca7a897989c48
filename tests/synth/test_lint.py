"""The linters see what this checkout's own pipelines don't have: a dockerfile, a VPC, a schedule, SageMaker Debugger.
And they can fail."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from synthesis import ROOT, TOOLKIT, settings, write_pipeline

from ratchet.spec.environments import Environment

Verdict = Callable[[Environment, Path], bool]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout's cdk.json and training_code."""
    shutil.copy(ROOT / "cdk.json", tmp_path)
    shutil.copytree(TOOLKIT, tmp_path / "training_code" / "toolkit")
    return tmp_path


@pytest.fixture
def is_clean() -> Verdict:
    """The linters' verdict. To import CDK, as they do, takes most of a second (see `synthesis.synthesize`)."""
    from infra.lint import lint  # noqa: PLC0415

    return lint


def test_every_part_is_clean(root: Path, is_clean: Verdict, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_pipeline(
        root / "training_code", framework=None, dockerfile="Dockerfile", triggers={"schedule": "rate(7 days)"}
    )
    (folder / "Dockerfile").write_text(
        "FROM public.ecr.aws/docker/library/python:3.12 AS tools\n"
        "FROM 763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312\n"
        'ENTRYPOINT ["/main"]\n'
    )
    write_pipeline(
        root / "training_code",
        name="judged",
        framework={"name": "pytorch", "version": "2.6.0"},
        rules_service="sagemaker",
        rules=[{"rule": "VanishingGradient"}],
        approval="manual",
        deploy={"instance": "ml.m5.large", "autoscale": {"max": 4, "invocations_per_instance": 1000}},
    )
    compiling = {"instance": "ml.m5.large", "compile": {"target": "onnx"}}
    write_pipeline(root / "training_code", name="viewed", views=[{"view": "losses"}], deploy=compiling)
    tensorflow = {"name": "tensorflow", "version": "2.21.0", "hosting": {"name": "pytorch", "version": "2.6.0"}}
    write_pipeline(root / "training_code", name="hosted", framework=tensorflow)
    vpc = {"subnets": ["subnet-0a1b"], "security_groups": ["sg-0e3f"]}
    assert is_clean(settings("prod", vpc=vpc, permissions_boundary="team-boundary"), root), capsys.readouterr().err


def test_a_wildcard_without_an_argument_is_found(
    root: Path, is_clean: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pipeline(root / "training_code")
    monkeypatch.setattr("infra.workflow.run_grants.RUNS_ARE_NAMED_LATER", "")
    assert not is_clean(settings("local"), root)
