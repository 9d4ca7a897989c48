"""The services whose state a request may change: by its signature, its operation and its path."""

from __future__ import annotations

import re

from localaws.ministack_adapter import async_invocations
from localaws.ministack_adapter.asgi import Scope
from localaws.ministack_adapter.credential_scope import service_of

# What a request changes besides its own service's state, before it is answered.
_ALSO_CHANGES = {"sns": ("sqs",), "events": ("sqs",), "s3": ("sqs",), "logs": ("cloudwatch",)}
# Services whose requests change nothing that MiniStack keeps. Ours commits by itself.
_STATELESS = {"application-autoscaling", "sagemaker"}

_READING = re.compile(
    r"^(Describe|List|Get|BatchGet|TransactGet|Query$|Scan$|Head|Search|Lookup|Filter|Test|Validate|Simulate|Estimate|"
    r"Receive|ChangeMessageVisibility|Decrypt|Encrypt$|GenerateDataKey|GenerateRandom|Verify|StartQuery)"
)
_FREEING = re.compile(
    r"^(Batch)?(Delete|Remove|Purge|Stop|Abort|Terminate|Cancel|Untag|Detach|Disassociate|Deregister)"
)
_INVOCATION = re.compile(r"/(endpoints|functions)/[^/]+/invocations$")
_QUERY_ACTION = re.compile(rb"(?:^|&)Action=([A-Za-z]+)")


def changed_services(scope: Scope, body_start: bytes) -> set[str]:
    """The services whose state a request may change; empty for requests that only read. Pure."""
    headers = dict(scope.get("headers", []))
    name = service_of(scope)
    if name in _STATELESS or _reads(scope["method"], headers, body_start, scope.get("query_string", b"")):
        return set()
    if name == "lambda" and scope["path"].endswith("/invocations"):
        accepted = headers.get(b"x-amz-invocation-type") == b"Event"
        return {async_invocations.SERVICE} if accepted else set()
    return set(modules(name)) | set(_ALSO_CHANGES.get(name, ()))


def writes(scope: Scope, body_start: bytes) -> bool:
    """Whether a request would take room on the disk: neither does one that reads, nor one that deletes. Pure."""
    headers = dict(scope.get("headers", []))
    query = scope.get("query_string", b"")
    if _reads(scope["method"], headers, body_start, query) or scope["method"] == "DELETE":
        return False
    if _INVOCATION.search(scope["path"]):
        return headers.get(b"x-amz-invocation-type") == b"Event"
    deletes_objects = service_of(scope) == "s3" and re.search(rb"(?:^|&)delete(?:=|&|$)", query) is not None
    return not deletes_objects and _FREEING.match(_operation(headers, body_start, query) or "") is None


def _reads(method: str, headers: dict[bytes, bytes], body_start: bytes, query: bytes) -> bool:
    operation = _operation(headers, body_start, query)
    return method in ("GET", "HEAD", "OPTIONS") if operation is None else _READING.match(operation) is not None


def _operation(headers: dict[bytes, bytes], body_start: bytes, query: bytes) -> str | None:
    """The operation that a request names, by its target or as a query's action; None where its path says it."""
    target = headers.get(b"x-amz-target")
    if target is not None:
        return target.decode("latin-1").rpartition(".")[2]
    action = _QUERY_ACTION.search(body_start) or _QUERY_ACTION.search(query)
    return action[1].decode() if action is not None else None


def modules(name: str) -> list[str]:
    """The names of the states that a service (by its signing name) keeps; all where it is not known."""
    from ministack import app

    config = app.SERVICE_REGISTRY.get(app.SERVICE_NAME_ALIASES.get(name, name))
    if config is None:
        return list(app._state_map)
    return [str(config.get("state_key", config["module"])), *config.get("sub_modules", ())]
