"""A SageMaker request as it arrives: its operation, its document, and the resources that it is about."""

from __future__ import annotations

import json
from contextvars import ContextVar
from functools import cache
from typing import Any

from localaws.ministack_adapter.sagemaker_keys import request_keys, tag_keys

Document = dict[str, Any]

# The body that this task looked at last, and what was in it. Authorization, condition keys and the handler look at the
# same bytes one after the other.
_parsed: ContextVar[tuple[bytes, Document | None] | None] = ContextVar("parsed", default=None)

# The member that names an operation's resource, and the resource's type in its ARN ("Actions, resources, and condition
# keys for Amazon SageMaker" in the Service Authorization Reference), beside those of the kinds of jobs that are here.
_RESOURCE_MEMBERS = {
    "EndpointName": "endpoint",
    "EndpointConfigName": "endpoint-config",
    "ModelName": "model",
    "ModelPackageName": "model-package",
    "ModelPackageArn": "model-package",
    "ModelPackageGroupName": "model-package-group",
}
# The operation of its kind that is about one resource; all other lists are about none.
_LIST_OF_ONE = "ListTrainingJobsForHyperParameterTuningJob"


def operation_of(headers: dict[str, str]) -> str:
    """The operation in JSON 1.1's target header, ``SageMaker.CreateModel``."""
    return headers.get("x-amz-target", "").rpartition(".")[2]


def document_of(body: bytes) -> Document | None:
    """The JSON object in a body, None when there is none; the same body is parsed once."""
    known = _parsed.get()
    if known is None or known[0] is not body:
        known = body, _parse(body)
        _parsed.set(known)
    return known[1]


def resource_arns(region: str, account: str, operation: str, request: Document) -> list[str]:
    """The ARNs of the resources that a request is about; `*` where it is about none. Pure."""
    if request.get("ResourceArn"):
        return [str(request["ResourceArn"])]
    if operation.startswith("List") and operation != _LIST_OF_ONE:
        return ["*"]
    prefix = f"arn:aws:sagemaker:{region}:{account}:"
    named = [(kind, str(request[member])) for member, kind in _resource_members().items() if request.get(member)]
    if operation == "CreateTransformJob":
        named = named[:1]  # the job alone; the model is a condition key (Service Authorization Reference)
    if operation == "CreateModelPackage" and named:
        # Its members name the group; the package itself has no name yet.
        return [f"{prefix}model-package/{_last(named[-1][1])}/*"]
    arns = [name if name.startswith("arn:") else f"{prefix}{kind}/{name}" for kind, name in named]
    return arns or ["*"]


def checks(region: str, account: str, operation: str, request: Document) -> list[tuple[str, str, Document]]:
    """The actions, resources and condition keys for which a request's caller is asked, the operation's own first.

    To create with tags takes sagemaker:AddTags, too ("Provide permissions for tagging SageMaker AI resources").
    """
    keys = request_keys(operation, request, lambda service, rest: f"arn:aws:{service}:{region}:{account}:{rest}")
    arns = resource_arns(region, account, operation, request)
    asked = [(f"sagemaker:{operation}", arn, keys) for arn in arns]
    if request.get("Tags") and operation.startswith("Create"):
        asked.append(("sagemaker:AddTags", arns[0], {**tag_keys(request), "sagemaker:TaggingAction": operation}))
    return asked


@cache
def _resource_members() -> dict[str, str]:
    from localaws.sagemaker.jobs.kinds import KINDS

    return {kind.name: kind.resource_type for kind in KINDS} | _RESOURCE_MEMBERS


def _last(name_or_arn: str) -> str:
    return name_or_arn.rpartition("/")[2]


def _parse(body: bytes) -> Document | None:
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
