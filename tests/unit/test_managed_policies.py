"""AWS's managed policies that are known here."""

from __future__ import annotations

import json

from localaws.iam.policies import ALLOW, first_about, statements_of
from localaws.iam.requests import Request
from localaws.ministack_adapter.managed_policies import DOCUMENTS, unknown

KNOWN = json.loads(DOCUMENTS.read_text())


def allows(policy: str, action: str, resource: str = "*") -> bool:
    request = Request(action, resource, {}.get)
    return first_about(request, statements_of(KNOWN[policy]), ALLOW) is not None


def test_every_document_is_read_whole() -> None:
    for name, document in KNOWN.items():
        written = document["Statement"]
        assert len(statements_of(document)) == len(written if isinstance(written, list) else [written]), name


def test_what_some_of_them_grant() -> None:
    assert allows("AmazonSageMakerFullAccess", "sagemaker:CreateTrainingJob")
    assert not allows("AmazonSageMakerFullAccess", "s3:GetObject", "arn:aws:s3:::company-data/x")
    assert allows("AmazonSageMakerFullAccess", "s3:GetObject", "arn:aws:s3:::my-sagemaker-bucket/x")
    assert allows("AmazonSageMakerReadOnly", "sagemaker:DescribeTrainingJob")
    assert not allows("AmazonSageMakerReadOnly", "sagemaker:CreateTrainingJob")
    assert allows("AmazonEC2ContainerRegistryReadOnly", "ecr:BatchGetImage")


def test_an_unknown_policy_is_told_with_what_to_do() -> None:
    assert unknown("arn:aws:iam::aws:policy/Nothing").endswith("give its statements in a policy of your own.")
    own = "arn:aws:iam::000000000000:policy/none"
    assert unknown(own) == f"Policy {own} does not exist or is not attachable."
