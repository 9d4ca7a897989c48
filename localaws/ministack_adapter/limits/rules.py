"""EventBridge: rules, their targets' inputs, and events. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from localaws.ministack_adapter.limits.refusals import Check, Constraint, Document, Refusal

_NAME = Constraint("Name", pattern=r"[\.\-_A-Za-z0-9]+", most=64)
_TARGETS = 5
# These are called as a role; the others say themselves whom they trust.
_ASSUMING = ("batch", "codebuild", "codepipeline", "ecs", "firehose", "kinesis", "ssm", "states")
_OF_EVENTS = ("Source", "DetailType", "Detail")
_REQUEST_BYTES = 1_048_576  # EventBridge API, PutEvents: "the total entry size must be less than 1MB"
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)(s?)\)")
_INPUTS = ("Input", "InputPath", "InputTransformer")


def _invalid(message: str) -> Refusal:
    return Refusal("ValidationException", message)


def _of_rule(request: Document) -> Refusal | None:
    if refused := _NAME.refusal(request):
        return refused
    schedule = request.get("ScheduleExpression")
    if not request.get("EventPattern") and not schedule:
        return _invalid("Parameter(s) EventPattern or ScheduleExpression must be specified.")
    rate = _RATE.fullmatch(schedule or "")
    # One of a unit is written without an s: rate(1 minute), rate(5 minutes).
    if rate and (int(rate[1]) < 1 or (int(rate[1]) == 1) is bool(rate[3])):
        return _invalid("Parameter ScheduleExpression is not valid.")
    return None


def _of_targets(request: Document) -> Refusal | None:
    targets = request.get("Targets") or []
    if len(targets) > _TARGETS:
        return Refusal("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
    return next((refused for target in targets if (refused := _of_target(target))), None)


def _of_target(target: Document) -> Refusal | None:
    name = target.get("Id")
    service = str(target.get("Arn", "")).split(":")[2:3]
    if service and service[0] in _ASSUMING and not target.get("RoleArn"):
        return _invalid(f"RoleArn is required for target {target['Arn']}.")
    if sum(target.get(each) is not None for each in _INPUTS) > 1:
        return _invalid(f"Only one of Input, InputPath, or InputTransformer must be provided for target {name}.")
    if target.get("Input") is not None and not _is_json(target["Input"]):
        return _invalid(f"JSON syntax error in input for target {name}")
    paths = [
        target.get("InputPath") or "$",
        *((target.get("InputTransformer") or {}).get("InputPathsMap") or {}).values(),
    ]
    if wrong := next((path for path in paths if not re.match(r"\$(\.|\[|$)", path)), None):
        return _invalid(f"Invalid InputPath for target {name}: {wrong!r} must be a JSONPath that begins with $.")
    return None


def failure_of(entry: Document) -> Document | None:
    """PutEvents' answer for an entry that it doesn't take; the others go through."""
    missing = next((field for field in _OF_EVENTS if not entry.get(field)), None)
    if missing:
        told = f"Parameter {missing} is not valid. Reason: {missing} is a required argument."
        return {"ErrorCode": "InvalidArgument", "ErrorMessage": told}
    if not _is_json(entry["Detail"], dict):
        return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
    return None


def _of_events(request: Document) -> Refusal | None:
    entries = request.get("Entries") or []
    size = sum(len(str(entry.get(field) or "").encode()) for entry in entries for field in _OF_EVENTS)
    if size >= _REQUEST_BYTES:
        return _invalid("Total size of the entries in the request is over the limit.")
    return None


def _is_json(text: str, kind: type = object) -> bool:
    try:
        return isinstance(json.loads(text), kind)
    except ValueError:
        return False


CHECKS: Mapping[str, Check] = {"_put_rule": _of_rule, "_put_targets": _of_targets, "_put_events": _of_events}
