"""SNS: names of topics, and what is published. Pure; requests of the Query protocol, flat."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from localaws.ministack_adapter.limits.refusals import Check, Document, Refusal

_SUBJECT = 100  # characters
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_ATTRIBUTE_KEY = r"Attributes\.entry\.\d+\.key"
_PROTOCOLS = {
    "http", "https", "email", "email-json", "sms", "sqs", "application", "lambda", "firehose",
}  # fmt: skip


def _invalid(what: str) -> Refusal:
    return Refusal("InvalidParameter", f"Invalid parameter: {what}")


def _of_creation(request: Document) -> Refusal | None:
    name = str(request.get("Name", ""))
    fits = not name or re.fullmatch(r"[A-Za-z0-9_-]{1,256}|[A-Za-z0-9_-]{1,251}\.fifo", name)
    return None if fits else _invalid("Topic Name")


def of_resource(properties: Document) -> Refusal | None:
    return _of_creation({"Name": properties.get("TopicName") or ""})


def _of_message(request: Document) -> Refusal | None:
    if not request.get("Message"):
        return _invalid("Empty message")
    subject = request.get("Subject")
    if subject is not None and not re.fullmatch(rf"[!-~][ -~]{{0,{_SUBJECT - 1}}}", str(subject)):
        return _invalid("Subject")
    return None


def _of_subscription(request: Document) -> Refusal | None:
    protocol = request.get("Protocol")
    if protocol and protocol not in _PROTOCOLS:
        return _invalid(f"Amazon SNS does not support this protocol string: {protocol}")
    if str(protocol).startswith("email") and not _EMAIL.fullmatch(str(request.get("Endpoint"))):
        return _invalid("Email address")
    given = {request[name]: request.get(f"{name[:-3]}value") for name in request if re.fullmatch(_ATTRIBUTE_KEY, name)}
    return _of_attributes(given)


def of_subscription_resource(properties: Document) -> Refusal | None:
    # A filter policy is an object there.
    return _of_subscription({name: properties.get(name) for name in ("Protocol", "Endpoint")})


def _of_subscription_attribute(request: Document) -> Refusal | None:
    return _of_attributes({str(request.get("AttributeName")): request.get("AttributeValue")})


def _of_attributes(given: Document) -> Refusal | None:
    try:
        json.loads(given.get("FilterPolicy") or "{}")
    except ValueError:
        return _invalid("FilterPolicy: failed to parse JSON.")
    return None


CHECKS: Mapping[str, Check] = {
    "_create_topic": _of_creation,
    "_publish": _of_message,
    "_subscribe": _of_subscription,
    "_set_subscription_attributes": _of_subscription_attribute,
}
