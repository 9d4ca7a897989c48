"""A pipeline whose labels may be audited: who may do that, and what of."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from synthesis import Template, listed, text

from contract import label_audits

ROLE = "LabelsAuditing"
ANY = "????????-??????-????"


@pytest.fixture
def audited(pipeline: Callable[..., Template]) -> Template:
    return pipeline("local", labels=["train"])


def granted(template: Template, *actions: str) -> set[str]:
    """The resources on which the role may do any of these, as texts without what CloudFormation fills in."""
    statements = [one for one in template.statements_of(ROLE) if set(listed(one["Action"])) & set(actions)]
    found = [text(resource) for one in statements for resource in listed(one["Resource"])]
    return {resource.partition("/")[2].rstrip('"]}') for resource in found}


def test_its_role_reads_the_channel_and_the_audits_code_alone(audited: Template) -> None:
    prefix = "tickets/train/"
    assert granted(audited, "s3:GetObject") == {f"{prefix}*", f"tries/tickets/labels/{ANY}/sourcedir.tar.gz"}
    listing = [one for one in audited.statements_of(ROLE) if "s3:ListBucket" in listed(one["Action"])]
    prefixes = {found for one in listing for found in listed(one["Condition"]["StringLike"]["s3:prefix"])}
    assert prefixes == {f"{prefix}*", "tries/tickets/labels/*"}


def test_it_writes_what_it_finds_and_nothing_else(audited: Template) -> None:
    writing = ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
    assert granted(audited, *writing) == {f"tries/tickets/labels/{ANY}/audit.json"}
    services = {action.partition(":")[0] for one in audited.statements_of(ROLE) for action in listed(one["Action"])}
    assert services <= {"s3", "kms", "ecr", "logs", "cloudwatch"}


def test_sagemaker_assumes_it_and_no_run_may_pass_it(audited: Template) -> None:
    (name,) = [name for name in audited.of_type("AWS::IAM::Role") if name.startswith(ROLE)]
    role = audited.of_type("AWS::IAM::Role")[name]["Properties"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    passing = [one for _, one in audited.statements() if "iam:PassRole" in listed(one["Action"])]
    assert passing and ROLE not in text(passing)
    assert audited.document["Outputs"][label_audits.ROLE_OUTPUT]["Value"] == {"Fn::GetAtt": [name, "Arn"]}


def test_the_held_out_channel_may_be_audited_where_that_is_said(pipeline: Callable[..., Template]) -> None:
    both = pipeline("local", labels=["train", "test"])
    assert {"tickets/train/*", "tickets/test/*"} < granted(both, "s3:GetObject")


def test_of_a_manifest_what_it_points_to_and_itself(pipeline: Callable[..., Template]) -> None:
    channel = {"manifest": "more/l.manifest", "attributes": ["source-ref", "class"], "objects": "tickets/train/"}
    found = pipeline("local", labels=["train"], data={"train": channel, "test": "tickets/test/"})
    assert {"tickets/train/*", "more/l.manifest"} < granted(found, "s3:GetObject")


def test_without_labels_there_is_no_such_role(pipeline: Callable[..., Template]) -> None:
    plain = pipeline("local")
    assert label_audits.ROLE_OUTPUT not in plain.document["Outputs"]
    assert ROLE not in text(plain.document)
