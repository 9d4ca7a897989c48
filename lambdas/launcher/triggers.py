"""Events that reach the launcher, read into their meaning: pure functions over AWS's event documents."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from common.json_values import told, unstorable
from common.state import Trigger

from contract.approvals import ASK, EVENT
from contract.awaiting import AT_REST, AWAIT, EVENTS
from contract.names import is_run_id
from contract.times import moment, text
from contract.triggers import AFTER, ASKED, DATA, DRIFT, KINDS, MANUAL, RECONCILE, REPAIR
from contract.verdicts import SAGEMAKER_SOURCE

# StartExecution's input and an item of the run table both hold a trigger's detail; S3 keys have at most 1,024 bytes.
DETAIL_LENGTH, KEY_BYTES = 4096, 1024
# Step Functions API reference, SendTaskFailure: the longest error and cause.
ERROR_LENGTH, CAUSE_LENGTH = 256, 32_768
# A machine's execution lasts a year at most ("Step Functions service quotas").
LONGEST_WAIT = 366 * 24 * 3600
# DescribeModelPackage, API reference, ModelPackageName.
_PACKAGE = re.compile(r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:\d{12}:model-package/[a-zA-Z0-9-]{1,63}(?:/\d{1,9})?")
ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


class BadEventError(ValueError):
    """An event that the launcher can't read; it ends in the dead-letter queue, where a person can."""


@dataclass(frozen=True)
class Ours:
    """Where this pipeline's data lies, the bucket and prefixes in it, the machine whose executions are its runs, and
    its endpoint ("": it has none)."""

    bucket: str
    prefixes: tuple[str, ...]
    state_machine_arn: str
    endpoint: str = ""


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


@dataclass(frozen=True)
class Asked:
    """The machine of a run asks a person to approve its model, by a task token that is good `until` then."""

    run_id: str
    package: str
    token: str
    since: str
    until: str
    decision: Mapping[str, Any]
    cost: Mapping[str, Any]

    def kept(self) -> dict[str, Any]:
        """What the run's item has of it."""
        return {"since": self.since, "until": self.until, "package": self.package, "token": self.token}


@dataclass(frozen=True)
class PackageChanged:
    """A model package's approval has changed, or may have."""

    arn: str


@dataclass(frozen=True)
class Awaits:
    """The machine of a run waits for the endpoint, by a task token; as what it has seen it last, if at all."""

    run_id: str
    token: str
    since: str
    status: str | None
    config: str | None

    def kept(self) -> dict[str, Any]:
        """What the run's item has of it."""
        seen = {"status": self.status, "config": self.config}
        return {"token": self.token, "since": self.since, **{name: value for name, value in seen.items() if value}}


@dataclass(frozen=True)
class EndpointAtRest:
    """The endpoint changes no more, for now."""


Meaning = Trigger | Ended | Reconcile | Ignored | Asked | PackageChanged | Awaits | EndpointAtRest


def read(event: Any, at: str, ours: Ours) -> Meaning:
    """The meaning of one event.

    Args:
        event: an EventBridge event, or a trigger document {"kind": …}; any JSON value.
        at: now, the time that a trigger gets.

    Raises:
        BadEventError: it is neither.
    """
    if not isinstance(event, Mapping):
        raise BadEventError(f"an event is a JSON object, not {type(event).__name__}")
    source, kind = event.get("source"), event.get("detail-type")
    if source == "aws.s3" and kind == "Object Created":
        return _object_created(_detail(event), at, ours)
    if source == "aws.states" and kind == "Step Functions Execution Status Change":
        return _status_change(_detail(event), ours.state_machine_arn)
    if source == SAGEMAKER_SOURCE and kind == EVENT:
        return _package_changed(_detail(event))
    if source == SAGEMAKER_SOURCE and kind in EVENTS:
        return _endpoint_changed(_detail(event), ours.endpoint)
    if "kind" in event:
        return _message(event, at)
    raise BadEventError(
        f"an event of source {told(source)} and detail-type {told(kind)} starts nothing; expected are S3's Object "
        f'Created, Step Functions Execution Status Change, or a trigger, as {{"kind": "{MANUAL}"}}'
    )


def _message(event: Mapping[str, Any], at: str) -> Meaning:
    """A message of a run's machine, or a trigger."""
    if event["kind"] == ASK:
        return _asked(event)
    return _awaits(event) if event["kind"] == AWAIT else _document(event, at)


def _detail(event: Mapping[str, Any]) -> Mapping[str, Any]:
    detail = event.get("detail")
    if not isinstance(detail, Mapping):
        raise BadEventError(f"the event {told(event.get('id'))} has no detail")
    return detail


def _object_created(detail: Mapping[str, Any], at: str, ours: Ours) -> Meaning:
    """Amazon S3 User Guide, "EventBridge event message structure"; keys are not URL-encoded there."""
    try:
        bucket, key, size = detail["bucket"]["name"], detail["object"]["key"], detail["object"].get("size", 0)
    except (KeyError, TypeError, AttributeError) as error:
        raise BadEventError("an Object Created event without bucket.name or object.key in its detail") from error
    if not isinstance(bucket, str):
        raise BadEventError(f"an Object Created event whose bucket.name is no text, but {told(bucket)}")
    wrong = "no text" if not isinstance(key, str) else unstorable(key) or _too_long(key)
    if wrong:
        raise BadEventError(f"an Object Created event whose object.key is {wrong}: {told(key)}")
    # The rule's pattern says so, too; a message may come from elsewhere.
    if bucket != ours.bucket:
        return Ignored(f"{told(key)} lies in another bucket, {told(bucket)}, not in {ours.bucket}")
    if not key.startswith(ours.prefixes):
        return Ignored(f"{key} lies under none of {', '.join(ours.prefixes)}")
    if key.endswith("/") and size == 0:
        return Ignored(f"{key} only marks a folder")
    return Trigger(DATA, at, {"bucket": bucket, "key": key})


def _too_long(key: str) -> str | None:
    size = len(key.encode())
    return f"longer than the {KEY_BYTES} bytes of S3's keys" if size > KEY_BYTES else None


def _status_change(detail: Mapping[str, Any], state_machine_arn: str) -> Meaning:
    """Step Functions Developer Guide, "Automating Step Functions event delivery with EventBridge"."""
    machine, status, arn = (detail.get(name) for name in ("stateMachineArn", "status", "executionArn"))
    if machine != state_machine_arn:
        return Ignored(f"an execution of {machine if isinstance(machine, str) else told(machine)}")
    if status not in ENDED:
        return Ignored(f"the execution is {status if isinstance(status, str) else told(status)}")
    executions = state_machine_arn.replace(":stateMachine:", ":execution:") + ":"
    name = arn.removeprefix(executions) if isinstance(arn, str) and arn.startswith(executions) else ""
    if not name or ":" in name or unstorable(name):
        raise BadEventError(f"an execution's status change whose executionArn is none of {machine}'s: {told(arn)}")
    return Ended(executions + name, str(status), *_failure(detail))


def _package_changed(detail: Mapping[str, Any]) -> Meaning:
    """SageMaker Developer Guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge", Model package state
    change."""
    arn = detail.get("ModelPackageArn")
    if not isinstance(arn, str) or not _PACKAGE.fullmatch(arn):
        raise BadEventError(f"a model package's state change whose ModelPackageArn is {told(arn)}")
    return PackageChanged(arn)


def _endpoint_changed(detail: Mapping[str, Any], endpoint: str) -> Meaning:
    """The same page, Endpoint state change, and Endpoint deployment state change."""
    name, status = detail.get("EndpointName"), detail.get("EndpointStatus")
    if not endpoint or name != endpoint:
        return Ignored(f"another endpoint, {told(name)}")
    return EndpointAtRest() if status in AT_REST else Ignored(f"the endpoint is {told(status)}")


def _awaits(event: Mapping[str, Any]) -> Meaning:
    """The machine's own message; what it hasn't seen isn't there."""
    texts = {name: event.get(name) for name in ("run_id", "token", "since")}
    seen = {name: event.get(name) for name in ("status", "config")}
    known = {**texts, **{name: value for name, value in seen.items() if value is not None}}
    for name, value in known.items():
        if not isinstance(value, str) or unstorable(value):
            raise BadEventError(f"a wait for the endpoint whose {name} is {told(value)}")
    if not is_run_id(str(texts["run_id"])) or moment(texts["since"]) is None:
        raise BadEventError(f"a wait for the endpoint of run {told(texts['run_id'])}, since {told(texts['since'])}")
    return Awaits(**texts, **seen)  # type: ignore[arg-type]


def _asked(event: Mapping[str, Any]) -> Meaning:
    """The machine's own message; anybody else's is no question."""
    kinds: dict[str, type] = {
        **dict.fromkeys(("run_id", "package", "token", "since"), str),
        "seconds": int,
        **dict.fromkeys(("decision", "cost"), dict),
    }
    values = {name: event.get(name) for name in kinds}
    for name, kind in kinds.items():
        value = values[name]
        if not isinstance(value, kind) or isinstance(value, bool) or unstorable(value):
            raise BadEventError(f"a question for approval whose {name} is {told(value)}")
    if not is_run_id(str(values["run_id"])) or not _PACKAGE.fullmatch(str(values["package"])):
        raise BadEventError(f"a question for approval of run {told(values['run_id'])}, {told(values['package'])}")
    since, seconds = moment(values["since"]), int(str(values.pop("seconds")))
    if since is None or not 0 < seconds <= LONGEST_WAIT:
        raise BadEventError(f"a question for approval since {told(values['since'])}, for {seconds} seconds")
    return Asked(**values, until=text(since + timedelta(seconds=seconds)))  # type: ignore[arg-type]


def _failure(detail: Mapping[str, Any]) -> tuple[str, str]:
    """Error and cause, where they are texts that can be written down."""
    lengths = {"error": ERROR_LENGTH, "cause": CAUSE_LENGTH}
    error, cause = (
        value[:length] if isinstance(value := detail.get(name), str) and not unstorable(value) else ""
        for name, length in lengths.items()
    )
    return error, cause


def _document(event: Mapping[str, Any], at: str) -> Meaning:
    kind, detail = event["kind"], event.get("detail", {})
    asked = {name: event.get(name, False) for name in ASKED}
    if kind == RECONCILE:
        return Reconcile()
    if kind not in KINDS:
        raise BadEventError(f"no trigger is of kind {told(kind)}; the kinds are {', '.join(KINDS)} and {RECONCILE}")
    unknown = sorted(set(event) - {"kind", "detail", *asked})
    if unknown:
        known = f"{', '.join(ASKED[:-1])} and {ASKED[-1]}"
        raise BadEventError(f"a trigger has kind, detail, {known}, not {', '.join(unknown)[:200]}")
    _check_detail(detail)
    _check_repair(kind, detail)
    for name, value in asked.items():
        if not isinstance(value, bool):
            raise BadEventError(f"a trigger's {name} is true or false, not {told(value)}")
    # Whoever supersedes the champion wants a run, also where the gate has just refused the same data.
    asked["forced"] = asked["forced"] or asked["supersede"]
    return Trigger(kind, at, detail, **{**asked, "drift": asked["drift"] or kind == DRIFT})


def _check_repair(kind: str, detail: Mapping[str, Any]) -> None:
    """What no run is called after can't be looked up: the run would end unrecorded."""
    after = detail.get(AFTER)
    if kind == REPAIR and after is not None and not (isinstance(after, str) and is_run_id(after)):
        raise BadEventError(f"a repair's {AFTER} is the id of the run before it, not {told(after)}")


def _check_detail(detail: Any) -> None:
    """Refused here, alone: in the run table it would be refused together with the triggers beside it."""
    wrong = unstorable(detail)
    if wrong:
        raise BadEventError(f"a trigger's detail has {wrong}")
    if not isinstance(detail, dict) or len(json.dumps(detail)) > DETAIL_LENGTH:
        raise BadEventError(f"a trigger's detail is a JSON object of at most {DETAIL_LENGTH} characters")
