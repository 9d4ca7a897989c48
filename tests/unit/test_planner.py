"""Plans: manifests, fingerprints, and whether there is anything to do."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from common import clock
from common.rollbacks import RollbackRefusedError
from common.run_table import RunTable
from common.state import LockLostError, State, Trigger, planning, promoted, started, triggered
from hypothesis import given
from hypothesis import strategies as st
from memory_aws import Aws, installed
from planner import handler, plan
from planner.data import Channel, channel, content_hash, manifest, versions
from planner.held_out_look import HeldOutDataError

READING = {"label": 0, "header": None, "format": None, "segment": None, "any_label": False}
HELD_OUT = {**READING, "metric": "f1_macro", "needs": "classes"}
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
    assert channel("train", "data", "digits/train/", [deleted]).objects == ()


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
        (State(champion={"run_id": "r1", "fingerprint": "f"}), False, "UpToDate"),
        (State(champion={"fingerprint": "f"}), True, "Run"),
        (State(champion={"fingerprint": "old"}), False, "Run"),
        (State(champion={"fingerprint": "old"}, last_judged_fingerprint="f"), False, "UpToDate"),
        (State(champion={"run_id": "r1", "fingerprint": "f"}, last_judged_fingerprint="newer"), False, "UpToDate"),
        (State(withdrawn=({"run_id": "r2", "fingerprint": "f"},), last_judged_fingerprint="newer"), False, "UpToDate"),
        (State(withdrawn=({"run_id": "r2", "fingerprint": "f"},)), True, "Run"),
        (State(withdrawn=({"run_id": "r2", "fingerprint": "g"},)), False, "Run"),
    ],
)
def test_nothing_new_is_up_to_date_unless_forced(state: State, forced: bool, outcome: str) -> None:
    planned = plan.work(state, "f", {}, forced=forced)
    assert planned["outcome"] == outcome
    assert bool(planned.get("reason")) == (outcome == "UpToDate")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (
            State(champion={"run_id": "r1", "fingerprint": "f"}, withdrawn=({"run_id": "r0", "fingerprint": "f"},)),
            "nothing is new since run r1, whose model is the champion",
        ),
        (
            State(withdrawn=({"run_id": "r2", "fingerprint": "f"},), last_judged_fingerprint="f"),
            "it would train what run r2 has, whose model was champion until a person went back from it; --force trains "
            "it all the same",
        ),
        (State(last_judged_fingerprint="f"), "nothing is new since the last model that was judged"),
    ],
)
def test_what_is_up_to_date_says_since_when(state: State, reason: str) -> None:
    assert plan.work(state, "f", {}, forced=False)["reason"] == reason


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


# ------------------------------------------------------------------------------------------------------ the function

RUN_ID = "20261120-101112-abcd"
FOLDER = f"runs/digits/{RUN_ID}/"
NOW = "2026-11-20T10:11:12.000Z"
ENDPOINT = "local-digits"
IMAGES = "000000000000.dkr.ecr.us-east-1.amazonaws.com/team/images"
EARLIER, CHAMPION = (
    {
        "run_id": f"r{number}",
        "fingerprint": f"f{number}",
        "model_data": f"s3://artifacts/runs/digits/r{number}/model.tar.gz",
        "image_uri": f"{IMAGES}:1.{number}",
        "endpoint_config_name": f"{ENDPOINT}-{number}",
    }
    for number in range(2)
)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    """Two channels, and a run that holds the lock."""
    names = {"RUN_TABLE": "runs", "DATA_BUCKET": "data", "ARTIFACT_BUCKET": "artifacts", "ENDPOINT_NAME": ENDPOINT}
    aws = installed(monkeypatch, **names)
    monkeypatch.setattr(clock, "stamp", lambda: NOW)
    keys = ["digits/train/a.csv", "digits/train/b.csv", "digits/train/c.csv", "digits/test/d.csv"]
    aws.s3.versions["data"] = [version(key) for key in keys]
    aws.s3.objects["data", "digits/test/d.csv"] = b"0,1\n1,2\n2,3\n"[:10]
    for name in "abc":
        aws.s3.objects["data", f"digits/train/{name}.csv"] = b"0,1\n1,2\n2,3\n"[:10]
    for model in (EARLIER, CHAMPION):
        aws.s3.objects["artifacts", model["model_data"].removeprefix("s3://artifacts/")] = b"a model"
        made_from = {name: f"{name} of {model['run_id']}" for name in HASHES}
        table_of(aws).write_run(model["run_id"], {"outcome": "Promoted", "candidate": model, **made_from})
    begin(aws, "data")
    return aws


def begin(aws: Aws, kind: str, **state: Any) -> None:
    """A run has the lock, and the champion serves."""
    if champion := state.get("champion"):
        config = champion["endpoint_config_name"]
        aws.sagemaker.endpoints[ENDPOINT] = [{"EndpointStatus": "InService", "EndpointConfigName": config}]
    trigger = Trigger(kind, "2026-11-20T10:00:00.000Z", {})
    table_of(aws).update(
        lambda before: started(triggered(State(version=before.version, **state), [trigger]), RUN_ID, "arn", "now")
    )


def table_of(aws: Aws) -> RunTable:
    return RunTable(aws.client("dynamodb"), "runs", "digits")


def call(
    kind: str = "data",
    run_id: str = RUN_ID,
    data_starts_runs: bool = True,
    batch: str | None = None,
    threshold: str | None = None,
    **detail: Any,
) -> dict[str, Any]:
    trigger = {"kind": kind, "at": "2026-11-20T10:00:00.000Z", "detail": detail}
    run = {"pipeline": "digits", "run_id": run_id, "trigger": trigger, "forced": False}
    channels = {"train": "digits/train/", "test": "digits/test/"}
    asked = {"run": run, "channels": channels, "held_out": HELD_OUT, "data_starts_runs": data_starts_runs}
    asked["hosting_image_uri"] = f"{IMAGES}@sha256:{'0' * 64}"
    return handler.handle({**asked, **HASHES, "threshold": threshold, **({"batch": batch} if batch else {})}, None)


def written(aws: Aws) -> list[str]:
    return [key for bucket, key in aws.s3.objects if bucket == "artifacts" and key.startswith(FOLDER)]


def read(aws: Aws, name: str) -> Any:
    return json.loads(aws.s3.objects["artifacts", f"{FOLDER}{name}"])


def test_a_plan_says_what_the_run_works_on(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    answer = call()
    uri = f"s3://artifacts/{FOLDER}manifests/"
    assert answer == {
        "outcome": "Run",
        "fingerprint": answer["fingerprint"],
        "forced": False,
        "supersede": False,
        "data": {
            "objects": 4,
            "bytes": 40,
            "manifests": {"test": f"{uri}test.manifest", "train": f"{uri}train.manifest"},
        },
        "champion": None,
        **HASHES,
    }
    assert read(aws, "manifests/train.manifest") == [
        {"prefix": "s3://data/digits/train/"},
        "a.csv",
        "b.csv",
        "c.csv",
    ]
    assert [entry["key"] for entry in read(aws, "manifests/test.versions.json")] == ["digits/test/d.csv"]
    plan_file = read(aws, "plan.json")
    assert plan_file == {"run": plan_file["run"], "planned_at": NOW, **answer}
    assert plan_file["run"]["run_id"] == RUN_ID
    looked, line = map(json.loads, capsys.readouterr().out.splitlines())
    found = {"format": "csv", "files": 1, "looked_into": 1, "examples": 3, "whole": True}
    assert (looked["event"], {name: looked[name] for name in found}) == ("looked into the held-out data", found)
    assert (line["function"], line["event"], line["outcome"]) == ("planner", "planned", "Run")
    assert (line["pipeline"], line["run_id"], line["data"]["objects"]) == ("digits", RUN_ID, 4)


def test_a_batchs_rows_are_listed_and_no_endpoint_is_looked_at(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENDPOINT_NAME")
    aws.s3.versions["data"] += [version("digits/batch/monday.csv"), version("digits/batch/deep/tuesday.csv")]
    answer = call(batch="digits/batch/")
    assert answer["batch"] == {
        "manifest": f"s3://artifacts/{FOLDER}manifests/answers/input.manifest", "objects": 2, "bytes": 20,
    }  # fmt: skip
    assert read(aws, "manifests/answers/input.manifest") == [
        {"prefix": "s3://data/digits/batch/"},
        "deep/tuesday.csv",
        "monday.csv",
    ]
    assert "drift" not in answer
    assert not aws.called("describe_endpoint")


def test_a_batch_without_rows_says_so(aws: Aws) -> None:
    assert call(batch="digits/none/")["batch"] is None


def test_a_repair_answers_no_batch(aws: Aws) -> None:
    aws.s3.versions["data"].append(version("digits/batch/monday.csv"))
    begin(aws, "repair", champion=CHAMPION)
    assert call("repair", batch="digits/batch/")["batch"] is None


def test_the_same_again_is_up_to_date(aws: Aws) -> None:
    first = call()
    begin(aws, "data", last_judged_fingerprint=first["fingerprint"])
    assert call()["outcome"] == "UpToDate"
    aws.s3.versions["data"].append(version("digits/test/e.csv", Size=0))
    assert call()["outcome"] == "Run"


@pytest.mark.parametrize(("code", "outcome"), [("c", "Rollback"), ("c of r1", "UpToDate")])
def test_a_threshold_is_put_before_a_champion_of_the_same_code(aws: Aws, code: str, outcome: str) -> None:
    first = call()
    table_of(aws).write_run("r1", {"outcome": "Promoted", "candidate": CHAMPION, "code_hash": code})
    begin(aws, "data", champion=CHAMPION, last_judged_fingerprint=first["fingerprint"])
    assert call(threshold="0.8")["outcome"] == outcome


def test_a_forced_trigger_that_came_since_forces_the_run(aws: Aws) -> None:
    first = call()
    begin(aws, "data", last_judged_fingerprint=first["fingerprint"])
    table_of(aws).update(lambda state: triggered(state, [Trigger("manual", NOW, {}, forced=True)]))
    answer = call()
    assert (answer["outcome"], answer["forced"]) == ("Run", True)
    assert table_of(aws).read_state().pending is None


def test_a_champion_whose_archive_is_gone_keeps_no_run_from_its_work(aws: Aws) -> None:
    """The evaluation job couldn't fetch it, whatever came: the pipeline would be locked for good."""
    begin(aws, "data", champion=CHAMPION)
    assert call()["champion"] == CHAMPION
    del aws.s3.objects["artifacts", "runs/digits/r1/model.tar.gz"]
    champion = call()["champion"]
    said = "the champion can't be asked: the model of run r1 is gone: there is nothing at s3://artifacts/runs/digits/r1"
    assert champion.pop("cannot_answer").startswith(said)
    kept = {name: CHAMPION[name] for name in ("run_id", "fingerprint", "image_uri", "endpoint_config_name")}
    assert champion == kept, "without what the evaluation job would fetch"
    assert read(aws, "plan.json")["champion"]["cannot_answer"].startswith(said)


def test_a_trigger_that_supersedes_is_told_in_the_plan(aws: Aws) -> None:
    table_of(aws).update(lambda state: triggered(state, [Trigger("manual", NOW, {}, supersede=True)]))
    assert call()["supersede"] is True
    assert json.loads(aws.s3.objects["artifacts", f"{FOLDER}plan.json"])["supersede"] is True


def test_pending_is_cleared_before_the_data_is_listed(aws: Aws) -> None:
    """An object that arrives between the two is in the listing and starts a run of its own: none is lost."""
    table_of(aws).update(lambda state: triggered(state, [Trigger("data", NOW, {})]))
    aws.calls.clear()
    call()
    names = [name for name, _ in aws.calls]
    assert names.index("put_item") < names.index("list_object_versions")


def test_a_rollback_lists_no_data(aws: Aws) -> None:
    begin(aws, "rollback", champion=CHAMPION, previous_champion=EARLIER)
    answer = call("rollback")
    assert answer == {
        "outcome": "Rollback",
        "fingerprint": "f0",
        "forced": False,
        "supersede": False,
        "data": None,
        "champion": CHAMPION,
        "candidate": EARLIER,
        "decision": {"promote": True, "reason": "chosen by a person: back to the model of run r0, away from run r1's"},
        **{name: f"{name} of r0" for name in HASHES},
    }
    assert not aws.called("list_object_versions")
    assert read(aws, "plan.json")["outcome"] == "Rollback"


def test_a_rollback_goes_to_the_run_that_was_chosen_and_says_by_whom(aws: Aws) -> None:
    begin(aws, "rollback", champion={**CHAMPION, "run_id": "r2", "fingerprint": "f2"}, previous_champion=CHAMPION)
    answer = call("rollback", to="r0", by="ann")
    assert (answer["candidate"], answer["fingerprint"]) == (EARLIER, "f0")
    assert answer["decision"]["reason"] == "chosen by ann: back to the model of run r0, away from run r2's"


def test_a_rollback_without_a_champion_goes_away_from_none(aws: Aws) -> None:
    """As of a pipeline that was deployed anew: its runs stay, who was champion doesn't."""
    begin(aws, "rollback")
    assert call("rollback", to="r0")["decision"]["reason"] == "chosen by a person: back to the model of run r0"


def test_a_rollback_that_was_done_meanwhile_is_up_to_date(aws: Aws) -> None:
    """The same rollback again, which waited for the first."""
    begin(aws, "rollback", champion=EARLIER, previous_champion=CHAMPION)
    answer = call("rollback", to="r0")
    assert (answer["outcome"], answer["reason"]) == ("UpToDate", "the model of run r0 is the champion already")
    assert "candidate" not in answer


def test_a_rollback_to_a_model_that_is_gone_is_refused(aws: Aws) -> None:
    """The launcher refuses it, too; until the run's turn came somebody has deleted it."""
    del aws.s3.objects["artifacts", "runs/digits/r0/model.tar.gz"]
    begin(aws, "rollback", champion=CHAMPION, previous_champion=EARLIER)
    gone = "the model of run r0 is gone: there is nothing at s3://artifacts/runs/digits/r0/model.tar.gz"
    with pytest.raises(RollbackRefusedError, match=gone):
        call("rollback", to="r0")


def test_a_rollback_to_a_model_of_another_repositorys_image_is_refused(aws: Aws) -> None:
    """The pipeline had a framework's image then: the roles may not pull that any more, and the model would be told what
    containers of one's own are told.
    """
    framework = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn"
    then = {**EARLIER, "image_uri": f"{framework}:1.9-0-cpu-py3"}
    begin(aws, "rollback", champion=CHAMPION, previous_champion=then)
    table_of(aws).write_run("r0", {"outcome": "Promoted", "candidate": then})
    with pytest.raises(RollbackRefusedError) as refused:
        call("rollback", to="r0")
    assert str(refused.value) == (
        f"the model of run r0 serves in an image of {framework}, and the pipeline's roles may pull from {IMAGES} "
        "alone: deploy the pipeline.yaml of that run, then roll back"
    )


def test_a_run_past_the_launcher_plans_nothing(aws: Aws) -> None:
    with pytest.raises(LockLostError):
        call(run_id="other")
    assert not written(aws) and not aws.called("list_object_versions")


@pytest.mark.parametrize(
    ("there", "starts_itself", "reason"),
    [
        (
            ["digits/train/a.csv"],
            True,
            "there is no object in the channel 'test' (s3://data/digits/test/); put data there, a run starts by itself "
            "once they have arrived",
        ),
        (
            ["digits/train/", "elsewhere/a.csv"],
            False,
            "there is no object in the channels 'test' (s3://data/digits/test/) and 'train' (s3://data/digits/train/); "
            "put data there, then start a run",
        ),
    ],
)
def test_a_run_waits_for_data_where_a_channel_has_none(
    aws: Aws, there: list[str], starts_itself: bool, reason: str
) -> None:
    aws.s3.versions["data"] = [version(key, Size=0 if key.endswith("/") else 10) for key in there]
    begin(aws, "data", champion=CHAMPION)
    answer = call(data_starts_runs=starts_itself)
    assert (answer["outcome"], answer["reason"]) == ("WaitsForData", reason)
    assert (answer["data"], answer["champion"]["run_id"]) == (None, CHAMPION["run_id"])
    assert read(aws, "plan.json")["reason"] == reason
    assert not [name for name in written(aws) if "manifest" in name]


def test_held_out_data_that_cannot_be_judged_by_are_refused_before_anything_is_trained(aws: Aws) -> None:
    aws.s3.objects["data", "digits/test/d.csv"] = b"a,b\n1,2\n2,3\n"[:10]
    sentence = r"the held-out data \(s3://data/digits/test/\): d\.csv:1 looks like a header \('a,b'\)"
    with pytest.raises(HeldOutDataError, match=sentence):
        call()
    assert aws.called("get_object") == [{"Bucket": "data", "Key": "digits/test/d.csv", "Range": "bytes=0-9"}]


def test_nothing_is_looked_into_where_nothing_is_to_do(aws: Aws) -> None:
    first = call()
    begin(aws, "data", last_judged_fingerprint=first["fingerprint"])
    aws.calls.clear()
    call()
    assert not aws.called("get_object")


@given(st.permutations(["b", "a", "c"]))
def test_the_order_in_which_channels_are_told_does_not_matter(order: list[str]) -> None:
    base = [replace(listed(version("digits/train/a.csv")), name=name) for name in ("a", "b", "c")]
    channels = sorted(base, key=lambda entry: order.index(entry.name))
    assert plan.fingerprint(channels, **HASHES) == plan.fingerprint(base, **HASHES)


def test_fingerprints_of_yesterday_are_those_of_today() -> None:
    """Another one for the same work would train every pipeline anew."""
    train = listed(version("digits/train/a.csv"))
    assert content_hash(train) == sha256(b'["digits/train/a.csv", "e1", 10]').hexdigest()
    text = f'{{"code": "c", "data": {{"train": "{content_hash(train)}"}}, "image": "i", "spec": "s"}}'
    assert plan.fingerprint([train], **HASHES) == sha256(text.encode()).hexdigest()
