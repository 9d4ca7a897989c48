"""A pipeline that SageMaker Debugger judges: its image, and what its roles may do for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from synthesis import Template, listed

MANAGED: dict[str, Any] = {
    "framework": {"name": "pytorch", "version": "2.6.0"},
    "rules_service": "sagemaker",
    "rules": [{"rule": "VanishingGradient"}],
}
IMAGE = "503895931360.dkr.ecr.us-east-1.amazonaws.com/sagemaker-debugger-rules:latest"


@pytest.fixture
def managed(pipeline: Callable[..., Template]) -> Template:
    return pipeline("local", **MANAGED)


def granted(template: Template, role: str) -> dict[str, str]:
    """Action → the resources that it is granted on, as text."""
    return {
        action: json.dumps(statement["Resource"])
        for statement in template.statements_of(role)
        for action in listed(statement["Action"])
    }


def test_the_definition_names_the_regions_image(managed: Template) -> None:
    rules = managed.machine["States"]["Train"]["Arguments"]["DebugRuleConfigurations"]
    assert [rule["RuleEvaluatorImage"] for rule in rules] == [IMAGE]


def test_rules_are_evaluated_with_the_training_jobs_role(managed: Template) -> None:
    found = [
        (listed(statement["Action"]), json.dumps(statement["Resource"]))
        for statement in managed.statements_of("JobsTraining")
    ]
    assert any("ecr:BatchGetImage" in actions and "sagemaker-debugger-rules" in on for actions, on in found)
    assert any("logs:PutLogEvents" in actions and "/aws/sagemaker/ProcessingJobs" in on for actions, on in found)
    assert not any("events:PutEvents" in actions for actions, _ in found), "SageMaker speaks for them"


def test_the_recorder_may_ask_for_its_own_training_jobs(
    managed: Template, stacks: Callable[[str], dict[str, Template]]
) -> None:
    assert (
        "training-job/local-tickets-????????-??????-????-train"
        in granted(managed, "RunRecorder")["sagemaker:DescribeTrainingJob"]
    )
    assert "sagemaker:DescribeTrainingJob" not in granted(stacks("local")["digits-forest"], "RunRecorder")
