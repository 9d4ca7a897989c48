"""A pipeline whose labels come by augmented manifests: one in Pipe mode, one as files, of the same pictures."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from deployed import Pipeline, Scripted

TRAIN = """
import json
from pathlib import Path

from toolkit import manifests
from toolkit.serving import save_serving_code

for epoch in range(2):
    records = manifests.records("train")
    for number, record in enumerate(records):
        assert record == {"source-ref": b"picture %d" % number, "class": number % 2}, (epoch, number, record)
    assert records.count == 60, records.count

orders = [[record["class"] for record in manifests.records("checked")] for epoch in range(2)]
assert sorted(orders[0]) == sorted(orders[1]) == list(range(50)), orders
assert orders[0] != orders[1], "each epoch is shuffled anew"

Path("/opt/ml/model/model.json").write_text(json.dumps({"accuracy": 0.9}))
save_serving_code("/opt/ml/model")
"""
LABELS = {"manifest": "labelled/train/labels.manifest", "attributes": ["source-ref", "class"]}
CHECKED = {
    "manifest": "labelled/checked.manifest", "attributes": ["class", "source-ref"], "objects": "labelled/train/",
    "mode": "file", "shuffle": 7,
}  # fmt: skip
DATA = {"train": LABELS, "checked": CHECKED, "test": "labelled/test/"}
PIPELINES = {"labelled": Scripted({"data": DATA}, {"train.py": TRAIN})}


@pytest.fixture(scope="module")
def pipeline(deployed: Callable[[str], Pipeline]) -> Pipeline:
    found = deployed("labelled")
    for number in range(60):
        found.put(f"train/pictures/{number}.png", f"picture {number}")
    return found


def label(pipeline: Pipeline, key: str, lines: list[str]) -> None:
    # The last line is empty, and no example.
    pipeline.put(key, "\n".join([*lines, "", ""]))


def line(pipeline: Pipeline, number: int, label: int) -> str:
    uri = f"s3://{pipeline.shared['DataBucketName']}/labelled/train/pictures/{number}.png"
    return json.dumps({"class": label, "source-ref": uri, "class-metadata": {"confidence": 0.9}})


def test_a_model_is_made_from_manifests_and_a_bad_line_ends_a_run_before_it_costs(pipeline: Pipeline) -> None:
    good = [line(pipeline, number, number % 2) for number in range(60)]
    label(pipeline, "train/labels.manifest", good)
    label(pipeline, "checked.manifest", [line(pipeline, number, number) for number in range(50)])
    record = pipeline.run()
    assert record["outcome"] == "Promoted", record
    assert pipeline.ask(7) == "1"
    assert pipeline.run()["outcome"] == "UpToDate"

    label(pipeline, "train/labels.manifest", [*good, json.dumps({"class": 1})])
    record = pipeline.run()
    assert (record["outcome"], record["error"]["state"]) == ("Failed", "Plan")
    where = f"s3://{pipeline.shared['DataBucketName']}/labelled/train/labels.manifest"
    assert f"data.train: {where}, line 61 has no attribute 'source-ref'; it has 'class'" in json.dumps(
        record["error"], default=str
    )
