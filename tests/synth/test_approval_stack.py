"""A pipeline whose models a person approves: what its stack has besides, and that others have none of it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from synthesis import Template, listed


@pytest.fixture
def manual(pipeline: Callable[..., Template]) -> Template:
    return pipeline("prod", approval={"manual": True, "expires": "3d"})


def granted(template: Template, role: str) -> dict[str, str]:
    """Action → the resources that it is granted on, as text."""
    return {
        action: json.dumps(statement["Resource"])
        for statement in template.statements_of(role)
        for action in listed(statement["Action"])
    }


def test_the_launcher_hears_of_decisions_about_this_pipelines_models(manual: Template) -> None:
    rule = manual.named("TriggersPackageDecided")["Properties"]
    assert rule["EventPattern"] == {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": ["prod-tickets"], "ModelApprovalStatus": ["Approved", "Rejected"]},
    }
    assert "WaitingQueue" in json.dumps(rule["Targets"])


def test_the_run_waits_for_so_long_and_asks_through_the_pipelines_queue(manual: Template) -> None:
    state = manual.machine["States"]["Approve"]
    assert state["Resource"].endswith(":sqs:sendMessage.waitForTaskToken") and state["TimeoutSeconds"] == 3 * 24 * 3600
    machine = manual.one("AWS::StepFunctions::StateMachine")["Properties"]
    assert "WaitingQueue" in json.dumps(machine["DefinitionSubstitutions"]["queue_url"])
    assert "WaitingQueue" in granted(manual, "WorkflowExecution")["sqs:SendMessage"]


def test_each_may_do_its_part(manual: Template) -> None:
    launcher, machine = granted(manual, "LauncherExecution"), granted(manual, "WorkflowExecution")
    assert "model-package/prod-tickets/*" in launcher["sagemaker:UpdateModelPackage"]
    assert "model-package/prod-tickets/*" in machine["sagemaker:DescribeModelPackage"]
    assert launcher["states:SendTaskSuccess"] == '"*"', "it knows no resource"
    assert "sagemaker:UpdateModelPackage" not in machine, "a run doesn't approve itself"


def test_without_a_person_the_stack_has_none_of_it(pipeline: Callable[..., Template]) -> None:
    automatic = json.dumps(pipeline("prod", approval="automatic").document)
    assert automatic == json.dumps(pipeline("prod").document)
    for word in ("PackageDecided", "PendingManualApproval"):
        assert word not in automatic
    batch = {"kind": "batch", "input": "tickets/rows/", "instance": "ml.m5.large"}
    batches = json.dumps(pipeline("prod", approval="automatic", deploy=batch).document)
    for word in ("SendTaskSuccess", "PackageDecided", "waitForTaskToken", "PendingManualApproval", "queue_url"):
        assert word not in batches
