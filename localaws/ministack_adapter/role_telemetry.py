"""Logs and metrics that AWS's services write as a role: of SageMaker's jobs and models, of Lambda's functions.

"SageMaker AI Roles" and "Lambda: sending logs to CloudWatch Logs": without the permissions nothing fails, and the logs
and metrics aren't there. CreateLogGroup and CreateLogStream are asked for only where there is none yet.
"""

from __future__ import annotations

import logging
from typing import Any

from localaws.ministack_adapter import authorization
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.sagemaker.core.aws_platform import Telemetry
from localaws.sagemaker.core.request import Document
from localaws.server_file import ACCOUNT, REGION

logger = logging.getLogger(__name__)


class RoleTelemetry:
    """A `Telemetry` that lets through what a role may write."""

    def __init__(self, inner: Telemetry, role_arn: str, session_name: str = "SageMaker") -> None:
        self._inner = inner
        self._role_arn = role_arn
        self._session = session_name

    def put_log_events(self, group: str, stream: str, events: list[tuple[int, str]]) -> None:
        if may_log(self._role_arn, self._session, group, stream):
            self._inner.put_log_events(group, stream, events)

    def put_metric_data(self, namespace: str, data: list[Document]) -> None:
        keys = {"cloudwatch:namespace": namespace}
        if _may(self._role_arn, self._session, "cloudwatch:PutMetricData", "*", keys):
            self._inner.put_metric_data(namespace, data)


def install(_aws: EmbeddedAws) -> None:
    """Have functions log as their roles."""
    from ministack.services import lambda_svc

    emit = lambda_svc._emit_lambda_logs

    def _emit_lambda_logs(func: Document, *rest: Any, **named: Any) -> None:
        config = func.get("config") or func
        if may_log(str(config.get("Role", "")), str(config.get("FunctionName", "")), log_group(config), ""):
            emit(func, *rest, **named)

    lambda_svc._emit_lambda_logs = _emit_lambda_logs


def may_log(role_arn: str, session_name: str, group: str, stream: str) -> bool:
    """Whether a role may write to a stream, and make it and its group if need be."""
    missing = _to_be_made(group, stream)
    actions = ["logs:PutLogEvents", *(f"logs:CreateLog{kind}" for kind in missing)]
    return all(_may(role_arn, session_name, action, log_arn(group, stream), {}) for action in actions)


def log_group(config: Document) -> str:
    """The log group of a function. Pure."""
    own = (config.get("LoggingConfig") or {}).get("LogGroup")
    return str(own or f"/aws/lambda/{config.get('FunctionName', '')}")


def log_arn(group: str, stream: str = "") -> str:
    """A stream as CloudWatch Logs asks for it; of a group itself with an empty stream. Pure."""
    return f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:log-stream:{stream}"


def _to_be_made(group: str, stream: str) -> list[str]:
    from ministack.core.responses import request_scope
    from ministack.services import cloudwatch_logs

    with request_scope(ACCOUNT, REGION):
        known = cloudwatch_logs._log_groups.get(group)
    if known is None:
        return ["Group", "Stream"]
    return [] if stream in known["streams"] else ["Stream"]


def _may(role_arn: str, session_name: str, action: str, resource: str, keys: Document) -> bool:
    try:
        authorization.authorize_role_call(role_arn, action, resource, keys, session_name)
    except authorization.AccessDeniedError as denied:
        logger.info("not written: %s", denied.message)
        return False
    return True
