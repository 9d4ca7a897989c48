"""What people put into the held-out channel by mistake, of text: refused in Plan.

Each row is a wrong twin of something that tests/local/test_held_out_kinds.py judges and promotes.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from typing import Any

import pytest
from held_out_bucket import LFS, PNG, ZIP, Files, f1, json_lines, look, npy, r2, refusal

ROWS = "a,1\nb,2\na,3\n"


def tar() -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        member = tarfile.TarInfo("a.csv")
        member.size = len(ROWS)
        archive.addfile(member, io.BytesIO(ROWS.encode()))
    return whole.getvalue()


Row = tuple[Files, dict[str, Any], str]
UNKNOWN = "held-out files of an unknown kind"

ENCODINGS: dict[str, Row] = {
    "Latin-1": (
        {"a.csv": "a,1\nb,2\né,3\n".encode("latin-1")},
        {},
        "a.csv:3 is no text in UTF-8: the byte 0xe9 is 'é' in Latin-1; save the file as UTF-8",
    ),
    "Windows' quotation marks": (
        {"a.csv": b"a,\x93hi\x94\n"},
        {},
        "a.csv:1 is no text in UTF-8: the byte 0x93 is of another encoding; save the file as UTF-8",
    ),
    "UTF-16": ({"a.csv": ROWS.encode("utf-16")}, {}, "a.csv is text in UTF-16, by its first bytes; save it as UTF-8"),
    "UTF-16 without a mark": ({"a.jsonl": '{"label": 1}\n'.encode("utf-16-le")}, {}, "a.jsonl is text in UTF-16"),
    "gzipped without .gz": (
        {"a.csv": gzip.compress(ROWS.encode())},
        {},
        "a.csv is gzipped, by its first bytes; the name of gzipped text ends in .gz, as rows.csv.gz",
    ),
    "not gzipped": (
        {"a.csv.gz": ROWS},
        {},
        "a.csv.gz is not gzipped: Error -3 while decompressing data: incorrect header",
    ),
    "gzip, cut off": (
        {"a.csv.gz": gzip.compress(ROWS.encode() * 1000)[:-20]},
        {},
        "a.csv.gz is cut off: what is gzipped has no end; upload it again",
    ),
    "gzip, damaged": (
        {"a.csv.gz": gzip.compress(ROWS.encode() * 1000)[:-8] + b"12345678"},
        {},
        "a.csv.gz is damaged: Error -3 while decompressing data: incorrect data check; upload it again",
    ),
    "gzip of nothing": ({"a.csv.gz": gzip.compress(b"")}, {}, "no example in a.csv.gz"),
    "a gzipped archive": ({"a.csv.gz": tar()}, {}, "a.csv.gz is a tar archive, by its first bytes; upload the files"),
    "an archive": ({"a.tar.gz": tar()}, {}, f"a.tar.gz: {UNKNOWN} (upload the files that are in the archive); known"),
    "gzipped Parquet": ({"a.parquet.gz": b""}, {}, f"a.parquet.gz: {UNKNOWN} (Parquet is compressed within: don't"),
}
OTHER_FILES: dict[str, Row] = {
    "a workbook": ({"a.xlsx": ZIP}, {}, f"a.xlsx: {UNKNOWN} (save a workbook as CSV); known are .csv .tsv"),
    "a workbook called CSV": ({"a.csv": ZIP}, {}, "a.csv is a zip archive (a workbook or npz, perhaps), by its first"),
    "JSON": (
        {"a.json": "[]"},
        {},
        f"a.json: {UNKNOWN} (JSON is read as JSON lines, one document a line, in a file that",
    ),
    "one array": (
        {"a.npy": npy("<f4", (1,), b"1234")},
        {},
        f"a.npy: {UNKNOWN} (write numpy.savez(file, X=…, y=…)); known are",
    ),
    "a pickle": (
        {"a.pkl": b"\x80\x04\x95"},
        {},
        f"a.pkl: {UNKNOWN} (reading data must not run code: write CSV, Parquet",
    ),
    "a pointer of Git LFS": (
        {"a.csv": LFS},
        {},
        "a.csv is a pointer of Git LFS, by its first bytes; get the file itself",
    ),
    "a page of an error": (
        {"a.csv": "<!DOCTYPE html><html>"},
        {},
        "a.csv is an HTML page, by its first bytes; a download",
    ),
    "notes beside": ({"a.csv": ROWS, "README.md": "x"}, {}, f"README.md: {UNKNOWN}; known are .csv"),
    "Parquet, said to be CSV": (
        {"part-0": b"PAR1\x15..."},
        {"format": "csv"},
        "part-0 is Parquet, by its first bytes; its name must end in .parquet",
    ),
    "CSV, said to be JSON lines": (
        {"a.csv": ROWS},
        {"format": "jsonlines"},
        "a.csv:1 is no JSON: Expecting value at column 1; JSON lines have one whole document a line",
    ),
    "a header of what has none": (
        {"a.jsonl": json_lines({"label": 1, "x": 2})},
        {"header": True},
        "evaluate.header is said, but the held-out files are jsonlines, which have none; leave it out",
    ),
}
TABLES: dict[str, Row] = {
    "a quotation mark that nothing closes": (
        {"a.csv": 'a,1\nb,"two\na,three\n'},
        {},
        "a.csv:2: a quotation mark opens a field that is not closed before a separator or the line's end; within a",
    ),
    "one that another one closes": (
        {"a.csv": 'a,"one\nb,two\na,"three"\nb,1\n'},
        {},
        "a.csv:1: a quotation mark opens",
    ),
    "a field over lines": (
        {"a.csv": 'a,1\nb,"2\n3",4\n'},
        {},
        "a.csv:2 has 3 columns, but a.csv:1 has 2 (one of them goes over 2 lines: is its quotation mark closed?)",
    ),
    "semicolons": (
        {"a.csv": "a;1\nb;2\n"},
        {},
        "a.csv:1 has one column, the label; a model needs at least one more to be asked by (is ';' what separates "
        "them? Then write commas between the columns)",
    ),
    "semicolons and decimal commas": (
        {"a.csv": "3;1,5;2,7\n4;2,5;3,7\n"},
        {},
        "a.csv:2 has ';' between its columns and decimal commas, it seems ('4;2,5;3,7'); write commas between the",
    ),
    "tabs in CSV": (
        {"a.csv": "a\t1\n"},
        {},
        "a.csv:1 has one column, the label; a model needs at least one more to be "
        "asked by (is '\\t' what separates them? Then write evaluate.format: tsv, and end the name in .tsv)",
    ),
    "commas in TSV": (
        {"a.tsv": ROWS},
        {},
        "a.tsv:1 has one column, the label; a model needs at least one more to be "
        "asked by (is ',' what separates them? Then write evaluate.format: csv, or the file with tabs)",
    ),
    "a remark": ({"a.csv": "# made by x\na,1\n"}, {}, "a.csv:2 has 2 columns, but a.csv:1 has 1"),
    "a last line of SQL's": ({"a.csv": "a,1\nb,2\n(2 rows)\n"}, {}, "a.csv:3 has 1 column, but a.csv:1 has 2"),
    "a column in another case": (
        {"a.csv": "x,Price\n1,2\n"},
        r2(label="price"),
        "the label 'price' isn't among the columns of a.csv:1: x, Price; did you mean 'Price'?",
    ),
    "a column twice": ({"a.csv": "y,y\n1,2\n"}, r2(label="y"), "the label 'y' is 2 times among the columns of a.csv:1"),
    "pandas' index": (
        {"a.csv": ",y,x\n0,1,2\n1,2,3\n"},
        {},
        "a.csv:1 looks like a header (',y,x'); write evaluate.header",
    ),
    "a header that is an example": (
        {"a.csv": "1,2.5\n2,3.5\n"},
        {"header": True},
        "evaluate.header is true, but a.csv:1 looks like an example ('1,2.5'); leave header out, or write false",
    ),
    "a second header": (
        {"a.csv": "x,y\n1,2\nx,y\n2,3\n"},
        r2(label="y"),
        "gate.metric r2 needs numbers, but the label of a.csv:3 is 'y' (is evaluate.label the right column?)",
    ),
}
LABELS: dict[str, Row] = {
    "no number": ({"a.csv": "1.5,a\nNaN,b\n"}, r2(), "gate.metric r2 needs numbers, but the label of a.csv:2 is 'NaN'"),
    "infinite": ({"a.csv": "1.5,a\ninf,b\n"}, r2(), "gate.metric r2 needs numbers, but the label of a.csv:2 is 'inf'"),
    "a currency": (
        {"a.csv": "x,y\n1,$3\n"},
        r2(label="y"),
        "gate.metric r2 needs numbers, but the label of a.csv:2 is '$3'",
    ),
    "thousands": (
        {"a.csv": 'x,y\n1,"1,200"\n'},
        r2(label="y"),
        "gate.metric r2 needs numbers, but the label of a.csv:2 is '1,2",
    ),
    "a class that is missing": (
        {"a.csv": "0,a\n1,b\nnan,c\n"},
        {},
        "gate.metric f1_macro can't judge by the label of a.csv:3, 'nan': no number, as the others; leave it out",
    ),
    "one class": (
        {"a.csv": "1,a\n1,b\n1,c\n"},
        {},
        "gate.metric f1_macro can't tell models apart: all 3 held-out labels are '1'; hold out examples of other",
    ),
    "one value": (
        {"a.csv": "2,a\n2,b\n"},
        r2(),
        "gate.metric r2 can't tell models apart: all 2 held-out labels are '2'",
    ),
    "three classes for a curve": (
        {"a.csv": "a,1\nb,2\nc,3\n"},
        {"metric": "roc_auc"},
        "gate.metric roc_auc is of two classes, but the held-out labels are of 3 classes (a, b, c); use roc_auc_ovr or",
    ),
    "nothing for a logarithm": (
        {"a.csv": "2,a\n0,b\n"},
        {"metric": "neg_mean_gamma_deviance", "needs": "numbers"},
        "gate.metric neg_mean_gamma_deviance needs labels greater than 0, but that of a.csv:2 is 0 (is evaluate.label",
    ),
    "less than nothing": (
        {"a.csv": "2,a\n-1,b\n"},
        {"metric": "neg_mean_poisson_deviance", "needs": "numbers"},
        "gate.metric neg_mean_poisson_deviance needs labels at least 0, but that of a.csv:2 is -1 (is evaluate.label",
    ),
    "words for truth": (
        {"a.csv": "True,a\nFalse,b\n"},
        f1(),
        "gate.metric f1 is about the class 1, but the held-out labels are False, True; write 0 and 1, or use f1_macro",
    ),
    "an id": (
        {"a.csv": "1,a\n2,b\n3,c\n"},
        f1(),
        "gate.metric f1 judges two classes, but the held-out labels are of 3",
    ),
}
JSON: dict[str, Row] = {
    "one list of all": (
        {"a.jsonl": json.dumps([{"label": 1}, {"label": 0}])},
        {},
        "a.jsonl:1 is a list of 2 objects; JSON lines have one object a line",
    ),
    "a document over lines": (
        {"a.jsonl": json.dumps([{"label": 1}], indent=1)},
        {},
        "a.jsonl:1 is no JSON: Expecting value",
    ),
    "a broken line": (
        {"a.jsonl": '{"label": 1, "x": 1}\n{"label": 1,\n'},
        {},
        "a.jsonl:2 is no JSON: Expecting property name enclosed in double quotes at column 14; JSON lines have one",
    ),
    "Python's quotation marks": (
        {"a.jsonl": "{'label': 1}\n"},
        {},
        "a.jsonl:1 is no JSON: Expecting property name enclosed",
    ),
    "a line without a label": (
        {"a.jsonl": json_lines({"label": 1, "x": 2}, {"Label": 3, "x": 1})},
        {},
        "a.jsonl:2 has no label 'label', only Label, x; write evaluate.label: <key>; did you mean 'Label'?",
    ),
    "an empty label": ({"a.jsonl": json_lines({"label": None, "x": 2})}, {}, "a.jsonl:1: the label 'label' is empty"),
    "a label within": (
        {"a.jsonl": json_lines({"label": {"a": 1}, "x": 2})},
        {},
        "a.jsonl:1: the label 'label' is an object",
    ),
    "nothing but labels": (
        {"a.jsonl": json_lines({"label": 1})},
        {},
        "a.jsonl:1 has nothing but the label; a model needs",
    ),
    "a manifest's path": (
        {"a.manifest": json_lines({"source-ref": "1.png", "class": 1}), "1.png": PNG},
        {},
        "a.manifest:1 names 1.png, which isn't among the channel's objects; write the whole URI: s3://data/pets/test/…",
    ),
    "a manifest's other bucket": (
        {"a.manifest": json_lines({"source-ref": "s3://else/1.png", "class": 1}), "1.png": PNG},
        {},
        "a.manifest:1 names s3://else/1.png, which isn't among the channel's objects",
    ),
    "a manifest's empty object": (
        {"a.manifest": json_lines({"source-ref": "s3://data/pets/test/1.png", "class": 1}), "1.png": b""},
        {},
        "a.manifest:1 names s3://data/pets/test/1.png, which is empty",
    ),
    "a manifest's two labels": (
        {"a.manifest": json_lines({"source": "x", "a": 1, "b": 2})},
        {},
        "a.manifest:1 has 2 attributes (a, b); write evaluate.label: <attribute>",
    ),
    "a manifest's position": (
        {"a.manifest": json_lines({"source": "x", "a": 1})},
        {"label": 1},
        "evaluate.label is 1, a position, but the files are manifest; write a name",
    ),
}
GROUPS = {"text": ENCODINGS, "file": OTHER_FILES, "table": TABLES, "label": LABELS, "JSON": JSON}
CASES = {f"{group}: {what}": row for group, rows in GROUPS.items() for what, row in rows.items()}


@pytest.mark.parametrize("case", CASES)
def test_is_refused_before_anything_is_trained(case: str) -> None:
    files, asked, sentence = CASES[case]
    assert refusal(files, **asked).startswith(sentence)


RIGHT: dict[str, tuple[Files, dict[str, Any], int]] = {
    "pandas' numbered header": ({"a.csv": "0,1\na,2\nb,3\n"}, {"header": True}, 2),
    "a quotation mark within a line": ({"a.csv": 'a,5" pipe\nb,"six"\n'}, {}, 2),
    "a closed quotation mark at the end": ({"a.csv": 'a,1\nb,"2\n3"'}, {}, 2),
    "classes called none": ({"a.csv": "1,a\nnone,b\n"}, {}, 2),
    "semicolons within a text": ({"a.csv": "a,1;2\nb,3;4\n"}, {}, 2),
    "a participant's number": ({"a.csv": "PAR1,2\nPAR2,3\n"}, {}, 2),
    "the same error everywhere": (
        {"a.csv": "2,a\n2,b\n"},
        {"metric": "neg_mean_absolute_error", "needs": "numbers"},
        2,
    ),
    "a gzipped manifest": ({"a.manifest.gz": gzip.compress(b'{"source": "x", "class": 1}\n')}, {}, 1),
    "a manifest called JSON lines": ({"a.jsonl": json_lines({"source": "x", "class": 1})}, {"format": "manifest"}, 1),
    "one example": ({"a.csv": "a,1\n"}, {}, 1),
}


@pytest.mark.parametrize("case", RIGHT)
def test_what_may_be_right_is_not_refused(case: str) -> None:
    files, asked, examples = RIGHT[case]
    assert look(files, **asked)["examples"] == examples
