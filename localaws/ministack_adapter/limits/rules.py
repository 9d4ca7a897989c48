"""EventBridge: rules, their targets' inputs, and events. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from localaws.ministack_adapter.limits.refusals import Check, Constraint, Document, Refusal

_NAME = Constraint("Name", pattern=r"[\.\-_A-Za-z0-9]+", most=64)
_TARGETS = 5
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


def malformed(entry: Document) -> Document | None:
    """What PutEvents answers for an entry whose detail is no JSON object; the others go through."""
    try:
        fits = isinstance(json.loads(entry.get("Detail") or "{}"), dict)
    except ValueError:
        fits = False
    return None if fits else {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


CHECKS: Mapping[str, Check] = {"_put_rule": _of_rule, "_put_targets": _of_targets}
