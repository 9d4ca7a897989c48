"""IAM condition keys that policies use and MiniStack doesn't fill in (Service Authorization Reference).

application-autoscaling:*    the namespace and the dimension of a scalable target
events:source                Amazon EventBridge, PutEvents: the source of every entry
cloudwatch:namespace         Amazon CloudWatch, PutMetricData
iam:AWSServiceName           of the service whose role is made
iam:PermissionsBoundary      the boundary that a request sets, or else that the role or user has
iam:PolicyARN                the policy that is attached or detached
kms:EncryptionContext:<key>  of a cryptographic operation, with kms:EncryptionContextKeys
sns:Protocol, sns:Endpoint   of a subscription
sagemaker:*                  see sagemaker_keys
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from localaws.ministack_adapter import dynamodb_keys, request_values, sagemaker_keys
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.sagemaker_requests import checks, document_of

Document = dict[str, Any]
Keys = dict[str, Any]


def install(aws: EmbeddedAws) -> None:
    from ministack.core import iam_actions

    inner = iam_actions.request_tag_context

    def request_tag_context(service: str, action: str, body: bytes, query_params: Document) -> Keys:
        keys: Keys = inner(service, action, body, query_params)
        namespace, _, operation = action.partition(":")
        if namespace == "sagemaker" and operation not in {"InvokeEndpoint", "InvokeEndpointAsync"}:
            return {**keys, **checks(aws.region, aws.account, operation, document_of(body) or {})[0][2]}
        found = _KEYS.get(action) or _KEYS.get(f"{namespace}:*")
        return {**keys, **found(body, query_params)} if found else keys

    iam_actions.request_tag_context = request_tag_context

    def sagemaker_tags(arn: str) -> dict[str, str]:
        """Asks the service when a policy does: it is made when it is first needed."""
        return dict(aws.sagemaker.context.store.tags(arn))

    request_values.tag_sources["sagemaker"] = sagemaker_tags


def event_sources(body: bytes, _params: Document) -> Keys:
    """PutEvents' entries; JSON 1.1."""
    entries = _json(body).get("Entries")
    sources = [str(entry.get("Source", "")) for entry in entries or () if isinstance(entry, dict)]
    return {"events:source": sources} if sources else {}


def metric_namespace(body: bytes, _params: Document) -> Keys:
    """PutMetricData's namespace, in the protocols that this AWS answers in: JSON and query."""
    if body.startswith(b"{"):
        namespace = _json(body).get("Namespace")
    else:
        namespace = next(iter(parse_qs(body.decode("utf-8", "replace")).get("Namespace", [])), None)
    return {"cloudwatch:namespace": namespace} if namespace else {}


def boundary_and_policy(_body: bytes, params: Document) -> Keys:
    """What a request to IAM sets or has: a boundary, a policy."""
    boundary = _first(params, "PermissionsBoundary") or _boundary_of(params)
    named = {"iam:PermissionsBoundary": boundary, "iam:PolicyARN": _first(params, "PolicyArn")}
    named["iam:AWSServiceName"] = _first(params, "AWSServiceName")
    return {key: value for key, value in named.items() if value}


def _boundary_of(params: Document) -> str | None:
    from ministack.services import iam

    role, user = _first(params, "RoleName"), _first(params, "UserName")
    entity = (iam._roles.get(role) if role else iam._users.get(user)) or {}
    boundary = entity.get("PermissionsBoundary")
    return str(boundary) if boundary else None


def subscription(_body: bytes, params: Document) -> Keys:
    named = {f"sns:{member}": _first(params, member) for member in ("Protocol", "Endpoint")}
    return {key: value for key, value in named.items() if value}


def encryption_context(body: bytes, _params: Document) -> Keys:
    context = _json(body).get("EncryptionContext")
    if not isinstance(context, dict) or not context:
        return {}
    values = {f"kms:EncryptionContext:{key}": str(value) for key, value in context.items()}
    return {**values, "kms:EncryptionContextKeys": [str(key) for key in context]}


def _first(params: Document, name: str) -> str | None:
    value = params.get(name)
    found = (value or [None])[0] if isinstance(value, list) else value
    return str(found) if found else None


def _json(body: bytes) -> Document:
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def scaled(body: bytes, _params: Document) -> Keys:
    """What a request to Application Auto Scaling is about."""
    request = _json(body)
    named = {
        "service-namespace": request.get("ServiceNamespace"),
        "scalable-dimension": request.get("ScalableDimension"),
    }
    return {f"application-autoscaling:{key}": value for key, value in named.items() if value}


_KEYS: dict[str, Callable[[bytes, Document], Keys]] = {
    "application-autoscaling:*": scaled,
    "events:PutEvents": event_sources,
    "cloudwatch:PutMetricData": metric_namespace,
    "iam:*": boundary_and_policy,
    "kms:*": encryption_context,
    "sns:Subscribe": subscription,
}

# What is supplied here, by MiniStack and by the parts beside this one, in lower case; where a key ends in a slash or a
# colon, with anything behind it.
SUPPLIED = frozenset(
    {
        "application-autoscaling:scalable-dimension",
        "application-autoscaling:service-namespace",
        "iam:awsservicename",
        "events:source",
        "cloudwatch:namespace",
        "iam:passedtoservice",
        "iam:permissionsboundary",
        "iam:policyarn",
        "kms:calleraccount",
        "kms:encryptioncontext:",
        "kms:encryptioncontextkeys",
        "kms:viaservice",
        "sns:endpoint",
        "sns:protocol",
        "sts:awsservicename",
        "sts:externalid",
        "sts:rolesessionname",
        "s3:delimiter",
        "s3:existingobjecttag/",
        "s3:max-keys",
        "s3:prefix",
        "s3:x-amz-acl",
        "s3:x-amz-server-side-encryption",
    }
)


def is_supplied(key: str) -> bool:
    """Whether a condition key gets a value here, on requests that have it."""
    known = SUPPLIED | request_values.SUPPLIED | sagemaker_keys.SUPPLIED | dynamodb_keys.SUPPLIED
    name = key.lower()
    return name in known or any(name.startswith(prefix) for prefix in known if prefix.endswith(("/", ":")))
