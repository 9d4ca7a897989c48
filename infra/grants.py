"""Permissions as data: few actions on named resources, and where a name must end in a wildcard, why.

A grant becomes one statement of the role's policy. Its `because` is the argument against cdk-nag's finding IAM5 for
exactly the wildcard resources of this grant, so that no wildcard enters a role without its reason standing beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Conditions = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Grant:
    """`actions` on `resources` (ARNs, possibly CDK tokens) under `conditions`; `because` argues a `*` in a resource."""

    actions: Sequence[str]
    resources: Sequence[str]
    conditions: Conditions = field(default_factory=dict)
    because: str = ""


SAGEMAKER = "sagemaker.amazonaws.com"
NO_RESOURCE = "These actions know no resource-level permissions (Service Authorization Reference), so AWS takes only *."


@dataclass(frozen=True, kw_only=True)
class Account:
    """The partition, region and account of a stack, for ARNs (tokens where the template must not know them)."""

    partition: str
    region: str
    account: str
    url_suffix: str

    def arn(self, service: str, resource: str) -> str:
        """`arn:<partition>:<service>:<region>:<account>:<resource>`."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def bucket_arn(self, bucket: str) -> str:
        return f"arn:{self.partition}:s3:::{bucket}"

    def endpoint(self, service: str) -> str:
        """A service as `kms:ViaService` names it: `s3.us-east-1.amazonaws.com`."""
        return f"{service}.{self.region}.{self.url_suffix}"


def use_key(account: Account, key_arn: str, *services: str) -> Grant:
    """Reading and writing what the key encrypts, but only through the services that hold it (kms:ViaService).

    The actions are those that DynamoDB ("DynamoDB encryption at rest: usage notes"), S3 ("Using SSE-KMS": multipart
    uploads need Decrypt too) and SNS ("Key management for encrypted topics") ask of their callers.
    """
    return Grant(
        actions=["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"],
        resources=[key_arn],
        conditions={"StringEquals": {"kms:ViaService": [account.endpoint(service) for service in services]}},
    )


def read_objects(bucket_arn: str, prefixes: Sequence[str], because: str) -> list[Grant]:
    """Reading the objects under prefixes, and listing those prefixes (so that a missing object is a 404, not a 403)."""
    return [
        Grant(actions=["s3:GetObject"], resources=[f"{bucket_arn}/{prefix}*" for prefix in prefixes], because=because),
        list_prefixes(bucket_arn, prefixes),
    ]


def list_prefixes(bucket_arn: str, prefixes: Sequence[str], *more_actions: str) -> Grant:
    return Grant(
        actions=["s3:ListBucket", *more_actions],
        resources=[bucket_arn],
        conditions={"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}},
    )


def write_objects(bucket_arn: str, patterns: Sequence[str], because: str) -> Grant:
    """Writing objects, in parts if they are large."""
    return Grant(
        actions=["s3:AbortMultipartUpload", "s3:PutObject"],
        resources=[f"{bucket_arn}/{pattern}" for pattern in patterns],
        because=because,
    )


def use_items(table_arn: str, partition: str, *actions: str) -> Grant:
    """DynamoDB actions on one partition of a table (dynamodb:LeadingKeys)."""
    return Grant(
        actions=[f"dynamodb:{action}" for action in actions],
        resources=[table_arn],
        conditions={"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [partition]}},
    )


def call_functions(function_arns: Sequence[str]) -> Grant:
    return Grant(actions=["lambda:InvokeFunction"], resources=list(function_arns))


def pass_roles(role_arns: Sequence[str], service: str) -> Grant:
    """Handing roles to one service and no other."""
    return Grant(
        actions=["iam:PassRole"],
        resources=list(role_arns),
        conditions={"StringEquals": {"iam:PassedToService": service}},
    )
