"""A request names one operation on one resource, and what is authorized is what is done.

MiniStack takes a request's action from the first of `?Action=`, the form's `Action`, `X-Amz-Target` and the path that
it finds, for every service, and lets pass what it finds no action of; its handlers look where their protocol says. So
any session could have `?Action=GetRole` authorized and `CreateUser` done. Here the action is taken from where the
service's protocol has it, an operation that is none is nobody's to call, and a request that says things twice is
refused. Members that an operation doesn't have say nothing of the resource.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from html import escape
from typing import Any
from urllib.parse import parse_qsl

from localaws.ministack_adapter.embedded_aws import EmbeddedAws

Document = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]
Handler = Callable[[str, str, dict[str, str], bytes, Document], Awaitable[Response]]

# The services that are asked by method and path (botocore's models: rest-json and rest-xml), by MiniStack's names.
# fmt: off
REST = frozenset(
    {"account", "airflow", "apigateway", "appconfig", "appconfigdata", "appsync", "appsync-events", "backup",
     "batch", "bedrock", "bedrock-agent", "bedrock-agent-runtime", "bedrock-agentcore", "bedrock-runtime",
     "cloudfront", "cloudfront-keyvaluestore", "dsql", "eks", "elasticfilesystem", "inspector2", "iot", "iot-data",
     "iot-jobs-data", "iotwireless", "kafka", "lambda", "lambda-core", "lambda-microvms", "location", "mediaconnect",
     "mq", "opensearch", "pipes", "rds-data", "resource-groups", "route53", "s3", "s3files", "s3tables", "scheduler",
     "signer"}
)
# fmt: on
# Asked by forms only; their handlers take JSON too, which AWS doesn't.
FORMS_ONLY = frozenset({"cloudformation", "iam", "sns", "sts"})
# An action that no policy names, so that only who may do everything may try it.
UNKNOWN = "UnknownOperation"
_TAG_MEMBERS = frozenset({"Tags", "tags", "TagKeys"})


def install(_aws: EmbeddedAws) -> None:
    from ministack import app
    from ministack.core import iam_actions

    iam_actions._tag_operations = tag_operations
    iam_actions.extract_iam_action = _with_the_protocols_action(iam_actions.extract_iam_action)
    iam_actions.extract_resource_arn = _of_known_members(iam_actions.extract_resource_arn)
    for service, handler in app.SERVICE_HANDLERS.items():
        if service not in REST:
            app.SERVICE_HANDLERS[service] = _saying_things_once(service, handler)


def _with_the_protocols_action(inner: Callable[..., str | None]) -> Callable[..., str | None]:
    from ministack.core.iam_actions import SERVICE_TO_IAM_NAMESPACE

    def extract_iam_action(
        service: str, method: str, path: str, headers: Mapping[str, str], body: bytes, query_params: Document
    ) -> str | None:
        if service in REST:
            headers, body = {}, b""
        if service in REST or headers.get("x-amz-target"):
            query_params = {name: value for name, value in query_params.items() if name != "Action"}
        found = inner(service, method, path, headers, body, query_params)
        return found or f"{SERVICE_TO_IAM_NAMESPACE.get(service, service)}:{UNKNOWN}"

    return extract_iam_action


def _of_known_members(inner: Callable[..., str]) -> Callable[..., str]:
    def extract_resource_arn(
        service: str, method: str, path: str, headers: dict[str, str], body: bytes, query_params: Document, *more: Any
    ) -> str:
        if service == "s3":
            return object_arn(path) or inner(service, method, path, headers, body, query_params, *more)
        operation = headers.get("x-amz-target", "").rpartition(".")[2] or _first(query_params.get("Action"))
        members = _members(service).get(operation) if service not in REST else None
        if members is not None:
            body = known_members(body, members)
            query_params = {name: value for name, value in query_params.items() if name.partition(".")[0] in members}
        return inner(service, method, path, headers, body, query_params, *more)

    return extract_resource_arn


def object_arn(path: str) -> str:
    """The ARN of the object that a path names, with every slash of its key; nothing for a bucket. Pure."""
    bucket, _, key = path.lstrip("/").partition("/")
    return f"arn:aws:s3:::{bucket}/{key}" if bucket and key else ""


def known_members(body: bytes, members: frozenset[str]) -> bytes:
    """A JSON request without the members that its operation doesn't have. Pure."""
    if not body.startswith(b"{"):
        return body
    try:
        document = json.loads(body)
    except ValueError:
        return b"{}"
    known = {name: value for name, value in document.items() if name in members}
    return body if len(known) == len(document) else json.dumps(known).encode()


def said_twice(service: str, headers: Mapping[str, str], body: bytes, query_params: Document) -> str:
    """What a request of a form or JSON protocol says in two places, in words; nothing where all is said once. Pure."""
    in_query = [name for name in query_params if not name.lower().startswith("x-amz-")]
    if headers.get("x-amz-target"):
        if service in FORMS_ONLY:
            return "X-Amz-Target, which this service's protocol doesn't have"
        return f"X-Amz-Target and the query string's {in_query[0]}" if in_query else ""
    if body and in_query:
        return f"a body and the query string's {in_query[0]}"
    repeated = [name for name in in_query if len(_listed(query_params[name])) > 1]
    return f"{repeated[0]}, twice" if repeated else _repeated_in_form(headers, body)


def _repeated_in_form(headers: Mapping[str, str], body: bytes) -> str:
    if "x-www-form-urlencoded" not in headers.get("content-type", ""):
        return ""
    names = [name for name, _ in parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)]
    if len(names) == len(set(names)):
        return ""
    return f"{next(name for name in names if names.count(name) > 1)}, twice"


def _saying_things_once(service: str, inner: Handler) -> Handler:
    async def handler(method: str, path: str, headers: dict[str, str], body: bytes, query_params: Document) -> Response:
        problem = said_twice(service, headers, body, query_params)
        if problem:
            return _refusal(f"The request is ambiguous: it has {problem}.", xml=service in FORMS_ONLY)
        return await inner(method, path, headers, body, query_params)

    return handler


def _refusal(message: str, *, xml: bool) -> Response:
    if xml:
        error = f"<Error><Type>Sender</Type><Code>ValidationError</Code><Message>{escape(message)}</Message></Error>"
        return 400, {"Content-Type": "text/xml"}, f"<ErrorResponse>{error}</ErrorResponse>".encode()
    document = {"__type": "ValidationException", "message": message}
    return 400, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(document).encode()


@cache
def _members(service: str) -> Mapping[str, frozenset[str]]:
    """The members of each operation's request, by AWS's models."""
    from ministack.core import iam_actions

    found: dict[str, frozenset[str]] = {}
    for name in iam_actions._BOTOCORE_SERVICE_MAP.get(service) or [service]:
        model = iam_actions._load_botocore_model(name) or {}
        for operation, shape in model.get("operations", {}).items():
            members = model["shapes"].get(shape.get("input", {}).get("shape"), {}).get("members", {})
            found[operation] = frozenset(members)
    return found


@cache
def tag_operations(service: str) -> frozenset[str]:
    """The operations of a service whose request has tags or tag keys."""
    return frozenset(operation for operation, members in _members(service).items() if members & _TAG_MEMBERS)


def _first(value: Any) -> str:
    return str(next(iter(_listed(value)), ""))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
