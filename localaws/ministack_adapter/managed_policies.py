"""AWS's managed policies: those that are known here, and none that isn't.

`managed_policies.json` holds the documents that users of such stacks attach and MiniStack hasn't got, as the AWS
Managed Policy Reference publishes them (August 2026). A policy that isn't known is refused by name, where it is
attached: MiniStack attaches any name, and a typo or an unknown policy then grants nothing, without a word.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.imports import when_imported

DOCUMENTS = Path(__file__).with_suffix(".json")
AWS_MANAGED = "arn:aws:iam::aws:policy/"
_ATTACHING = ("AttachRolePolicy", "AttachUserPolicy", "AttachGroupPolicy")


def install(_aws: EmbeddedAws) -> None:
    when_imported("ministack.services.iam", _register)


def _register(iam: ModuleType) -> None:
    for name, document in json.loads(DOCUMENTS.read_text()).items():
        iam._aws_managed_policies[AWS_MANAGED + name] = iam._make_aws_managed_record(name, json.dumps(document))
    for operation in _ATTACHING:
        iam._IAM_HANDLERS[operation] = _refusing(iam, iam._IAM_HANDLERS[operation])
    attach = iam.attach_managed_policy

    def attach_managed_policy(entity: dict[str, Any], policy_arn: str) -> None:
        """For CloudFormation, whose stack fails with the message; an empty list of ARNs arrives as one empty text."""
        if not policy_arn:
            return
        if not iam.policy_known(policy_arn):
            raise ValueError(unknown(policy_arn))
        attach(entity, policy_arn)

    setattr(iam, "attach_managed_policy", attach_managed_policy)  # noqa: B010 - a module of which mypy knows nothing


def unknown(policy_arn: str) -> str:
    """IAM's message, and for AWS's own policies what can be done. Pure."""
    told = f"Policy {policy_arn} does not exist or is not attachable."
    if not policy_arn.startswith(AWS_MANAGED):
        return told
    return f"{told} If AWS has it, this AWS doesn't know its document: give its statements in a policy of your own."


def _refusing(iam: ModuleType, inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def handler(params: Any) -> Any:
        arn = iam._p(params, "PolicyArn")
        if arn and not iam.policy_known(arn):
            return iam._error(404, "NoSuchEntity", unknown(arn), ns="iam")
        return inner(params)

    return handler
