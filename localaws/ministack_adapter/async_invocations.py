"""Asynchronous Lambda invocations that survive `kill -9`.

Lambda queues an event before it answers 202, and retries a failing function ("How Lambda handles errors and retries
with asynchronous invocation" in the Lambda Developer Guide). Here the queue is part of the journal; retries follow
after seconds where AWS takes minutes.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws

logger = logging.getLogger(__name__)

Document = dict[str, Any]

SERVICE = "async_invocations"
_THREADS = 32
_RETRY_SECONDS = (1.0, 2.0)


class AsyncInvocations:
    """The events that are accepted and not yet handled: id -> {function_arn, event}."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self.pending: dict[str, Document] = {}
        self._aws = aws
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="lambda-async")

    def accept(self, function_arn: str, event: Any) -> None:
        """Take an event; it is on disk before the request that brought it is answered."""
        invocation_id = uuid.uuid4().hex
        self.pending[invocation_id] = {"function_arn": function_arn, "event": event}
        self._aws.changed(SERVICE)
        self._threads.submit(self._handle, invocation_id)

    def resume(self) -> None:
        """Handle what was accepted before the server ended."""
        for invocation_id in list(self.pending):
            self._threads.submit(self._handle, invocation_id)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _handle(self, invocation_id: str) -> None:
        invocation = self.pending[invocation_id]
        try:
            self._invoke_with_retries(invocation["function_arn"], invocation["event"])
        except Exception:
            logger.exception("the asynchronous invocation of %s failed", invocation["function_arn"])
        finally:
            self.pending.pop(invocation_id, None)
            self._aws.changed(SERVICE)

    def _invoke_with_retries(self, function_arn: str, event: Any) -> None:
        from ministack.core.responses import request_scope
        from ministack.services import lambda_svc

        _, _, _, region, account, _ = function_arn.split(":", 5)
        with request_scope(account, region):
            function, config, _ = lambda_svc._get_func_record_for_ref(function_arn)
            if not function or not config:
                logger.warning("%s is gone; an event for it is dropped", function_arn)
                return
            record = lambda_svc._execution_record_for_config(function, config)
            result = _first_success(record, event, _retries(function))
            self._aws.changed("lambda")
            on_failure = _on_failure(function, config)
            if result.get("error") and on_failure:
                lambda_svc._route_async_failure(on_failure, config["FunctionName"], event, result)


def install(aws: EmbeddedAws) -> None:
    from ministack.services import eventbridge, lambda_svc

    invocations = AsyncInvocations(aws)

    def invoke_async_with_retry(func: Document, event: Any) -> None:
        invocations.accept((func.get("config") or func)["FunctionArn"], event)

    def _dispatch_to_lambda(arn: str, payload: str) -> None:
        try:
            event = json.loads(payload)
        except ValueError:
            event = {"body": payload}
        invocations.accept(arn, event)

    lambda_svc.invoke_async_with_retry = invoke_async_with_retry
    eventbridge._dispatch_to_lambda = _dispatch_to_lambda
    aws.keep(SERVICE, invocations.pending)
    aws.when_ready(invocations.resume)
    aws.when_closing(invocations.close)


def _first_success(record: Document, event: Any, retries: int) -> Document:
    from ministack.services import lambda_svc

    result: Document = lambda_svc._execute_function(record, event)
    for pause in _RETRY_SECONDS[:retries]:
        if not result.get("error"):
            break
        time.sleep(pause)
        result = lambda_svc._execute_function(record, event)
    return result


def _retries(function: Document) -> int:
    configured = _invoke_config(function).get("MaximumRetryAttempts")
    return len(_RETRY_SECONDS) if configured is None else int(configured)


def _on_failure(function: Document, config: Document) -> str:
    destination = (_invoke_config(function).get("DestinationConfig") or {}).get("OnFailure") or {}
    return str(destination.get("Destination") or (config.get("DeadLetterConfig") or {}).get("TargetArn") or "")


def _invoke_config(function: Document) -> Document:
    single = function.get("event_invoke_config")
    return single or (function.get("event_invoke_configs") or {}).get("$LATEST") or {}
