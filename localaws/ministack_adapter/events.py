"""EventBridge delivers to a target only what the target's policy or the target's role allows.

"Using resource-based policies for Amazon EventBridge" and "Using IAM roles for Amazon EventBridge": queues, topics and
functions, and their keys, must let `events.amazonaws.com` in for the rule, state machines are started as the target's
role. What is not allowed goes to the target's dead-letter queue, counts as `FailedInvocations`, and is told in the
server's log.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator
from typing import Any

from localaws.ministack_adapter import authorization, deliveries
from localaws.ministack_adapter.authorization import AccessDeniedError
from localaws.ministack_adapter.embedded_aws import EmbeddedAws

logger = logging.getLogger(__name__)

Document = dict[str, Any]

EVENTS = "events.amazonaws.com"
# How long the answer to "may this mapping read its queue?" is taken as still right, and while the queue is empty.
_MAPPING_CHECK_SECONDS, _EMPTY_CHECK_SECONDS = 1.0, 20.0


def install(aws: EmbeddedAws) -> None:
    _authorize_targets(aws)
    _authorize_mappings()
    _keep_no_log()


def check_target(target: Document, rule_arn: str) -> None:
    """Raises AccessDeniedError when EventBridge may not deliver to this target for this rule."""
    arn = target["Arn"]
    service = arn.split(":")[2]
    if service == "states":
        _check_start_execution(target, rule_arn)
    elif service in deliveries.ACTIONS:
        deliveries.check(EVENTS, arn, rule_arn)


def _check_start_execution(target: Document, rule_arn: str) -> None:
    role = target.get("RoleArn", "")
    if not authorization.role_trusts(role, EVENTS, rule_arn):
        raise AccessDeniedError(
            f"User: {EVENTS} is not authorized to perform: sts:AssumeRole on resource: {role or '(no RoleArn)'}, "
            f"which is to start {target['Arn']}"
        )
    authorization.authorize_role_call(role, "states:StartExecution", target["Arn"], session_name="events")


def _authorize_targets(aws: EmbeddedAws) -> None:
    from ministack.services import eventbridge

    invoke_target = eventbridge._invoke_target

    def _invoke_target(target: Document, event: Document, rule: Document, view: Any = None) -> None:
        try:
            check_target(target, rule.get("Arn", ""))
        except AccessDeniedError as denied:
            logger.warning("rule %s: %s", rule.get("Name"), denied.message)
            _dead_letter(aws, target, event, rule, denied.message)
            return
        invoke_target(target, event, rule, view)

    eventbridge._invoke_target = _invoke_target


def _dead_letter(aws: EmbeddedAws, target: Document, event: Document, rule: Document, reason: str) -> None:
    from ministack.core.arn import parse_arn
    from ministack.services import cloudwatch, eventbridge

    metric = {"MetricName": "FailedInvocations", "Value": 1.0, "Timestamp": time.time(), "Unit": "Count"}
    dimensions = [{"Name": "RuleName", "Value": rule.get("Name", "")}]
    request = {"Namespace": "AWS/Events", "MetricData": [{**metric, "Dimensions": dimensions}]}
    cloudwatch._put_metric_data({}, request, False, True)
    aws.changed("cloudwatch")
    queue = (target.get("DeadLetterConfig") or {}).get("Arn")
    if queue and deliveries.may(EVENTS, queue, rule.get("Arn", "")):
        told = {"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": reason, "TARGET_ARN": target["Arn"]}
        eventbridge._dispatch_to_sqs(parse_arn(queue), json.dumps({**event, **told}))


def _keep_no_log() -> None:
    """MiniStack keeps every event that was ever put, and never reads them."""
    from ministack.services import eventbridge

    eventbridge._events_log_list = list


def _authorize_mappings() -> None:
    """An event source mapping reads its queue as the function's role ("Using Lambda with Amazon SQS").

    All mappings are looked at with every message that comes to any queue: those of empty queues are left out.
    """
    from ministack.services import lambda_svc

    iter_all = lambda_svc._iter_all_esms
    checked: dict[str, tuple[float, bool]] = {}

    def _iter_all_esms() -> Iterator[Any]:
        for account, region, mapping in iter_all():
            (at, allowed), empty = checked.get(mapping["UUID"], (-math.inf, False)), _has_empty_queue(mapping)
            if time.monotonic() - at > (_EMPTY_CHECK_SECONDS if empty and allowed else _MAPPING_CHECK_SECONDS):
                allowed = _may_read(mapping)
                checked[mapping["UUID"]] = (time.monotonic(), allowed)
            if allowed and not empty:
                yield account, region, mapping

    lambda_svc._iter_all_esms = _iter_all_esms


def _has_empty_queue(mapping: Document) -> bool:
    from ministack.services import sqs

    queue = sqs._queue_by_arn(mapping.get("EventSourceArn", ""))
    return queue is not None and not queue["messages"]


def _may_read(mapping: Document) -> bool:
    from ministack.services import lambda_svc

    source = mapping.get("EventSourceArn", "")
    if ":sqs:" not in source:
        return True
    function = lambda_svc._functions._data.get(tuple(_function_key(mapping)))
    role = ((function or {}).get("config") or {}).get("Role")
    if role is None:
        return True
    try:
        for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"):
            authorization.authorize_role_call(role, action, source, session_name=mapping["FunctionName"])
    except AccessDeniedError as denied:
        if mapping.get("LastProcessingResult") != f"PROBLEM: {denied.message}":
            logger.warning("event source mapping of %s: %s", mapping["FunctionName"], denied.message)
        mapping["LastProcessingResult"] = f"PROBLEM: {denied.message}"
        return False
    return True


def _function_key(mapping: Document) -> list[str]:
    _, _, _, region, account, _, name = mapping["FunctionArn"].split(":")[:7]
    return [account, region, name]
