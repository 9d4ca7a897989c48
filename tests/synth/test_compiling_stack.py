"""A pipeline that compiles: who does it, and what a run may do for that."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from synthesis import Template, listed, text

DEPLOY = {"instance": "ml.m5.large", "compile": {"target": "onnx"}}
ROLE = "JobsCompiling"


@pytest.fixture
def compiling(pipeline: Callable[..., Template]) -> Template:
    return pipeline("local", deploy=DEPLOY)


def test_sagemaker_assumes_its_role_and_the_machine_passes_and_tags_it(compiling: Template) -> None:
    (name,) = [name for name in compiling.of_type("AWS::IAM::Role") if name.startswith(ROLE)]
    (trust,) = compiling.of_type("AWS::IAM::Role")[name]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    for action in ("iam:PassRole", "iam:TagRole"):
        asked = [one for _, one in compiling.statements() if action in listed(one["Action"])]
        assert asked and name in text(asked), action


def test_its_role_writes_the_folder_of_the_run_that_its_tag_names(compiling: Template) -> None:
    writing = [one for one in compiling.statements_of(ROLE) if "s3:PutObject" in listed(one["Action"])]
    (resource,) = [text(resource) for one in writing for resource in listed(one["Resource"])]
    assert "runs/tickets/${aws:PrincipalTag/ratchet-run}/compiled/*" in resource
    services = {action.partition(":")[0] for one in compiling.statements_of(ROLE) for action in listed(one["Action"])}
    assert services <= {"s3", "kms", "ecr", "logs", "cloudwatch"}


def test_the_job_comes_between_training_and_evaluation(compiling: Template) -> None:
    states = compiling.machine["States"]
    ways = [states["CloseTraining"]["Next"], states["OpenCompiling"]["Next"], states["CloseCompiling"]["Next"]]
    assert ways == ["OpenCompiling", "Compile", "OpenEvaluation"]
    environment = states["Evaluate"]["Arguments"]["ProcessingResources"]
    assert states["Compile"]["Arguments"]["ProcessingResources"] == environment


def test_without_it_there_is_neither(pipeline: Callable[..., Template]) -> None:
    plain = pipeline("local")
    assert "Compile" not in plain.machine["States"] and ROLE not in text(plain.document)
