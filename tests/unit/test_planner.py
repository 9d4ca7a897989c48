"""What a run works on: manifests, fingerprints, and whether there is anything to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from common.state import LockLostError, State, Trigger, planning, promoted, started, triggered
from planner import plan
from planner.data import Channel, EmptyChannelError, channel, content_hash, manifest, versions

HASHES = {"code_hash": "c", "spec_hash": "s", "image_uri": "i"}


def version(key: str, etag: str = '"e1"', **changes: Any) -> dict[str, Any]:
    return {"Key": key, "ETag": etag, "Size": 10, "VersionId": "v1", "IsLatest": True, **changes}


def listed(*entries: dict[str, Any]) -> Channel:
    return channel("train", "data", "digits/train/", [{"Versions": list(entries)}])


def test_a_manifest_names_the_current_objects_relative_to_their_prefix() -> None:
    pages: list[dict[str, Any]] = [
        {"Versions": [version("digits/train/b.csv"), version("digits/train/a.csv", IsLatest=False, VersionId="v0")]},
        {"Versions": [version("digits/train/a.csv"), version("digits/train/", Size=0)], "DeleteMarkers": []},
        {},
    ]
    found = channel("train", "data", "digits/train/", pages)
    assert manifest(found) == [{"prefix": "s3://data/digits/train/"}, "a.csv", "b.csv"]
    assert found.size == 20
    assert versions(found)[0] == {"key": "digits/train/a.csv", "version_id": "v1", "etag": "e1", "bytes": 10}


def test_a_deleted_object_is_not_there() -> None:
    deleted = {"Versions": [version("digits/train/a.csv", IsLatest=False)], "DeleteMarkers": [{"IsLatest": True}]}
    with pytest.raises(
        EmptyChannelError, match="'train' has no data: there is no object under s3://data/digits/train/"
    ):
        channel("train", "data", "digits/train/", [deleted])


def test_a_channels_hash_follows_its_content() -> None:
    base = content_hash(listed(version("digits/train/a.csv"), version("digits/train/b.csv")))
    reordered = content_hash(listed(version("digits/train/b.csv"), version("digits/train/a.csv")))
    again = content_hash(listed(version("digits/train/a.csv", VersionId="v2"), version("digits/train/b.csv")))
    assert base == reordered == again, "the same content uploaded again is nothing new"
    others = [
        listed(version("digits/train/a.csv")),
        listed(version("digits/train/a.csv", '"e2"'), version("digits/train/b.csv")),
        listed(version("digits/train/a.csv"), version("digits/train/c.csv")),
    ]
    assert len({base, *map(content_hash, others)}) == 4


def test_a_fingerprint_follows_everything_that_makes_a_model() -> None:
    train = listed(version("digits/train/a.csv"))
    base = plan.fingerprint([train], **HASHES)
    assert base == plan.fingerprint([train], **HASHES)
    changed = [plan.fingerprint([train], **{**HASHES, name: "other"}) for name in HASHES]
    renamed = plan.fingerprint([replace(train, name="test")], **HASHES)
    assert len({base, renamed, *changed}) == 5


@pytest.mark.parametrize(
    ("state", "forced", "outcome"),
    [
        (State(), False, "Run"),
        (State(champion={"fingerprint": "f"}), False, "UpToDate"),
        (State(champion={"fingerprint": "f"}), True, "Run"),
        (State(champion={"fingerprint": "old"}), False, "Run"),
        (State(champion={"fingerprint": "old"}, last_judged_fingerprint="f"), False, "UpToDate"),
        (State(champion={"fingerprint": "f"}, last_judged_fingerprint="newer"), False, "UpToDate"),
    ],
)
def test_nothing_new_is_up_to_date_unless_forced(state: State, forced: bool, outcome: str) -> None:
    assert plan.work(state, "f", {}, forced=forced)["outcome"] == outcome


def test_a_rollback_needs_an_earlier_champion() -> None:
    earlier = {"run_id": "r1", "fingerprint": "f1"}
    state = State(champion={"run_id": "r2", "fingerprint": "f2"}, previous_champion=earlier)
    assert plan.rollback(state)["candidate"] == earlier
    with pytest.raises(plan.NothingToRollBackToError, match="run r2 made the only one"):
        plan.rollback(replace(state, previous_champion=None))
    with pytest.raises(plan.NothingToRollBackToError, match="there is no champion"):
        plan.rollback(State())


def test_only_the_run_with_the_lock_may_plan() -> None:
    data = Trigger("data", "2026-11-20T10:00:00.000Z", {})
    state = started(triggered(State(), [data]), "r1", "arn", "now")
    with pytest.raises(
        LockLostError, match=r"run r2 doesn't hold the pipeline's lock \(run r1 does\); runs are started by"
    ):
        planning(state, "r2")
    with pytest.raises(LockLostError, match="no run does"):
        planning(State(), "r2")
    assert planning(state, "r1") == state


def test_a_promotion_told_twice_keeps_the_champion_before() -> None:
    data = Trigger("data", "2026-11-20T10:00:00.000Z", {})
    names = {"model_name": "m1", "endpoint_config_name": "c1"}
    old = {"run_id": "r0", "model_name": "m0", "endpoint_config_name": "c0"}
    state = replace(started(triggered(State(), [data]), "r1", "arn", "now"), champion=old)
    once = promoted(state, "r1", {"run_id": "r1", **names}, 3)
    assert once.previous_champion == old
    assert promoted(once, "r1", {"run_id": "r1", **names}, 3) == once
    with pytest.raises(LockLostError):
        promoted(once, "r2", {"run_id": "r2", **names}, 3)
