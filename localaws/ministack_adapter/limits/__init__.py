"""Names and limits that AWS refuses and MiniStack takes, for the services that stacks use.

    refusals.py       how a check says no, and AWS's sentence about a constraint
    queues.py         SQS          topics.py   SNS          notifications.py  S3's notifications
    functions.py      Lambda       rules.py    EventBridge  input_paths.py    its paths, with indices
    log_names.py      CloudWatch Logs                   alarms.py, metrics.py    CloudWatch
    objects.py        S3's objects

A check is a pure function of a request. It stands in front of MiniStack's function of the operation, and, where
CloudFormation makes a resource without that function, in front of the resource type too.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.imports import when_imported
from localaws.ministack_adapter.limits import (
    functions,
    input_paths,
    log_names,
    metrics,
    notifications,
    objects,
    queues,
    rules,
    topics,
)
from localaws.ministack_adapter.limits.refusals import Check, Refusal

Document = dict[str, Any]
_SERVICES = "ministack.services."


_OF_RESOURCES = {
    "AWS::SQS::Queue": queues.of_resource,
    "AWS::SNS::Topic": topics.of_resource,
    "AWS::SNS::Subscription": topics.of_subscription_resource,
}


def install(aws: EmbeddedAws) -> None:  # noqa: ARG001 - every part is installed alike
    for module, register in (
        ("sqs", _queues),
        ("sns", _topics),
        ("s3", _notifications),
        ("s3", _objects),
        ("cloudwatch", _metrics),
        ("lambda_svc", _functions),
        ("eventbridge", _rules),
        ("cloudwatch_logs", _log_names),
        ("cloudformation.provisioners", _resource_types),
    ):
        when_imported(_SERVICES + module, register)


def _queues(sqs: ModuleType) -> None:
    def refuse(refusal: Refusal) -> Any:
        raise sqs._Err(refusal.code, refusal.message)

    for operation, check in queues.CHECKS.items():
        sqs._HANDLERS[operation] = _checked(sqs._HANDLERS[operation], check, refuse)


def _topics(sns: ModuleType) -> None:
    def refuse(refusal: Refusal) -> Any:
        return sns._error(refusal.code, refusal.message, 400)

    for name, check in topics.CHECKS.items():
        flat = functools.partial(_of_query, check)
        sns.__dict__[name] = _checked(sns.__dict__[name], flat, refuse)


def _of_query(check: Check, params: Document) -> Refusal | None:
    return check({name: value[0] if isinstance(value, list) and value else value for name, value in params.items()})


def _notifications(s3: ModuleType) -> None:
    put = s3._put_bucket_notification

    def put_bucket_notification(name: str, body: bytes, headers: dict[str, str] | None = None) -> Any:
        refusal = notifications.refusal(body)
        return s3._error(refusal.code, refusal.message, 400) if refusal else put(name, body, headers)

    s3.__dict__["_put_bucket_notification"] = put_bucket_notification


def _objects(s3: ModuleType) -> None:
    put, begin, delete = (s3.__dict__[name] for name in ("_put_object", "_create_multipart_upload", "_delete_objects"))

    def put_object(bucket: str, key: str, body: bytes, headers: dict[str, str]) -> Any:
        refusal = objects.refusal(key, headers)
        return s3._error(refusal.code, refusal.message, 400) if refusal else put(bucket, key, body, headers)

    def create_multipart_upload(bucket: str, key: str, headers: dict[str, str]) -> Any:
        refusal = objects.refusal(key, headers)
        return s3._error(refusal.code, refusal.message, 400) if refusal else begin(bucket, key, headers)

    def delete_objects(bucket: str, body: bytes, headers: dict[str, str] | None = None) -> Any:
        refusal = objects.of_deletion(body)
        return s3._error(refusal.code, refusal.message, 400) if refusal else delete(bucket, body, headers)

    s3.__dict__.update(
        _put_object=put_object, _create_multipart_upload=create_multipart_upload, _delete_objects=delete_objects
    )


def _metrics(cloudwatch: ModuleType) -> None:
    put = cloudwatch.__dict__["_put_metric_data"]

    def put_metric_data(params: Document, data: Document | None, is_cbor: bool, is_json: bool = False) -> Any:
        if refusal := metrics.refusal(data or {}):
            return cloudwatch._error(refusal.code, refusal.message, 400, use_json=is_json, use_cbor=is_cbor)
        return put(params, data, is_cbor, is_json)

    cloudwatch.__dict__["_put_metric_data"] = put_metric_data


def _functions(lambda_svc: ModuleType) -> None:
    refuse = _json_refusal()
    for name, check in functions.CHECKS.items():
        lambda_svc.__dict__[name] = _checked(lambda_svc.__dict__[name], check, refuse)
    update = lambda_svc.__dict__["_update_config"]

    def update_config(name: str, data: Document) -> Any:
        refusal = functions.of_configuration(data)
        return refuse(refusal) if refusal else update(name, data)

    lambda_svc.__dict__["_update_config"] = update_config


def _rules(eventbridge: ModuleType) -> None:
    refuse = _json_refusal()
    eventbridge.__dict__["_put_events"] = _putting_well_formed(eventbridge.__dict__["_put_events"])
    for name, check in rules.CHECKS.items():
        eventbridge.__dict__[name] = _checked(eventbridge.__dict__[name], check, refuse)
    transform = eventbridge.__dict__["_apply_input_transformer"]

    def apply_input_transformer(transformer: Document, rule: Any, view: Any) -> Any:
        return transform(input_paths.dotted(transformer), rule, input_paths.IndexedView(view))

    eventbridge.__dict__["_apply_input_transformer"] = apply_input_transformer


def _putting_well_formed(put: Callable[..., Any]) -> Callable[..., Any]:
    """PutEvents that fails the malformed entries alone; the answer keeps the order of the request."""

    def put_events(data: Document, *rest: Any, **named: Any) -> Any:
        failures = [rules.failure_of(entry) for entry in data.get("Entries") or []]
        if not any(failures):
            return put(data, *rest, **named)
        fit = [entry for entry, failure in zip(data["Entries"], failures, strict=True) if failure is None]
        status, headers, body = put({**data, "Entries": fit}, *rest, **named)
        if status >= 400:
            return status, headers, body
        answer = json.loads(body)
        done = iter(answer["Entries"])
        answer["Entries"] = [failure or next(done) for failure in failures]
        answer["FailedEntryCount"] += len(failures) - len(fit)
        return status, headers, json.dumps(answer).encode()

    return put_events


def _log_names(logs: ModuleType) -> None:
    refuse = _json_refusal()
    for name, check in log_names.CHECKS.items():
        logs.__dict__[name] = _checked(logs.__dict__[name], check, refuse)


def _resource_types(provisioners: ModuleType) -> None:
    for kind, check in _OF_RESOURCES.items():
        handlers = provisioners._RESOURCE_HANDLERS[kind]
        handlers["create"] = _checked_resource(handlers["create"], check)


def _checked_resource(create: Callable[..., Any], check: Check) -> Callable[..., Any]:
    def checked(logical_id: str, properties: Document, stack_name: str) -> Any:
        if refusal := check(properties):
            raise ValueError(f"{refusal.message} ({refusal.code})")
        return create(logical_id, properties, stack_name)

    return checked


def _checked(function: Callable[..., Any], check: Check, refuse: Callable[[Refusal], Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def checked(data: Document, *rest: Any, **named: Any) -> Any:
        refusal = check(data)
        return refuse(refusal) if refusal else function(data, *rest, **named)

    return checked


def _json_refusal() -> Callable[[Refusal], Any]:
    from ministack.core.responses import error_response_json

    return lambda refusal: error_response_json(refusal.code, refusal.message, 400)
