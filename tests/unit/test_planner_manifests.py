"""Plan and channels with augmented manifests: what training gets of them, and which line is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from common import clock
from common.run_table import RunTable
from common.state import State, Trigger, started, triggered
from memory_aws import Aws, installed
from planner import handler, manifests
from planner.manifests import ManifestRefusedError

RUN_ID = "20261120T100000-r3"
FOLDER = f"runs/digits/{RUN_ID}/"
KEY = "digits/labels.manifest"
PICTURES = "digits/pictures/"
HELD_OUT = {
    "label": 0, "header": None, "format": None, "segment": None, "any_label": False, "metric": "f1_macro",
    "needs": "classes",
}  # fmt: skip


def version(key: str, etag: str = '"e1"', size: int = 10) -> dict[str, Any]:
    return {"Key": key, "ETag": etag, "Size": size, "VersionId": "v1", "IsLatest": True}


def line(number: int, **changes: Any) -> str:
    return json.dumps({"source-ref": f"s3://data/{PICTURES}{number}.png", "class": number, **changes})


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    """Three pictures, two of which a manifest points to, and a held-out set; a run that holds the lock."""
    aws = installed(monkeypatch, RUN_TABLE="runs", DATA_BUCKET="data", ARTIFACT_BUCKET="artifacts")
    monkeypatch.setattr(clock, "stamp", lambda: "2026-11-20T10:00:00.000Z")
    keys = [*(f"{PICTURES}{number}.png" for number in range(3)), KEY, f"{KEY}.old", "digits/test/d.csv"]
    aws.s3.versions["data"] = [version(key) for key in keys]
    aws.s3.objects["data", "digits/test/d.csv"] = b"0,1\n1,2\n2,3\n"
    put(aws, line(2), "", line(0), "")
    table = RunTable(aws.client("dynamodb"), "runs", "digits")
    trigger = Trigger("data", "2026-11-20T10:00:00.000Z", {})
    table.update(lambda before: started(triggered(State(version=before.version), [trigger]), RUN_ID, "arn", "now"))
    return aws


def put(aws: Aws, *lines: str) -> None:
    aws.s3.objects["data", KEY] = "\n".join(lines).encode()


def planned(**changes: Any) -> dict[str, Any]:
    trigger = {"kind": "data", "at": "2026-11-20T10:00:00.000Z", "detail": {}}
    asked = {"key": KEY, "objects": PICTURES, "attributes": ["source-ref", "class"], "piped": True, **changes}
    event = {
        "run": {"pipeline": "digits", "run_id": RUN_ID, "trigger": trigger, "forced": False},
        "channels": {"train": PICTURES, "test": "digits/test/"},
        "manifests": {"train": asked},
        "held_out": HELD_OUT,
        "data_starts_runs": True,
        "hosting_image_uri": "image",
        "threshold": None,
        **{name: name for name in ("code_hash", "spec_hash", "image_uri")},
    }
    return handler.handle(event, None)


def written(aws: Aws, name: str) -> bytes:
    content: bytes = aws.s3.objects["artifacts", f"{FOLDER}manifests/{name}"]
    return content


def test_sagemaker_gets_a_copy_without_empty_lines(aws: Aws) -> None:
    """So that no algorithm counts one more than there are."""
    data = planned()["data"]
    assert data["manifests"]["train"] == f"s3://artifacts/{FOLDER}manifests/train.manifest"
    assert written(aws, "train.manifest").decode() == f"{line(2)}\n{line(0)}\n"
    assert data["examples"] == {"train": 2}
    assert data["objects"] == 4, "two pictures, the manifest, and the held-out file"
    keys = [entry["key"] for entry in json.loads(written(aws, "train.versions.json"))]
    assert keys == [KEY, f"{PICTURES}0.png", f"{PICTURES}2.png"]


def test_as_files_it_is_a_channel_beside_what_it_points_to(aws: Aws) -> None:
    told = planned(piped=False)["data"]["manifests"]
    assert sorted(told) == ["test", "train", "train-manifest"]
    assert json.loads(written(aws, "train.manifest")) == [{"prefix": f"s3://data/{PICTURES}"}, "2.png", "0.png"]
    assert written(aws, "train-manifest.manifest").decode() == f"{line(2)}\n{line(0)}\n"
    alone = planned(piped=False, objects=None, attributes=["class"])["data"]["manifests"]
    assert sorted(alone) == ["test", "train-manifest"]


def test_what_it_points_to_makes_the_fingerprint(aws: Aws) -> None:
    first = planned()["fingerprint"]
    aws.s3.versions["data"].append(version(f"{PICTURES}new.png"))
    assert planned()["fingerprint"] == first, "a picture that no line points to is nothing new"
    aws.s3.versions["data"][0] = version(f"{PICTURES}0.png", '"e2"')
    second = planned()["fingerprint"]
    aws.s3.versions["data"][3] = version(KEY, '"e2"')
    assert len({first, second, planned()["fingerprint"]}) == 3


def test_it_is_waited_for(aws: Aws) -> None:
    del aws.s3.versions["data"][3]
    plan = planned()
    assert plan["outcome"] == "WaitsForData"
    assert f"'train' (s3://data/{KEY})" in plan["reason"]


WHERE = f"data.train: s3://data/{KEY}, line 2"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("{", f"{WHERE} is not JSON: Expecting"),
        ("[1]", f"{WHERE} is no JSON object; write {{"),
        ('{"class": 1}', f"{WHERE} has no attribute 'source-ref'; it has 'class'"),
        (line(1, **{"source-ref": "1.png"}), f"{WHERE}: 'source-ref' is '1.png'; write an object's URI, as s3://"),
        (line(1, **{"source-ref": 7}), "'source-ref' is 7; write an object's URI"),
        (
            line(1, **{"source-ref": f"s3://other/{PICTURES}1.png"}),
            f"is s3://other/{PICTURES}1.png, but training sees what lies under s3://data/{PICTURES} alone; put it",
        ),
        (line(1, **{"source-ref": "s3://data/digits/test/d.csv"}), "is s3://data/digits/test/d.csv, but training sees"),
        (line(7), f"'source-ref' is s3://data/{PICTURES}7.png, where there is no object"),
    ],
)
def test_a_bad_line_is_named_before_anything_is_paid_for(aws: Aws, wrong: str, said: str) -> None:
    put(aws, line(0), wrong)
    with pytest.raises(ManifestRefusedError) as caught:
        planned()
    assert said in str(caught.value)


def test_nothing_and_too_much_are_refused(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    put(aws, "", " ")
    with pytest.raises(ManifestRefusedError, match="has no example: all its lines are empty"):
        planned()
    monkeypatch.setattr(manifests, "MAXIMUM_BYTES", 9)
    with pytest.raises(ManifestRefusedError, match="has 10 bytes; Plan reads 9 at most"):
        planned()
