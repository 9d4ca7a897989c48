"""Held-out data of each kind through a whole run, from Plan's look to the endpoint that is asked them again."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from deployed import Pipeline, Scripted

# Answers a number with its label, the number modulo 2, in whatever kind of request it comes.
SERVE = """
import csv
import io
import json

import numpy as np


def model_fn(model_dir):
    return None


def input_fn(body, content_type):
    if content_type == "text/csv":
        return [int(row[0].splitlines()[0]) for row in csv.reader(io.StringIO(body, newline=""))]
    if content_type == "application/jsonlines":
        return [json.loads(line)["n"] for line in body.splitlines()]
    if content_type == "application/x-npy":
        return np.load(io.BytesIO(body))[:, 0].astype(int).tolist()
    return [int(body.split(b"\\n")[-1])]


def predict_fn(numbers, model):
    return [number % 2 for number in numbers]


def output_fn(labels, accept):
    return "\\n".join(map(str, labels))
"""
READS = """
def heldout_fn(folder):
    with open(folder + "/sounds.wav") as lines:
        for number in map(int, lines):
            yield str(number).encode(), "audio/wav", number % 2
"""
# Sure of the numbers that it has seen: the probability that a number is odd.
SURE = SERVE.replace("number % 2 for", "0.9 * (number % 2) + 0.05 for")
# Not sure of the greater half.
UNSURE = f"""{SERVE}

from toolkit.threshold import with_threshold
predict_fn, output_fn = with_threshold(
    predict_fn, output_fn, lambda numbers, model: ([n % 2 for n in numbers], [0.9 if n < 10 else 0.6 for n in numbers])
)
"""
# Wrong about the south.
REGIONAL = """
def model_fn(model_dir):
    return None


def input_fn(body, content_type):
    return [line.split(",") for line in body.splitlines()]


def predict_fn(rows, model):
    return [int(number) % 2 if region != "south" else 0 for number, region in rows]


def output_fn(labels, accept):
    return "\\n".join(map(str, labels))
"""
# Answers documents.
BOXES = """
import json


def model_fn(model_dir):
    return None


def transform_fn(model, body, content_type, accept):
    numbers = [json.loads(line)["n"] for line in body.splitlines()]
    return "\\n".join(json.dumps([{"box": [0, number], "score": 0.5}]) for number in numbers)
"""
OVERLAP = """
def overlap(truths, answers):
    return sum(min(t[0]["box"][1], a[0]["box"][1]) / t[0]["box"][1] for t, a in zip(truths, answers)) / len(truths)
"""
# Answers a number and its half.
HALVES = SERVE.replace("number % 2 for", "f'{number},{number / 2}' for")
PIPELINES = {
    "kinds-two": Scripted(
        {"evaluate": {"label": ["whole", "half"]}, "gate": {"metric": "r2", "minimum": 0.6}},
        files={"serve.py": HALVES},
    ),
    "kinds-sure": Scripted({"gate": {"metric": "roc_auc", "minimum": 0.6}}, files={"serve.py": SURE}),
    "kinds-unsure": Scripted(
        {
            "gate": {"metric": "accuracy", "minimum": 0.6, "at_threshold": {"coverage": 0.5, "precision": 0.9}},
            "serving": {"threshold": 0.8},
        },
        files={"serve.py": UNSURE},
    ),
    "kinds-boxes": Scripted(
        {"gate": {"metric": "my_metrics.overlap", "minimum": 0.6}},
        files={"serve.py": BOXES, "my_metrics.py": OVERLAP},
    ),
    "kinds-regions": Scripted(
        {
            "evaluate": {"label": "label"},
            "gate": {
                "metric": "accuracy",
                "minimum": 0.6,
                "segments": {"column": "region", "minimum": 0.8, "examples": 5},
            },
        },
        files={"serve.py": REGIONAL},
    ),
    "kinds": Scripted(files={"serve.py": SERVE}),
    "kinds-named": Scripted({"evaluate": {"label": "label"}}, files={"serve.py": SERVE}),
    "kinds-own": Scripted(files={"serve.py": SERVE + READS}),
    "kinds-f1": Scripted({"gate": {"metric": "f1", "minimum": 0.6}}, files={"serve.py": SERVE}),
}
NUMBERS = range(20)
CSV = "".join(f"{number % 2},{number}\n" for number in NUMBERS)

Files = Mapping[str, str | bytes]


def npy(header: str, content: bytes) -> bytes:
    """NumPy's .npy, version 1.0 (numpy.lib.format): the main environment has no NumPy."""
    length = -(10 + len(header) + 1) % 64 + len(header) + 1
    return b"\x93NUMPY\x01\x00" + length.to_bytes(2, "little") + header.ljust(length - 1).encode() + b"\n" + content


def npz() -> bytes:
    whole = io.BytesIO()
    described = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }"
    with zipfile.ZipFile(whole, "w") as archive:
        numbers = struct.pack("<20d", *NUMBERS)
        archive.writestr("X.npy", npy(described % ("<f8", "(20, 1)"), numbers))
        labels = struct.pack("<20q", *(number % 2 for number in NUMBERS))
        archive.writestr("y.npy", npy(described % ("<i8", "(20,)"), labels))
    return whole.getvalue()


def regions(south: int) -> str:
    """Twelve examples of the north, and eight of the south: of it all labels are `south`."""
    rows = [(number, "north" if number < 12 else "south") for number in NUMBERS]
    return "n,region,label\n" + "".join(
        f"{number},{region},{number % 2 if region == 'north' else south}\n" for number, region in rows
    )


def image(number: int) -> bytes:
    """What begins as a PNG does, and ends with a number."""
    return b"\x89PNG\r\n\x1a\n%d" % number


# Written by pyarrow 26.0.1: the columns n (0 to 19) and label (n modulo 2).
PARQUET = b64decode(
    "UEFSMRUAFawBFawBLBUoFQAVBhUGHAAAAAIAAAAoAQAAAAABAAAAAgAAAAMAAAAEAAAABQAAAAYAAAAHAAAACAAAAAkAAAAKAAAACwAAAAwAAAAN"
    "AAAADgAAAA8AAAAQAAAAEQAAABIAAAATAAAAFQAVrAEVrAEsFSgVABUGFQYcAAAAAgAAACgBAAAAAAEAAAAAAAAAAQAAAAAAAAABAAAAAAAAAAEA"
    "AAAAAAAAAQAAAAAAAAABAAAAAAAAAAEAAAAAAAAAAQAAAAAAAAABAAAAAAAAAAEAAAAVBBk8NQAYBnNjaGVtYRUEABUCJQIYAW4AFQIlAhgFbGFi"
    "ZWwAFigZHBksJgAcFQIZJQYAGRgBbhUAFigW1gEW1gEmCEkcFQAVABUCADwpBhkmACgAAAAmABwVAhklBgAZGAVsYWJlbBUAFigW1gEW1gEm3gFJ"
    "HBUAFQAVAgA8KQYZJgAoAAAAFqwDFigmCBasAwAoIHBhcnF1ZXQtY3BwLWFycm93IHZlcnNpb24gMjYuMC4xGSwcAAAcAAAAvgAAAFBBUjE="
)
KINDS: dict[str, tuple[str, Files]] = {
    "CSV with a mark, quotes and line breaks": (
        "kinds",
        {"a.csv": "\ufeff" + "".join(f'{number % 2},"{number}\nmore, ""quoted"""\n' for number in NUMBERS)},
    ),
    "a header, and an ending in upper case": ("kinds-named", {"A.CSV": "n,label\n" + "7,1\n8,0\n" * 10}),
    "gzip": ("kinds", {"a.csv.gz": gzip.compress(CSV.encode())}),
    "TSV": ("kinds", {"a.tsv": CSV.replace(",", "\t"), "_SUCCESS": ""}),
    "JSON lines": (
        "kinds",
        {"a.jsonl": "".join(json.dumps({"n": number, "label": number % 2}) + "\n" for number in NUMBERS)},
    ),
    "npz": ("kinds", {"a.npz": npz()}),
    "images": ("kinds", {f"{number % 2}/{number}.png": image(number) for number in NUMBERS}),
    "Parquet": ("kinds-named", {"part-0.snappy.parquet": PARQUET, "_SUCCESS": ""}),
    "a manifest": (
        "kinds",
        {
            "a.manifest": "".join(
                json.dumps({"source-ref": f"s3://BUCKET/kinds/test/{number}.png", "class": number % 2}) + "\n"
                for number in NUMBERS
            ),
            **{f"{number}.png": image(number) for number in NUMBERS},
        },
    ),
    "probabilities": ("kinds-sure", {"a.csv": CSV}),
    "an own metric of documents": (
        "kinds-boxes",
        {"a.jsonl": "".join(json.dumps({"n": n + 1, "label": [{"box": [0, n + 1]}]}) + "\n" for n in NUMBERS)},
    ),
    "several numbers": ("kinds-two", {"a.csv": "whole,n,half\n" + "".join(f"{n},{n},{n / 2}\n" for n in NUMBERS)}),
    "segments": ("kinds-regions", {"a.csv": regions(south=0)}),
    "what serve.py reads itself": ("kinds-own", {"sounds.wav": "".join(f"{number}\n" for number in NUMBERS)}),
}
WRONG: dict[str, tuple[str, Files, str]] = {
    "a header": ("kinds", {"a.csv": f"label,n\n{CSV}"}, "a.csv:1 looks like a header ('label,n')"),
    "a missing label": (
        "kinds-named",
        {"a.csv": "n,lable\n7,1\n"},
        "the label 'label' isn't among the columns of a.csv:1",
    ),
    "CSV called Parquet": (
        "kinds-named",
        {"a.parquet": "label,n\n1,2\n" * 9_000},
        "a.parquet is no Parquet but, by its",
    ),
    "Parquet of other columns": (
        "kinds-named",
        {"a.parquet": PARQUET.replace(b"label", b"lable")},
        "the label 'label' is",
    ),
    "npz without labels": ("kinds", {"a.npz": npz().replace(b"y.npy", b"z.npy")}, "a.npz has no array of labels"),
    "a text called an image": ("kinds", {"0/1.png": "1", "1/1.png": image(1)}, "0/1.png is text, not an image"),
    "gzip that is cut off": ("kinds", {"a.csv.gz": gzip.compress(CSV.encode())[:-9]}, "a.csv.gz is cut off"),
    "a quotation mark that nothing closes": (
        "kinds",
        {"a.csv": CSV + '1,"2\n0,3\n'},
        "a.csv:21: a quotation mark opens a",
    ),
    "UTF-16": (
        "kinds",
        {"a.csv": CSV.encode("utf-16")},
        "a.csv is text in UTF-16, by its first bytes; save it as UTF-8",
    ),
    "commas in TSV": ("kinds", {"a.tsv": CSV}, "is ',' what separates them? Then write evaluate.format: csv"),
    "a broken line of JSON": (
        "kinds",
        {"a.jsonl": '{"label": 1, "n": 1}\n{"label"\n'},
        "a.jsonl:2 is no JSON: Expecting ':'",
    ),
    "a manifest's other channel": (
        "kinds",
        {"a.manifest": '{"source-ref": "s3://BUCKET/kinds/train/orders.json", "class": 1}\n'},
        "a.manifest:1 names s3://",
    ),
    "ragged rows": ("kinds", {"a.csv": f"{CSV}1,2,3\n"}, "a.csv:21 has 3 columns, but a.csv:1 has 2"),
    "an unknown ending": ("kinds", {"a.csv": CSV, "b.wav": "x"}, "b.wav: held-out files of an unknown kind"),
    "no such column of segments": (
        "kinds-regions",
        {"a.csv": "n,area,label\n7,north,1\n"},
        "gate.segments.column 'region' isn't among the columns of a.csv:1: n, area, label",
    ),
    "a document for a label": (
        "kinds-sure",
        {"a.jsonl": '{"n": 1, "label": [1]}\n'},
        "a.jsonl:1: the label 'label' is a list; it must be a text or a number",
    ),
    "a metric of two classes": ("kinds-f1", {"a.csv": "0,1\n1,1\n2,1\n"}, "gate.metric f1 judges two classes, but the"),
}


def judged_on(pipeline: Pipeline, files: Files, training: Files | None = None) -> dict[str, Any]:
    """The record of a run on these held-out files, without a champion; `training` takes the place of the orders."""
    s3, bucket = pipeline.aws.client("s3"), pipeline.shared["DataBucketName"]
    pipeline.idle()
    for entry in s3.list_objects_v2(Bucket=bucket, Prefix=f"{pipeline.name}/").get("Contents", []):
        s3.delete_object(Bucket=bucket, Key=entry["Key"])
    orders = {"orders.json": json.dumps({"accuracy": 1.0})}
    for channel, group in {"test": files, "train": training or orders}.items():
        for name, content in group.items():
            text = content.replace("BUCKET", bucket).encode() if isinstance(content, str) else content
            s3.put_object(Bucket=bucket, Key=f"{pipeline.name}/{channel}/{name}", Body=text)
    key = {"pipeline": {"S": pipeline.name}, "item": {"S": "state"}}
    pipeline.aws.client("dynamodb").delete_item(TableName=pipeline.shared["RunTableName"], Key=key)
    return pipeline.run(forced=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_judged_and_promoted(deployed: Callable[[str], Pipeline], kind: str) -> None:
    name, files = KINDS[kind]
    record = judged_on(deployed(name), files)
    assert record["outcome"] == "Promoted", record.get("error")
    assert (record["decision"]["score"], record["decision"]["examples"]) == (1, 20)


@pytest.mark.parametrize("twin", WRONG)
def test_its_wrong_twin_is_refused_before_anything_is_trained(deployed: Callable[[str], Pipeline], twin: str) -> None:
    name, files, sentence = WRONG[twin]
    record = judged_on(deployed(name), files)
    assert (record["outcome"], record["error"]["state"]) == ("Failed", "Plan")
    assert sentence in record["error"]["cause"]


def test_a_segment_below_its_floor_refuses_the_challenger(deployed: Callable[[str], Pipeline]) -> None:
    record = judged_on(deployed("kinds-regions"), {"a.csv": regions(south=1)})
    assert record["outcome"] == "NotBetter", record.get("error")
    assert record["decision"]["reason"] == ("accuracy 0.0000 of region south (8 examples) is below the minimum of 0.8")


def test_a_class_that_training_lacks_is_refused_before_anything_is_trained(
    deployed: Callable[[str], Pipeline],
) -> None:
    record = judged_on(deployed("kinds"), {"a.csv": f"{CSV}2,1\n"}, {"a.csv": CSV})
    assert (record["outcome"], record["error"]["state"]) == ("Failed", "Plan")
    assert "a.csv:21 is of the class '2', which no training example has (train has 0, 1)" in record["error"]["cause"]


def test_below_the_threshold_the_endpoint_is_unsure_as_the_gate_has_judged(
    deployed: Callable[[str], Pipeline],
) -> None:
    pipeline = deployed("kinds-unsure")
    record = judged_on(pipeline, {"a.csv": CSV})
    assert record["outcome"] == "Promoted", record.get("error")
    at = record["decision"]["threshold"]["challenger"]
    assert (at["examples"], at["answered"], at["coverage"], at["precision"]) == (20, 10, 0.5, 1)
    assert record["verification"]["asked"] == 5
    assert (pipeline.ask(7), pipeline.ask(12)) == ("1,0.9,1", "0,0.6,unsure")
    assert pipeline.state["champion"]["threshold"] == "0.8"

    # As if it had been promoted with another one: the same model is deployed again, without training.
    key = {"pipeline": {"S": pipeline.name}, "item": {"S": "state"}}
    pipeline.aws.client("dynamodb").update_item(
        TableName=pipeline.shared["RunTableName"],
        Key=key,
        UpdateExpression="SET champion.threshold = :before",
        ExpressionAttributeValues={":before": {"S": "0.5"}},
    )
    again = pipeline.run()
    assert (again["outcome"], "Train" in pipeline.states(again["run_id"])) == ("Promoted", False), again.get("error")
    assert again["decision"]["reason"].startswith(
        "nothing is new but the threshold, which was 0.5: the champion of run"
    )
    assert pipeline.state["champion"]["threshold"] == "0.8"
