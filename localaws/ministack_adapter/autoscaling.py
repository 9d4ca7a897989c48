"""Register our Application Auto Scaling with MiniStack: routing, IAM actions, resources and condition keys.

It speaks JSON 1.1 (`X-Amz-Target: AnyScaleFrontendService.<Operation>`); botocore's model is `application-autoscaling`.
Resources: Service Authorization Reference, "Actions, resources, and condition keys for AWS Application Auto Scaling".
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from contextvars import copy_context
from functools import partial
from typing import Any

from localaws.ministack_adapter import full_disk, request_values
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.sagemaker_requests import document_of, operation_of
from localaws.ministack_adapter.scaled_variants import SERVICE, state_file

logger = logging.getLogger(__name__)

Document = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]


def install(aws: EmbeddedAws) -> None:
    from ministack import app
    from ministack.core import iam_actions, router

    router.SERVICE_PATTERNS[SERVICE] = {
        "target_prefixes": ["AnyScaleFrontendService."],
        "host_patterns": [r"application-autoscaling\."],
        "credential_scope": SERVICE,
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE[SERVICE] = SERVICE
    resource_of = iam_actions.extract_resource_arn

    def extract_resource_arn(
        service: str, method: str, path: str, headers: dict[str, str], body: bytes, *more: Any
    ) -> Any:
        if service != SERVICE:
            return resource_of(service, method, path, headers, body, *more)
        return _resource_arn(aws, operation_of(headers), document_of(body) or {})

    def tags(arn: str) -> dict[str, str]:
        return aws.autoscaling.tags(arn)

    iam_actions.extract_resource_arn = extract_resource_arn
    request_values.tag_sources[SERVICE] = tags
    app.SERVICE_HANDLERS[SERVICE] = _handler(aws)
    aws.when_ready(partial(_go_on, aws))


def _go_on(aws: EmbeddedAws) -> None:
    """After a restart: what is scaled goes on to be, by the service itself, which is made for that."""
    if state_file(aws).exists():
        _ = aws.autoscaling


def _resource_arn(aws: EmbeddedAws, operation: str, request: Document) -> str:
    """The scalable target that a request is about; of one that isn't there yet any."""
    if operation.startswith("Describe"):
        return "*"
    known = request.get("ResourceARN") or aws.autoscaling.target_arn(str(request.get("ResourceId", "")))
    return str(known or f"arn:aws:{SERVICE}:{aws.region}:{aws.account}:scalable-target/*")


def _handler(aws: EmbeddedAws) -> Any:
    async def handle(
        _method: str, _path: str, headers: dict[str, str], body: bytes, _query_params: Document
    ) -> Response:
        request = document_of(body)
        if request is None:
            return _error("SerializationException", "The request body is not a JSON object.", 400)
        answer = partial(_answer, aws, operation_of(headers), request)
        # In the request's context, which knows the caller's session.
        return await asyncio.get_running_loop().run_in_executor(None, copy_context().run, answer)

    return handle


def _answer(aws: EmbeddedAws, operation: str, request: Document) -> Response:
    from ministack.core.iam_evaluator import caller_arn

    from localaws.sagemaker.core.errors import SageMakerError
    from localaws.sagemaker.core.request import Caller

    try:
        answer = aws.autoscaling.handle(operation, request, Caller(caller_arn(), aws.account, aws.region))
    except SageMakerError as refused:
        return _error(refused.code, refused.message, refused.http_status)
    except (OSError, sqlite3.Error) as error:
        logger.exception("%s failed", operation)
        return _error("InternalServiceException", full_disk.told(error), 500)
    return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()


def _error(code: str, message: str, status: int) -> Response:
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": code}
    return status, headers, json.dumps({"__type": code, "message": message, "Message": message}).encode()
