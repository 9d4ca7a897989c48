"""Arguing cdk-nag's findings, one by one, on the resource that they are about."""

from __future__ import annotations

import json
from collections.abc import Sequence

from aws_cdk import Acknowledgment, Stack, Validations
from constructs import Construct

from infra.grants import Grant


def acknowledge(construct: Construct, rule: str, reason: str) -> None:
    """Accepts one finding of AwsSolutions (`S1`, `IAM5[Resource::*]`) on one construct, for a reason."""
    Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions-{rule}", reason=reason))


def acknowledge_wildcards(construct: Construct, grants: Sequence[Grant]) -> None:
    """Accepts each wildcard resource that a grant argues; one without an argument stays a finding."""
    reasons = {
        flat: grant.because
        for grant in grants
        if grant.because
        for resource in grant.resources
        if "*" in (flat := _flat(construct, resource))
    }
    for resource, reason in reasons.items():
        acknowledge(construct, f"IAM5[Resource::{resource}]", reason)


def _flat(construct: Construct, resource: str) -> str:
    return json.dumps(Stack.of(construct).resolve(resource))
