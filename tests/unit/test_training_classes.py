"""Held-out classes that training lacks: refused in Plan where it is sure, and not a word where it isn't."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from held_out_bucket import PNG, Bucket, Files, json_lines, look, refusal

LACKING: dict[str, tuple[Files, Files, str]] = {
    "words": (
        {"a.csv": "a,1\nb,2\nc,3\n"},
        {"t.csv": "a,1\nb,2\n"},
        "a.csv:3 is of the class 'c', which no training example has (train has a, b); add examples of it to train, or",
    ),
    "numbers, however they are written": (
        {"a.csv": "0,1\n1,2\n2.0,3\n3,1\n"},
        {"t.csv": "0,1\n1.0,2\n"},
        "a.csv:3 is of the class '2.0', which no training example has, as 1 more of the held-out",
    ),
    "JSON lines": (
        {"a.jsonl": json_lines({"label": "a", "x": 1}, {"label": "b", "x": 1})},
        {"t.jsonl": json_lines({"label": "a", "x": 1})},
        "a.jsonl:2 is of the class 'b', which no training example has",
    ),
    "images": (
        {"cat/1.png": PNG, "dog/1.png": PNG, "elk/1.png": PNG},
        {"cat/2.png": PNG, "dog/2.png": PNG},
        "elk/1.png is of the class 'elk', which no training example has (train has cat, dog)",
    ),
}


@pytest.mark.parametrize("case", LACKING)
def test_a_class_that_training_lacks_is_refused(case: str) -> None:
    files, training, sentence = LACKING[case]
    assert refusal(files, training).startswith(sentence)


TWO, THREE = "a,1\nb,2\n" * 2, "a,1\nb,2\nc,3\n"
SILENT: dict[str, tuple[Files, dict[str, Any]]] = {
    "all are there": ({"t.csv": THREE}, {}),
    "in any of the files": ({"t.csv": TWO, "u.csv": "c,3\n"}, {}),
    "another kind": ({"t.tsv": TWO.replace(",", "\t")}, {}),
    "other columns": ({"t.csv": "a,1,2\nb,2,3\n"}, {}),
    "a broken file": ({"t.csv": TWO + "a\n"}, {}),
    "a header": ({"t.csv": "label,x\n" + "1,2\n2,3\n"}, {}),
    "labels elsewhere": ({"t.csv": "1,a\n2,b\n3,c\n"}, {}),
    "many files": ({f"{number}.csv": TWO for number in range(33)}, {}),
    "many short lines": ({"t.csv": TWO * 25_001}, {}),
    "large files": ({"t.csv": TWO * 600_000}, {}),
    "large when unzipped": ({"t.csv.gz": gzip.compress(TWO.encode() * 600_000)}, {}),
    "a file of no known kind": ({"t.csv": TWO, "words.txt": "x"}, {}),
    "a metric of numbers": ({"t.csv": "1,1\n2,2\n"}, {"metric": "r2", "needs": "numbers"}),
}


@pytest.mark.parametrize("case", SILENT)
def test_where_it_is_not_sure_nothing_is_said_of_training(case: str) -> None:
    training, asked = SILENT[case]
    files: Files = {"a.csv": "1,1\n2,2\n3,3\n" if asked else THREE}
    assert look(files, training, **asked)["examples"] == 3


def test_large_training_data_are_not_read() -> None:
    bucket = Bucket({"a.csv": THREE}, {"t.csv": TWO * 600_000})
    look(bucket)
    assert [key for key, _ in bucket.read] == ["a.csv"]
