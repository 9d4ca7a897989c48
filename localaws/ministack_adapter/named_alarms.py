"""Alarms are asked about by their own ARNs, each that a request names.

MiniStack asks for `*`, so that a policy about some alarms would grant nothing; it reads an alarm's name only where the
protocol is JSON, and one name alone. Operations and resource types: Service Authorization Reference, "Actions,
resources, and condition keys for Amazon CloudWatch".
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from localaws.ministack_adapter.authorization import AccessDeniedError, authorize
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.server_file import ACCOUNT, REGION

Document = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]
Handler = Callable[[str, str, dict[str, str], bytes, Document], Awaitable[Response]]

SERVICE = "monitoring"
# Whose resource types are `alarm`.
_OPERATIONS = frozenset(
    {"DeleteAlarms", "DescribeAlarmHistory", "DescribeAlarms", "DisableAlarmActions", "EnableAlarmActions"}
    | {"PutCompositeAlarm", "PutMetricAlarm", "SetAlarmState"}
)


def install(_aws: EmbeddedAws) -> None:
    from ministack import app
    from ministack.core import iam_actions

    resource_of = iam_actions.extract_resource_arn

    def extract_resource_arn(
        service: str, method: str, path: str, headers: dict[str, str], body: bytes, query_params: Document, *more: Any
    ) -> str:
        named = alarms_of(path, headers, body, query_params)[1] if service == SERVICE else []
        if named:
            return arn_of(named[0])
        found: str = resource_of(service, method, path, headers, body, query_params, *more)
        return found

    iam_actions.extract_resource_arn = extract_resource_arn
    app.SERVICE_HANDLERS[SERVICE] = _asking_for_each(app.SERVICE_HANDLERS[SERVICE])


def _asking_for_each(inner: Handler) -> Handler:
    """The front door asks about one resource; here it is asked about the others."""

    async def handler(method: str, path: str, headers: dict[str, str], body: bytes, query_params: Document) -> Response:
        from ministack.core.iam_evaluator import caller_arn
        from ministack.services import cloudwatch

        operation, named = alarms_of(path, headers, body, query_params)
        try:
            for name in named[1:]:
                authorize(caller_arn(), f"cloudwatch:{operation}", arn_of(name))
        except AccessDeniedError as denied:
            is_json = "json" in headers.get("content-type", "")
            response: Response = cloudwatch._error(denied.code, denied.message, 403, use_json=is_json)
            return response
        return await inner(method, path, headers, body, query_params)

    return handler


def arn_of(alarm: str) -> str:
    return f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{alarm}"


def alarms_of(path: str, headers: Mapping[str, str], body: bytes, query_params: Document) -> tuple[str, list[str]]:
    """The operation, and the names of the alarms that a request is about; none where it is about no certain ones."""
    operation = path.partition("/operation/")[2] or headers.get("x-amz-target", "").rpartition(".")[2]
    if operation and operation not in _OPERATIONS:
        return operation, []
    request = _request(headers, body, query_params)
    operation = operation or str(request.get("Action", ""))
    if operation not in _OPERATIONS:
        return operation, []
    listed = request.get("AlarmNames") or [value for key, value in request.items() if key.startswith("AlarmNames.")]
    named = [request.get("AlarmName"), *(listed if isinstance(listed, list) else [])]
    return operation, [name for name in named if isinstance(name, str) and name]


def _request(headers: Mapping[str, str], body: bytes, query_params: Document) -> Document:
    """A request's members. The third of CloudWatch's protocols, CBOR, MiniStack itself can't read without its library:
    such a request names no alarm that is known, and takes a policy about all."""
    if "json" not in headers.get("content-type", "") and not headers.get("x-amz-target"):
        in_query = {name: value[0] if isinstance(value, list) else value for name, value in query_params.items()}
        return {**in_query, **dict(parse_qsl(body.decode("utf-8", "replace")))}
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
