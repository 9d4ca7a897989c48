"""Register our SageMaker with MiniStack: routing, IAM actions and resources, and the two wire protocols.

The control plane speaks JSON 1.1 (`X-Amz-Target: SageMaker.<Operation>`), the runtime REST
(`POST /endpoints/<name>/invocations`); see botocore's service models `sagemaker` and `sagemaker-runtime`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from localaws.ministack_adapter import authorization, full_disk
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.sagemaker_requests import checks, document_of, operation_of, resource_arns

if TYPE_CHECKING:
    from localaws.sagemaker.core.errors import SageMakerError
    from localaws.sagemaker.core.request import Caller
    from localaws.sagemaker.hosting.invocation import InvokeRequest

logger = logging.getLogger(__name__)

Document = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]

SERVICE = "sagemaker"
_INVOCATIONS = re.compile(r"^/endpoints/([^/]+)/(invocations|async-invocations)$")
_RUNTIME_ACTIONS = {"invocations": "InvokeEndpoint", "async-invocations": "InvokeEndpointAsync"}
_RESPONSE_STREAM = "/invocations-response-stream"
_THREADS = 32
_PAUSE_SECONDS = 0.01  # between two looks whether endpoints are back after a start


def install(aws: EmbeddedAws) -> None:
    from ministack import app
    from ministack.core import iam_actions, router

    router.SERVICE_PATTERNS[SERVICE] = {
        "target_prefixes": ["SageMaker."],
        "host_patterns": [r"api\.sagemaker\.", r"runtime\.sagemaker\."],
        "credential_scope": SERVICE,
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE[SERVICE] = SERVICE
    _extract_actions_and_resources(aws)
    _keep_content_types()
    app.SERVICE_HANDLERS[SERVICE] = _handler(aws)
    aws.when_ready(partial(_recover, aws))


def _recover(aws: EmbeddedAws) -> None:
    aws.sagemaker.recover()


def _extract_actions_and_resources(aws: EmbeddedAws) -> None:
    """Teach MiniStack's enforcement which action and resource a SageMaker request is about."""
    from ministack.core import iam_actions

    action_of, resource_of = iam_actions.extract_iam_action, iam_actions.extract_resource_arn

    def extract_iam_action(service: str, method: str, path: str, *more: Any) -> Any:
        if service == SERVICE and (invoked := _INVOCATIONS.match(path)):
            return f"sagemaker:{_RUNTIME_ACTIONS[invoked[2]]}"
        return action_of(service, method, path, *more)

    def extract_resource_arn(
        service: str, method: str, path: str, headers: dict[str, str], body: bytes, *more: Any
    ) -> Any:
        if service != SERVICE:
            return resource_of(service, method, path, headers, body, *more)
        invoked = _INVOCATIONS.match(path)
        if invoked:
            return f"arn:aws:sagemaker:{aws.region}:{aws.account}:endpoint/{unquote(invoked[1])}"
        return resource_arns(aws.region, aws.account, operation_of(headers), document_of(body) or {})[0]

    iam_actions.extract_iam_action = extract_iam_action
    iam_actions.extract_resource_arn = extract_resource_arn


def _keep_content_types() -> None:
    """A model's answer has the content type that the model said, where MiniStack would say its protocol's for JSON."""
    from ministack import app

    fix = app.fix_success_content_type

    def fix_success_content_type(service: str, status: int, headers: dict[str, str]) -> None:
        if service != SERVICE:
            fix(service, status, headers)

    app.fix_success_content_type = fix_success_content_type


def _handler(aws: EmbeddedAws) -> Any:
    # Handlers block (a Stop waits for its job's state); they must not take the threads that Lambda runs on.
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sagemaker")

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, _query_params: Document) -> Response:
        invoked = _INVOCATIONS.match(path)
        loop = asyncio.get_running_loop()
        if invoked and method == "POST" and invoked[2] == "invocations":
            return await _invoke(aws, _invocation(unquote(invoked[1]), headers, body), headers)
        if invoked and method == "POST":
            return await loop.run_in_executor(threads, _accept, aws, unquote(invoked[1]), headers, body)
        if path.startswith("/endpoints/") and path.endswith(_RESPONSE_STREAM):
            return _error("UnknownOperationException", "not implemented here: InvokeEndpointWithResponseStream", 400)
        request = document_of(body)
        if request is None:
            return _error("SerializationException", "The request body is not a JSON object.", 400)
        control = partial(_control, aws, operation_of(headers), request, _caller(aws))
        # In the request's context, which knows the caller's session.
        return await loop.run_in_executor(threads, copy_context().run, control)

    return handle


def _caller(aws: EmbeddedAws) -> Caller:
    from ministack.core.iam_evaluator import caller_arn

    from localaws.sagemaker.core.request import Caller

    return Caller(arn=caller_arn(), account=aws.account, region=aws.region, source="client")


def _control(aws: EmbeddedAws, operation: str, request: Document, caller: Caller) -> Response:
    from localaws.sagemaker.core.errors import SageMakerError

    try:
        for action, resource, keys in checks(aws.region, aws.account, operation, request)[1:]:
            # The first was checked when the request came in.
            authorization.authorize(caller.arn, action, resource, keys)
        answer = aws.sagemaker.handle(operation, request, caller)
    except authorization.AccessDeniedError as denied:
        return _error(denied.code, denied.message, 400)
    except SageMakerError as error:
        return _refusal(error)
    except (OSError, sqlite3.Error) as error:
        logger.exception("%s failed", operation)
        return _error("InternalFailure", full_disk.told(error), 500)
    return 200, {"Content-Type": "application/x-amz-json-1.1"}, _encoded(answer)


def _invocation(name: str, headers: dict[str, str], body: bytes) -> InvokeRequest:
    from localaws.sagemaker.hosting.invocation import CUSTOM_ATTRIBUTES, INFERENCE_ID, InvokeRequest

    return InvokeRequest(
        endpoint=name,
        body=body,
        content_type=headers.get("content-type", "application/octet-stream"),
        accept=headers.get("accept", "*/*"),
        target_variant=headers.get("x-amzn-sagemaker-target-variant"),
        custom_attributes=headers.get(CUSTOM_ATTRIBUTES.lower()),
        inference_id=headers.get(INFERENCE_ID.lower()),
        target_container=headers.get("x-amzn-sagemaker-target-container-hostname"),
    )


async def _invoke(aws: EmbeddedAws, request: InvokeRequest, headers: dict[str, str]) -> Response:
    """Ask a model. It may take a minute to answer, in a thread of its endpoint's: nobody else waits behind it."""
    from localaws.sagemaker.core.errors import SageMakerError
    from localaws.sagemaker.hosting.invocation import refuse_headers

    try:
        refuse_headers(headers)
        while (submitted := aws.sagemaker.submit_invocation(request)) is None:
            await asyncio.sleep(_PAUSE_SECONDS)
        result = await asyncio.wrap_future(submitted)
    except SageMakerError as error:
        return _refusal(error)
    variant = {"x-Amzn-Invoked-Production-Variant": result.variant}
    return result.status, {"Content-Type": result.content_type, **variant, **result.headers}, result.body


def _accept(aws: EmbeddedAws, endpoint: str, headers: dict[str, str], body: bytes) -> Response:
    """Queue a request; the answer says where its model's will be."""
    from localaws.sagemaker.core.errors import SageMakerError
    from localaws.sagemaker.hosting import async_requests

    try:
        accepted = aws.sagemaker.accept_invocation(async_requests.read(endpoint, headers, body))
    except SageMakerError as error:
        return _refusal(error)
    except (OSError, sqlite3.Error) as error:
        logger.exception("InvokeEndpointAsync failed")
        return _error("InternalFailure", full_disk.told(error), 500)
    places = ("OutputLocation", "FailureLocation")
    told = {f"X-Amzn-SageMaker-{place}": accepted[place] for place in places if place in accepted}
    return 202, {"Content-Type": "application/json", **told}, _encoded({"InferenceId": accepted["InferenceId"]})


def _encoded(document: Document) -> bytes:
    return json.dumps(document, default=_epoch_seconds).encode()


def _epoch_seconds(value: object) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"{type(value).__name__} has no place in a response")


def _refusal(error: SageMakerError) -> Response:
    return _error(error.code, error.message, error.http_status, error.members)


def _error(code: str, message: str, status: int, members: Document | None = None) -> Response:
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": code}
    return (
        status,
        headers,
        json.dumps({"__type": code, "message": message, "Message": message, **(members or {})}).encode(),
    )
