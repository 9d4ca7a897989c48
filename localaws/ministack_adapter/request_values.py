"""The values of condition keys: what a request says of its caller, its time, its way and its resource.

"AWS global condition context keys" (IAM User Guide) and the services' own keys (Service Authorization Reference). A
service's part fills `service_context`; a value there may be a function of the context, for when a policy asks.
`condition_keys` has the keys that a request's own text gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import Any

from localaws.iam.requests import Values

# What the request's headers say, by key; filled by the front door, empty for calls that are made inside.
request_headers: ContextVar[Mapping[str, str]] = ContextVar("request_headers", default=MappingProxyType({}))
# The tags of a resource by its ARN, for services that aren't MiniStack's.
tag_sources: dict[str, Callable[[str], Mapping[str, str]]] = {}

_REQUEST_TAG, _PRINCIPAL_TAG = "aws:requesttag/", "aws:principaltag/"
# Services have names of their own for a resource's tags, besides the global one.
_RESOURCE_TAGS = ("aws:resourcetag/", "sagemaker:resourcetag/", "iam:resourcetag/", "ecr:resourcetag/")
_PRINCIPAL_TYPES = {"Root": "Account"}


def values_of(ctx: Any) -> Values:
    """A request's values by key, from MiniStack's EvalContext."""
    return partial(_value, ctx)


def role_arn_of(principal_arn: str) -> str | None:
    """The ARN of a session's role, path and all; of a role itself its own. None for whoever isn't a role's."""
    if ":assumed-role/" not in principal_arn:
        return principal_arn if ":role/" in principal_arn else None
    account, name = principal_arn.split(":")[4], principal_arn.split("/")[1]
    return str((_role(principal_arn) or {}).get("Arn") or f"arn:aws:iam::{account}:role/{name}")


def _value(ctx: Any, key: str) -> Any:
    known = _OF_REQUEST.get(key)
    if known is not None:
        return known(ctx)
    given: Mapping[str, Any]
    for given in (ctx.principal_keys, ctx.service_context, request_headers.get()):
        value = given.get(key)
        if value is not None:
            return value(ctx) if callable(value) else value
    if key in _UNLESS_SAID:
        return _UNLESS_SAID[key]
    if key.startswith(_RESOURCE_TAGS):
        return _tag(_resource_tags(ctx.resource_arn), key)
    if key.startswith(_REQUEST_TAG):
        return _tag(ctx.request_tags, key)
    return _principal_value(ctx, key)


def _principal_value(ctx: Any, key: str) -> Any:
    """What is known of the caller by its ARN alone, for calls that services make as a role."""
    if ":assumed-role/" not in ctx.principal_arn:
        return None
    role, session = _role(ctx.principal_arn) or {}, ctx.principal_arn.rpartition("/")[2]
    if key == "aws:userid":
        return f"{role['RoleId']}:{session}" if role else None
    if key.startswith(_PRINCIPAL_TAG):
        return _tag({tag["Key"]: tag["Value"] for tag in role.get("Tags") or []}, key)
    return None


def _role(session_arn: str) -> dict[str, Any] | None:
    from ministack.services import iam

    found: dict[str, Any] | None = iam._roles.get_scoped(session_arn.split(":")[4], None, session_arn.split("/")[1])
    return found


def _tag(tags: Mapping[str, str], key: str) -> str | None:
    """A tag by the key's last part, whose case doesn't matter."""
    name = key.partition("/")[2]
    return next((value for tag, value in tags.items() if tag.lower() == name), None)


def _resource_tags(arn: str) -> Mapping[str, str]:
    from ministack.services import tagging

    service = (arn.split(":") + [""] * 3)[2]
    source = tag_sources.get(service)
    return source(arn) if source else tagging.resource_tags(arn) or {}


def _principal_arn(ctx: Any) -> str | None:
    """A role's ARN for its sessions; a service has none."""
    return role_arn_of(ctx.principal_arn) or (ctx.principal_arn if ctx.principal_arn.startswith("arn:") else None)


def _resource_account(ctx: Any) -> str:
    from ministack.core.iam_evaluator import _account_from_arn

    return str(_account_from_arn(ctx.resource_arn) or ctx.principal_account)


def _now(_ctx: Any) -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _organization(_ctx: Any) -> None:
    """The account is in no organization, so that the keys of one are absent."""


# Keys that every request has, or that none has here.
_OF_REQUEST: Mapping[str, Callable[[Any], Any]] = {
    "aws:currenttime": _now,
    "aws:epochtime": lambda _ctx: str(int(datetime.now(UTC).timestamp())),
    "aws:principalaccount": lambda ctx: ctx.principal_account or None,
    "aws:principalarn": _principal_arn,
    "aws:principaltype": lambda ctx: _PRINCIPAL_TYPES.get(ctx.principal_type, ctx.principal_type),
    "aws:requestedregion": lambda ctx: ctx.region,
    "aws:resourceaccount": _resource_account,
    "s3:resourceaccount": _resource_account,
    "aws:securetransport": lambda ctx: bool(ctx.secure_transport),
    "aws:sourceip": lambda ctx: ctx.source_ip,
    "aws:tagkeys": lambda ctx: ctx.service_context.get("aws:tagkeys") or ctx.tag_keys,
    "aws:principalorgid": _organization,
    "aws:principalorgpaths": _organization,
    "aws:resourceorgid": _organization,
}
# What is said of a call that a service makes, and of every other one.
_UNLESS_SAID = {"aws:principalisawsservice": "false", "aws:viaawsservice": "false"}

# Every key that a request has here, in lower case, and with a slash at its end what begins so. Besides the tables above
# there is what MiniStack says of the caller, what the headers say, and what a service says of itself.
SUPPLIED = frozenset(
    {
        *_OF_REQUEST,
        *_UNLESS_SAID,
        *_RESOURCE_TAGS,
        _PRINCIPAL_TAG,
        _REQUEST_TAG,
        "aws:multifactorauthpresent",
        "aws:principalservicename",
        "aws:referer",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceowner",
        "aws:tokenissuetime",
        "aws:useragent",
        "aws:userid",
        "aws:username",
    }
)
