"""SQS: names, attributes and times of queues and messages. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from localaws.ministack_adapter.limits.refusals import Check, Document, Refusal

_ATTRIBUTES = {
    "Policy", "VisibilityTimeout", "MaximumMessageSize", "MessageRetentionPeriod", "DelaySeconds", "RedrivePolicy",
    "ReceiveMessageWaitTimeSeconds", "FifoQueue", "ContentBasedDeduplication", "KmsMasterKeyId", "SqsManagedSseEnabled",
    "KmsDataKeyReusePeriodSeconds", "DeduplicationScope", "FifoThroughputLimit", "RedriveAllowPolicy",
}  # fmt: skip
NAME_RULE = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"


def of_name(name: str, *, fifo: bool) -> Refusal | None:
    """A FIFO queue's name ends in .fifo, which counts for its 80 characters."""
    fits = re.fullmatch(r"[A-Za-z0-9_-]{1,75}\.fifo" if fifo else "[A-Za-z0-9_-]{1,80}", name)
    return None if fits else Refusal("InvalidParameterValue", NAME_RULE)


def of_resource(properties: Document) -> Refusal | None:
    name = properties.get("QueueName")
    return of_name(str(name), fifo=_is_true(properties.get("FifoQueue"))) if name else None


def _of_creation(request: Document) -> Refusal | None:
    name, attributes = request.get("QueueName", ""), request.get("Attributes") or {}
    fifo = _is_true(attributes.get("FifoQueue"))
    if name and not (fifo and not name.endswith(".fifo")):  # that one MiniStack refuses in AWS's words
        refused = of_name(name, fifo=fifo)
        if refused:
            return refused
    return _of_attributes(request)


def _of_attributes(request: Document) -> Refusal | None:
    attributes = request.get("Attributes") or {}
    unknown = next((name for name in attributes if name not in _ATTRIBUTES), None)
    if unknown:
        return Refusal("InvalidAttributeName", f"Unknown Attribute {unknown}.")
    if attributes.get("Policy") and not _is_object(attributes["Policy"]):
        return Refusal("InvalidAttributeValue", "Invalid value for the parameter Policy.")
    return None


def _within(member: str, most: int, reason: str) -> Check:
    def check(request: Document) -> Refusal | None:
        value = request.get(member)
        if value is None or 0 <= int(value) <= most:
            return None
        told = f"Value {value} for parameter {member} is invalid. Reason: {reason}"
        return Refusal("InvalidParameterValue", told)

    return check


def _is_true(value: object) -> bool:
    return str(value).lower() == "true"


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


CHECKS: Mapping[str, Check] = {
    "CreateQueue": _of_creation,
    "SetQueueAttributes": _of_attributes,
    "SendMessage": _within("DelaySeconds", 900, "DelaySeconds must be >= 0 and <= 900."),
    "ReceiveMessage": _within("WaitTimeSeconds", 20, "Must be >= 0 and <= 20, if provided."),
}
