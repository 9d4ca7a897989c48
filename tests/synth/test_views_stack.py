"""A pipeline with views: what its training jobs are told, and who may draw views of finished trainings."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from synthesis import Template, listed, text

from contract import environment, files, views

VIEWS: list[dict[str, Any]] = [{"view": "norms", "every": 50}, {"view": "confusion", "name": "mistakes"}]
ROLE = "ViewsViewing"


@pytest.fixture
def viewed(pipeline: Callable[..., Template]) -> Template:
    return pipeline("local", views=VIEWS)


def granted(template: Template, *actions: str) -> list[str]:
    """The resources on which the role may do any of these, as texts without what CloudFormation fills in."""
    statements = [one for one in template.statements_of(ROLE) if set(listed(one["Action"])) & set(actions)]
    found = [text(resource) for one in statements for resource in listed(one["Resource"])]
    return [resource.partition("/")[2].rstrip('"]}') for resource in found]


def test_a_training_job_is_told_of_its_views(viewed: Template) -> None:
    told = json.loads(viewed.machine["States"]["Train"]["Arguments"]["Environment"][environment.VIEWS])
    assert told == [
        {"view": "norms", "name": "norms", "every": 50, "parameters": {}},
        {"view": "confusion", "name": "mistakes", "every": views.EVALUATION, "parameters": {}},
    ]


def test_its_role_reads_what_trainings_have_saved_and_their_code(viewed: Template) -> None:
    one = "????????-??????-????"
    tried = {f"tries/tickets/{one}/{files.TENSORS}/*", f"tries/tickets/{one}/{files.SOURCE_ARCHIVE}"}
    reads = {f"runs/tickets/{one}/{files.TENSORS}/*", "code/tickets/*", *tried, f"tries/tickets/views/{one}/*"}
    assert set(granted(viewed, "s3:GetObject")) == reads
    listing = [one for one in viewed.statements_of(ROLE) if "s3:ListBucket" in listed(one["Action"])]
    prefixes = {prefix for one in listing for prefix in listed(one["Condition"]["StringLike"]["s3:prefix"])}
    assert prefixes == {"runs/tickets/*", "code/tickets/*", "tries/tickets/*"}


def test_it_writes_pictures_beside_the_tries_and_nothing_else(viewed: Template) -> None:
    writing = ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
    assert granted(viewed, *writing) == ["tries/tickets/views/*"]
    services = {action.partition(":")[0] for one in viewed.statements_of(ROLE) for action in listed(one["Action"])}
    assert services <= {"s3", "kms", "ecr", "logs", "cloudwatch"}


def test_sagemaker_assumes_it_and_no_run_may_pass_it(viewed: Template) -> None:
    (name,) = [name for name in viewed.of_type("AWS::IAM::Role") if name.startswith(ROLE)]
    role = viewed.of_type("AWS::IAM::Role")[name]["Properties"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    passing = [one for _, one in viewed.statements() if "iam:PassRole" in listed(one["Action"])]
    assert passing and ROLE not in text(passing)
    assert viewed.document["Outputs"][views.ROLE_OUTPUT]["Value"] == {"Fn::GetAtt": [name, "Arn"]}


def test_without_views_there_is_no_such_role(pipeline: Callable[..., Template]) -> None:
    plain = pipeline("local")
    assert views.ROLE_OUTPUT not in plain.document["Outputs"]
    assert ROLE not in text(plain.document)
    assert environment.VIEWS not in text(plain.document)


def test_views_reach_each_round(pipeline: Callable[..., Template]) -> None:
    metrics = {"accuracy": "a=([0-9.]+)", "parameters": "p=([0-9]+)"}
    rounds = {"max": 3, "metric": "accuracy", "tolerance": 0.05, "size": "parameters"}
    train = {"instance": "ml.m5.large", "metrics": metrics}
    states = pipeline("local", views=VIEWS, train=train, rounds=rounds).machine["States"]
    assert environment.VIEWS in states["Train"]["Arguments"]["Environment"]
    assert "/train/tensors/round-" in states["Train"]["Arguments"]["Environment"][environment.PROBE]
