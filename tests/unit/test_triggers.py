"""The meaning of events to the launcher, by AWS's own sample events."""

from __future__ import annotations

from typing import Any

import pytest
from aws_events import MACHINE, object_created, status_change
from common.state import Trigger
from launcher.triggers import BadEventError, Ended, Ignored, Ours, Reconcile, read

NOW = "2026-11-20T10:00:00.000Z"


def meaning(event: Any) -> Any:
    return read(event, NOW, Ours("amzn-s3-demo-bucket1", ("digits/train/", "digits/test/"), MACHINE))


@pytest.mark.fidelity(
    "EventBridge",
    "AWS's own sample of Object Created is understood.",
    "S3 User Guide, EventBridge event message structure",
)
def test_an_object_under_a_channel_is_a_trigger() -> None:
    detail = {"bucket": "amzn-s3-demo-bucket1", "key": "digits/train/a.csv"}
    assert meaning(object_created()) == Trigger("data", NOW, detail)


@pytest.mark.parametrize("key", ["digits/other/a.csv", "a.csv", "digits/training/a.csv", "xdigits/train/a.csv"])
def test_an_object_elsewhere_is_none(key: str) -> None:
    assert isinstance(meaning(object_created(key)), Ignored)


def test_a_folders_marker_is_none() -> None:
    for size in ({"size": 0}, {}):
        marker = object_created(object={"key": "digits/train/", **size})
        assert meaning(marker) == Ignored("digits/train/ only marks a folder")
    assert isinstance(meaning(object_created(object={"key": "digits/train/", "size": 1})), Trigger)
    assert isinstance(meaning(object_created(object={"key": "digits/train/a.csv", "size": 0})), Trigger)


@pytest.mark.fidelity(
    "EventBridge",
    "AWS's own sample of an execution's status change is understood.",
    "Step Functions DG, Automating Step Functions event delivery with EventBridge",
)
@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"])
def test_the_end_of_an_execution_is_understood(status: str) -> None:
    ended = meaning(status_change(status))
    assert isinstance(ended, Ended)
    assert ended.status == status
    assert ended.execution_arn.endswith(":20261120-101112-abcd")
    assert (ended.error, ended.cause) == (("States.Runtime", "it broke") if status == "FAILED" else ("", ""))


def test_a_beginning_or_another_machine_is_ignored() -> None:
    assert meaning(status_change("RUNNING")) == Ignored("the execution is RUNNING")
    another = status_change(stateMachineArn=f"{MACHINE}-of-another")
    assert meaning(another) == Ignored(f"an execution of {MACHINE}-of-another")


def test_who_tunes_or_tells_of_a_drift_says_so_to_the_run() -> None:
    assert meaning({"kind": "manual", "tune": True}) == Trigger("manual", NOW, {}, tune=True)
    told = {"feature": "income"}
    assert meaning({"kind": "drift", "detail": told}) == Trigger("drift", NOW, told, drift=True)


@pytest.mark.parametrize("kind", ["manual", "code", "schedule", "rollback"])
def test_a_trigger_document_is_a_trigger(kind: str) -> None:
    event = {"kind": kind, "detail": {"who": "me"}, "forced": True}
    assert meaning(event) == Trigger(kind, NOW, {"who": "me"}, forced=True)
    assert meaning({"kind": kind}) == Trigger(kind, NOW, {})


def test_who_supersedes_the_champion_wants_a_run_in_any_case() -> None:
    assert meaning({"kind": "manual", "supersede": True}) == Trigger("manual", NOW, {}, forced=True, supersede=True)
    assert meaning({"kind": "manual", "supersede": False}) == Trigger("manual", NOW, {})


def test_a_triggers_detail_has_a_limit() -> None:
    """{"a": "…"} is nine characters and what is in it."""
    assert meaning({"kind": "manual", "detail": {"a": "x" * (4096 - 9)}}).detail["a"]
    with pytest.raises(BadEventError, match="4096 characters"):
        meaning({"kind": "manual", "detail": {"a": "x" * (4096 - 8)}})


def test_the_regular_look_is_understood() -> None:
    assert meaning({"kind": "reconcile"}) == Reconcile()


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (["a list"], "JSON object"),
        ({}, "starts nothing"),
        ({"kind": "whim"}, "no trigger is of kind 'whim'"),
        ({"kind": "manual", "force": True}, "not force"),
        ({"kind": "manual", "forced": "yes"}, "forced is true or false"),
        ({"kind": "manual", "supersede": "yes"}, "supersede is true or false, not 'yes'"),
        ({"kind": "manual", "superseded": True}, "has kind, detail, forced, supersede, tune and drift, not superseded"),
        ({"kind": "manual", "detail": "me"}, "JSON object"),
        ({"kind": "manual", "detail": {"a": "x" * 5000}}, "4096 characters"),
        (object_created(bucket=None), "bucket.name"),
        ({**object_created(), "source": "aws.states"}, "starts nothing"),
        ({**object_created(), "detail-type": "Object Deleted"}, "starts nothing"),
        ({**status_change(), "source": "aws.s3"}, "starts nothing"),
        ({**status_change(), "detail-type": "Step Functions Something Else"}, "starts nothing"),
        ({**object_created(), "detail": None}, "no detail"),
        # S3's other way of sending events, and its test event when a notification is set up.
        ({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}, "starts nothing"),
        ({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}]}, "starts nothing"),
    ],
)
def test_anything_else_is_refused_with_a_reason(event: Any, said: str) -> None:
    with pytest.raises(BadEventError, match=said):
        meaning(event)
