"""Events that reach the launcher, read into their meaning: pure functions over AWS's event documents."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.state import Trigger

from contract.triggers import ASKED, DATA, KINDS, MANUAL, RECONCILE

# StartExecution's input and an item of the run table both hold a trigger's detail; S3 keys have at most 1,024 bytes.
DETAIL_LENGTH = 4096
ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


class BadEventError(ValueError):
    """An event that the launcher can't read; it ends in the dead-letter queue, where a person can."""


@dataclass(frozen=True)
class Ended:
    """An execution has ended (any of ENDED), with the error and cause of a failure."""

    execution_arn: str
    status: str
    error: str = ""
    cause: str = ""


@dataclass(frozen=True)
class Reconcile:
    """The regular look for what a crash left behind."""


@dataclass(frozen=True)
class Ignored:
    """Nothing of ours, and why."""

    reason: str


Meaning = Trigger | Ended | Reconcile | Ignored


def read(event: Any, at: str, *, prefixes: Sequence[str], state_machine_arn: str) -> Meaning:
    """The meaning of one event.

    Args:
        event: an EventBridge event, or a trigger document {"kind": …}.
        at: now, the time that a trigger gets.
        prefixes: where in the data bucket this pipeline's data lies.
        state_machine_arn: whose executions are ours.

    Raises:
        BadEventError: it is neither.
    """
    if not isinstance(event, Mapping):
        raise BadEventError(f"an event is a JSON object, not {type(event).__name__}")
    source, kind = event.get("source"), event.get("detail-type")
    if source == "aws.s3" and kind == "Object Created":
        return _object_created(_detail(event), at, prefixes)
    if source == "aws.states" and kind == "Step Functions Execution Status Change":
        return _status_change(_detail(event), state_machine_arn)
    if "kind" in event:
        return _document(event, at)
    raise BadEventError(
        f"an event of source {source!r} and detail-type {kind!r} starts nothing; expected are S3's Object Created, "
        f'Step Functions Execution Status Change, or a trigger, as {{"kind": "{MANUAL}"}}'
    )


def _detail(event: Mapping[str, Any]) -> Mapping[str, Any]:
    detail = event.get("detail")
    if not isinstance(detail, Mapping):
        raise BadEventError(f"the event {event.get('id')} has no detail")
    return detail


def _object_created(detail: Mapping[str, Any], at: str, prefixes: Sequence[str]) -> Meaning:
    """Amazon S3 User Guide, "EventBridge event message structure"; keys are not URL-encoded there."""
    try:
        bucket, key, size = detail["bucket"]["name"], detail["object"]["key"], detail["object"].get("size", 0)
    except (KeyError, TypeError) as error:
        raise BadEventError("an Object Created event without bucket.name or object.key in its detail") from error
    if not key.startswith(tuple(prefixes)):
        return Ignored(f"{key} lies under none of {', '.join(prefixes)}")
    if key.endswith("/") and size == 0:
        return Ignored(f"{key} only marks a folder")
    return Trigger(DATA, at, {"bucket": bucket, "key": key})


def _status_change(detail: Mapping[str, Any], state_machine_arn: str) -> Meaning:
    """Step Functions Developer Guide, "Automating Step Functions event delivery with EventBridge"."""
    if detail.get("stateMachineArn") != state_machine_arn:
        return Ignored(f"an execution of {detail.get('stateMachineArn')}")
    if detail.get("status") not in ENDED:
        return Ignored(f"the execution is {detail.get('status')}")
    return Ended(detail["executionArn"], detail["status"], detail.get("error") or "", detail.get("cause") or "")


def _document(event: Mapping[str, Any], at: str) -> Meaning:
    kind, detail = event["kind"], event.get("detail", {})
    asked = {name: event.get(name, False) for name in ASKED}
    if kind == RECONCILE:
        return Reconcile()
    if kind not in KINDS:
        raise BadEventError(f"no trigger is of kind {kind!r}; the kinds are {', '.join(KINDS)} and {RECONCILE}")
    unknown = sorted(set(event) - {"kind", "detail", *asked})
    if unknown:
        raise BadEventError(f"a trigger has kind, detail, {' and '.join(ASKED)}, not {', '.join(unknown)}")
    if not isinstance(detail, dict) or len(json.dumps(detail)) > DETAIL_LENGTH:
        raise BadEventError(f"a trigger's detail is a JSON object of at most {DETAIL_LENGTH} characters")
    for name, value in asked.items():
        if not isinstance(value, bool):
            raise BadEventError(f"a trigger's {name} is true or false, not {value!r}")
    # Whoever supersedes the champion wants a run, also where the gate has just refused the same data.
    return Trigger(kind, at, detail, asked["forced"] or asked["supersede"], asked["supersede"])
