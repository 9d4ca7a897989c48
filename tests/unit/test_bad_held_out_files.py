"""What people put into the held-out channel by mistake, of npz, Parquet and images: refused in Plan.

Each row is a wrong twin of something that tests/local/test_held_out_kinds.py judges and promotes. The Parquet files
were written by pyarrow 26.0.1, without compression, dictionaries and statistics, to be short.
"""

from __future__ import annotations

import io
import struct
import zipfile
from base64 import b64decode
from typing import Any

import pytest
from held_out_bucket import LFS, PNG, ZIP, Bucket, Files, f1, look, npy, npz, r2, refusal
from hypothesis import given
from hypothesis import strategies as st
from planner import parquet_footer
from planner.held_out_look import HeldOutDataError

X = npy("<f4", (3, 2), struct.pack("<6f", *range(6)))


def labels(*values: int) -> bytes:
    return npy("<i8", (len(values),), struct.pack(f"<{len(values)}q", *values))


def workbook() -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    return whole.getvalue()


Row = tuple[Files, dict[str, Any], str]
UNKNOWN = "held-out files of an unknown kind"

ARRAYS: dict[str, Row] = {
    "no npz": (
        {"a.npz": "hello"},
        {},
        "a.npz is no npz; write it with numpy.savez(file, X=…, y=…), without Python objects",
    ),
    "nothing": ({"a.npz": b""}, {}, "a.npz is empty; write it with numpy.savez"),
    "one array called npz": (
        {"a.npz": X},
        {},
        "a.npz is no npz but one NumPy array; write numpy.savez(file, X=…, y=…)",
    ),
    "a workbook called npz": (
        {"a.npz": workbook()},
        {},
        "a.npz (xl/workbook.xml) holds no array; write it with numpy.savez",
    ),
    "cut off": (
        {"a.npz": npz(X=X, y=labels(0, 1, 2))[:-30]},
        {},
        "a.npz is damaged or cut off: File is not a zip file",
    ),
    "long and cut off": (
        {"a.npz": npz(X=npy("<f4", (50_000, 2), bytes(400_000)), y=labels(*[0, 1] * 25_000))[:-30]},
        {},
        "a.npz is damaged or cut off: File is not a zip file; upload it again",
    ),
    "no labels": (
        {"a.npz": npz(X=X)},
        {},
        "a.npz has no array of labels (y, Y, labels, label, y_test), only X (3, 2); write evaluate.label: <array>",
    ),
    "arrays without names": (
        {"a.npz": npz(arr_0=X, arr_1=labels(0, 1, 2))},
        {},
        "a.npz has no array of labels (y, Y, labels, label, y_test), only arr_0 (3, 2), arr_1 (3,); write",
    ),
    "another name": (
        {"a.npz": npz(X=X, y=labels(0, 1, 2))},
        {"label": "t"},
        "a.npz has no array 't', only X (3, 2), y (3,)",
    ),
    "other lengths": (
        {"a.npz": npz(X=X, y=labels(0, 1))},
        {},
        "a.npz: X has the shape (3, 2), y (2,); one label an example is needed: (n, …) and (n,)",
    ),
    "one-hot": (
        {"a.npz": npz(X=X, y=npy("<f4", (3, 2), bytes(24)))},
        {},
        "a.npz: X has the shape (3, 2), y (3, 2); one",
    ),
    "objects": (
        {"a.npz": npz(X=X, y=npy("|O", (3,), b"abc"))},
        {},
        "a.npz (y.npy) holds Python objects; write it with",
    ),
    "no examples": ({"a.npz": npz(X=npy("<f4", (0, 2), b""), y=labels())}, {}, "no example in a.npz"),
    "three classes for two": (
        {"a.npz": npz(X=X, y=labels(0, 1, 2))},
        f1(),
        "gate.metric f1 judges two classes, but the",
    ),
    "words for numbers": (
        {"a.npz": npz(X=X, y=npy("<U3", (3,), "catdogcat".encode("utf-32-le")))},
        r2(),
        "gate.metric r2 needs numbers, but the label of a.npz:0 is 'cat'",
    ),
    "a missing number": (
        {"a.npz": npz(zipfile.ZIP_DEFLATED, X=X, y=npy(">f4", (3, 1), struct.pack(">3f", 1, 2, float("nan"))))},
        r2(),
        "gate.metric r2 needs numbers, but the label of a.npz:2 is 'nan'",
    ),
}
IMAGES: dict[str, Row] = {
    "no folders": ({"1.png": PNG}, {}, "1.png lies in no folder; an image's label is its folder's name, as cat/1.png"),
    "an empty file": ({"cat/1.png": PNG, "dog/1.png": b""}, {}, "dog/1.png is empty"),
    "a text": (
        {"cat/1.png": PNG, "dog/1.png": "none here"},
        {},
        "dog/1.png is text, not an image: it begins with 'none here'",
    ),
    "a page": (
        {"cat/1.png": "<!DOCTYPE html>", "dog/1.png": PNG},
        {},
        "cat/1.png is an HTML page, not an image, by its",
    ),
    "a pointer of Git LFS": (
        {"cat/1.png": LFS, "dog/1.png": PNG},
        {},
        "cat/1.png is a pointer of Git LFS, not an image",
    ),
    "an archive": (
        {"cat/1.png": ZIP, "dog/1.png": PNG},
        {},
        "cat/1.png is a zip archive (a workbook or npz, perhaps), not",
    ),
    "one class": (
        {"cat/1.png": PNG, "cat/2.png": PNG},
        {},
        "gate.metric f1_macro can't tell models apart: all 2 held-out",
    ),
    "a label's name": (
        {"cat/1.png": PNG},
        {"label": "class"},
        "evaluate.label is 'class', but an image's label is its folder's name; leave it out",
    ),
    "a table of labels": (
        {"all/1.png": PNG, "labels.csv": "1.png,cat\n"},
        {},
        "held-out files of 2 kinds (labels.csv, all/1.png); keep to one kind; images are labelled by their folders",
    ),
    "annotations": ({"cat/1.png": PNG, "cat/1.xml": "<x/>"}, {}, f"cat/1.xml: {UNKNOWN}"),
}
# The columns n and label (20 rows); n, pixels (a list), more (a struct) and label; n and label without a row.
NUMBERS = b64decode(
    "UEFSMRUAFawBFawBLBUoFQAVBhUGHAAAAAIAAAAoAQAAAAABAAAAAgAAAAMAAAAEAAAABQAAAAYAAAAHAAAACAAAAAkAAAAKAAAACwAAAAwAAAANAAAA"
    "DgAAAA8AAAAQAAAAEQAAABIAAAATAAAAFQAVrAEVrAEsFSgVABUGFQYcAAAAAgAAACgBAAAAAAEAAAAAAAAAAQAAAAAAAAABAAAAAAAAAAEAAAAAAAAA"
    "AQAAAAAAAAABAAAAAAAAAAEAAAAAAAAAAQAAAAAAAAABAAAAAAAAAAEAAAAVBBk8NQAYBnNjaGVtYRUEABUCJQIYAW4AFQIlAhgFbGFiZWwAFigZHBks"
    "JgAcFQIZJQYAGRgBbhUAFigW1gEW1gEmCEkcFQAVABUCADwpBhkmACgAAAAmABwVAhklBgAZGAVsYWJlbBUAFigW1gEW1gEm3gFJHBUAFQAVAgA8KQYZ"
    "JgAoAAAAFqwDFigmCBasAwAoIHBhcnF1ZXQtY3BwLWFycm93IHZlcnNpb24gMjYuMC4xGSwcAAAcAAAAvgAAAFBBUjE="
)
NESTED = b64decode(
    "UEFSMRUAFRwVHCwVAhUAFQYVBhwAAAACAAAAAgEBAAAAAAAAABUAFTgVOCwVBBUAFQYVBhwAAAACAAAAAwICAAAABAMBAAAAAAAAAAIAAAAAAAAAFQAV"
    "HBUcLBUCFQAVBhUGHAAAAAIAAAACAgEAAAAAAAAAFQAVKBUoLBUCFQAVBhUGHAAAAAIAAAACAAIAAAACBQEAAAAAAAAAFQAVHBUcLBUCFQAVBhUGHAAA"
    "AAIAAAACAQEAAAAAAAAAFQQZzDUAGAZzY2hlbWEVCAAVBCUCGAFuADUCGAZwaXhlbHMVAhUGTDwAAAA1BBgEbGlzdBUCABUEJQIYB2VsZW1lbnQANQIY"
    "BG1vcmUVBAAVBCUCGAFhADUCGAFiFQIANQIYAWMVAhUGTDwAAAA1BBgEbGlzdBUCABUEJQIYB2VsZW1lbnQAFQQlAhgFbGFiZWwAFgIZHBlcJgAcFQQZ"
    "JQYAGRgBbhUAFgIWQhZCJghJHBUAFQAVAgA8KQYZJgACAAAAJgAcFQQZJQYAGTgGcGl4ZWxzBGxpc3QHZWxlbWVudBUAFgQWXhZeJkpJHBUAFQAVAgA8"
    "KSYCAhlGAAAABAAAACYAHBUEGSUGABkoBG1vcmUBYRUAFgIWQhZCJqgBSRwVABUAFQIAPCkGGTYAAAIAAAAmABwVBBklBgAZWARtb3JlAWIBYwRsaXN0"
    "B2VsZW1lbnQVABYCFk4WTibqAUkcFQAVABUCADwpJgIAGWYAAAAAAAIAAAAmABwVBBklBgAZGAVsYWJlbBUAFgIWQhZCJrgCSRwVABUAFQIAPCkGGSYA"
    "AgAAABbyAhYCJggW8gIAKCBwYXJxdWV0LWNwcC1hcnJvdyB2ZXJzaW9uIDI2LjAuMRlcHAAAHAAAHAAAHAAAHAAAAOcBAABQQVIx"
)
NO_ROWS = b64decode(
    "UEFSMRUEGTw1ABgGc2NoZW1hFQQAFQIlAhgBbgAVAiUCGAVsYWJlbAAWABkcGSwmABwVAhkVBhkYAW4VABYAFgAWACYASQwAACYAHBUCGRUGGRgFbGFi"
    "ZWwVABYAFgAWACYASQwAABYAFgAmABYAACggcGFycXVldC1jcHAtYXJyb3cgdmVyc2lvbiAyNi4wLjEZLBwAABwAAACXAAAAUEFSMQ=="
)
ONE_COLUMN = b64decode(
    "UEFSMRUAFRQVFCwVAhUAFQYVBhwAAAACAAAAAgEBAAAAFQQZLDUAGAZzY2hlbWEVAgAVAiUCGAVsYWJlbAAWAhkcGRwmABwVAhklBgAZGAVsYWJlbBUA"
    "FgIWOhY6JghJHBUAFQAVAgA8KQYZJgACAAAAFjoWAiYIFjoAKCBwYXJxdWV0LWNwcC1hcnJvdyB2ZXJzaW9uIDI2LjAuMRkcHAAAAIIAAABQQVIx"
)
LABEL = {"label": "label"}
PARQUET: dict[str, Row] = {
    "CSV": (
        {"a.parquet": "label,n\n1,2\n"},
        LABEL,
        "a.parquet is no Parquet but, by its first bytes, 'label,n'; is it CSV? Its name tells the kind",
    ),
    "nothing": ({"a.parquet": b""}, LABEL, "a.parquet is empty; no Parquet file is"),
    "a pointer of Git LFS": (
        {"a.parquet": LFS},
        LABEL,
        "a.parquet is no Parquet but, by its first bytes, a pointer of Git LFS; get the file itself",
    ),
    "cut off": (
        {"a.parquet": NUMBERS[:-30]},
        LABEL,
        "a.parquet is cut off: it begins as Parquet but doesn't end so; upload it again",
    ),
    "long and cut off": ({"a.parquet": NUMBERS + bytes(100_000)}, LABEL, "a.parquet is cut off"),
    "encrypted": (
        {"a.parquet": b"PARE...PARE"},
        LABEL,
        "a.parquet is encrypted Parquet, which the evaluation has no key",
    ),
    "a damaged footer": (
        {"a.parquet": NUMBERS[:-190] + b"\xff" * 182 + NUMBERS[-8:]},
        LABEL,
        "a.parquet is damaged: its footer can't be read; write it again",
    ),
    "a footer longer than the file": (
        {"a.parquet": NUMBERS[:-8] + b"\xff\xff\x00\x00PAR1"},
        LABEL,
        "a.parquet is damaged: its footer would be longer than the file",
    ),
    "segments of no such column": (
        {"a.parquet": NUMBERS},
        {**LABEL, "segment": "region"},
        "gate.segments.column 'region' isn't among the columns of a.parquet: n, label",
    ),
    "segments by the label": (
        {"a.parquet": NUMBERS},
        {**LABEL, "segment": 1},
        "gate.segments.column 1 is the label; for floors of classes write gate.classes",
    ),
    "no such column": (
        {"a.parquet": NUMBERS},
        {"label": "Label"},
        "the label 'Label' isn't among the columns of a.parquet: n, label; did you mean 'label'?",
    ),
    "no such position": (
        {"a.parquet": NUMBERS},
        {"label": 2},
        "label column 2 is out of range: a.parquet has 2 columns",
    ),
    "lists": (
        {"a.parquet": NESTED},
        LABEL,
        "a.parquet: 'pixels', a column, holds lists or structs, which no CSV row can hold; write a column for each",
    ),
    "a label that is a list": (
        {"a.parquet": NESTED},
        {"label": "pixels"},
        "a.parquet: 'pixels', the label, holds lists",
    ),
    "the label alone": (
        {"a.parquet": ONE_COLUMN},
        {},
        "a.parquet has one column, the label; a model needs at least one",
    ),
    "no rows": ({"a.parquet": NO_ROWS}, LABEL, "no example in a.parquet"),
    "other columns": (
        {"a.parquet": NUMBERS, "b.parquet": ONE_COLUMN},
        LABEL,
        "b.parquet has the columns label, but a.parquet has n, label",
    ),
    "a header": (
        {"a.parquet": NUMBERS},
        {"header": True},
        "evaluate.header is said, but the held-out files are parquet, which have none; leave it out",
    ),
}
GROUPS = {"npz": ARRAYS, "image": IMAGES, "Parquet": PARQUET}
CASES = {f"{group}: {what}": row for group, rows in GROUPS.items() for what, row in rows.items()}


@pytest.mark.parametrize("case", CASES)
def test_is_refused_before_anything_is_trained(case: str) -> None:
    files, asked, sentence = CASES[case]
    assert refusal(files, **asked).startswith(sentence)


RIGHT: dict[str, tuple[Files, dict[str, Any], int]] = {
    "images of an unknown kind": ({"cat/1.jpg": b"\x00\x00\x00\x20ftypheic", "dog/1.jpg": PNG}, {}, 2),
    "arrays": ({"a.npz": npz(X=X, y=labels(0, 1, 2))}, {}, 3),
    "compressed arrays": ({"a.npz": npz(zipfile.ZIP_DEFLATED, X=X, y=labels(0, 1, 2))}, {}, 3),
    "a long file": ({"a.npz": npz(X=npy("<f4", (50_000, 2), bytes(400_000)), y=labels(*[0, 1] * 25_000))}, {}, 50_000),
    "labels too many to read": (
        {"a.npz": npz(X=npy("|i1", (150_000,), bytes(150_000)), y=labels(*[0] * 150_000))},
        {},
        0,
    ),
    "a record": (
        {"a.npz": npz(X=npy("<f8", (1,), bytes(8)), y=labels(1), more=npy("[('Open', '<f8')]", (0,), b""))},
        {},
        1,
    ),
    "labels of bytes": ({"a.npz": npz(X=X, labels=npy("|S3", (3,), b"catdogcow"))}, {}, 3),
    "labels of truth": ({"a.npz": npz(X=X, y=npy("|b1", (3,), b"\x00\x01\x00"))}, {}, 3),
    "labels of another type": ({"a.npz": npz(X=X, y=npy("<c8", (3,), bytes(24)))}, {}, 0),
    "more arrays than two": ({"a.npz": npz(X=X, y=labels(0, 1, 0), ids=labels(7, 8, 9))}, {}, 3),
}


@pytest.mark.parametrize("case", RIGHT)
def test_what_may_be_right_is_not_refused(case: str) -> None:
    files, asked, examples = RIGHT[case]
    assert look(files, **asked)["examples"] == examples


# ------------------------------------------------------------------------------------------------------------ Parquet


def test_a_footer_names_the_columns_and_counts_the_rows() -> None:
    for content, footer in [
        (NUMBERS, parquet_footer.Footer(("n", "label"), (), 20)),
        (NESTED, parquet_footer.Footer(("n", "pixels", "more", "label"), ("pixels", "more"), 1)),
        (NO_ROWS, parquet_footer.Footer(("n", "label"), (), 0)),
    ]:
        assert (
            parquet_footer.read("a", len(content), lambda start, size, all_=content: all_[start : start + size])
            == footer
        )


def test_parquet_is_known_by_one_request_and_passes() -> None:
    bucket = Bucket({"a.parquet": NUMBERS, "b.parquet": NO_ROWS})
    assert look(bucket, **LABEL) == {"format": "parquet", "files": 2, "looked_into": 2, "examples": 0, "whole": False}
    assert bucket.read == [("a.parquet", len(NUMBERS)), ("b.parquet", len(NO_ROWS))]
    assert look({"a.parquet": NUMBERS}, label=1)["format"] == "parquet"


@given(st.integers(0, len(NUMBERS)), st.binary(max_size=8))
def test_any_damage_is_told_in_a_sentence(at: int, other: bytes) -> None:
    damaged = NUMBERS[:at] + other + NUMBERS[at + len(other) :]
    try:
        look({"a.parquet": damaged})
    except HeldOutDataError as error:
        assert "a.parquet" in str(error)


@given(st.integers(0, 60), st.binary(max_size=8))
def test_any_damage_of_an_npz_is_told_in_a_sentence(at: int, other: bytes) -> None:
    content = npz(X=X, y=labels(0, 1, 2))
    at = at * len(content) // 60
    try:
        look({"a.npz": content[:at] + other + content[at + len(other) :]})
    except HeldOutDataError as error:
        assert "a.npz" in str(error) or "gate.metric" in str(error)
