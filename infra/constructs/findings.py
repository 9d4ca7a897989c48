"""Arguing cdk-nag's findings, one by one, on the resource that they are about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from aws_cdk import Acknowledgment, Stack, Validations
from constructs import Construct

from infra.grants import Grant


def acknowledge(construct: Construct, rule: str, reason: str) -> None:
    """Accepts one finding of AwsSolutions (`S1`, `IAM5[Resource::*]`) on one construct, for a reason."""
    Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions-{rule}", reason=reason))


def acknowledge_wildcards(construct: Construct, grants: Sequence[Grant]) -> None:
    """Accepts each wildcard resource that a grant argues; one without an argument stays a finding."""
    resolve = Stack.of(construct).resolve
    argued = [(flat(resolve(resource)), grant.because) for grant in grants for resource in grant.resources]
    for resource, reason in {resource: reason for resource, reason in argued if reason and "*" in resource}.items():
        acknowledge(construct, f"IAM5[Resource::{resource}]", reason)


def flat(value: Any) -> str:
    """A template's value as cdk-nag writes it into a finding's name: `<Bucket.Arn>/*`."""
    match value:
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(flat(part) for part in parts)
        case {"Fn::GetAtt": [resource, attribute]}:
            return f"<{resource}.{attribute}>"
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::ImportValue": name}:
            return flat(name)
        case _:
            return re.sub(r"\$\{([^}]*)\}", r"<\1>", str(value))
