"""Plan's look into the held-out data: what passes, and each wrong twin with the sentence that says what is right."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from held_out_bucket import PNG, Bucket, f1, look, r2, refusal
from planner.beginnings import BYTES_OF_ONE, MAXIMUM_BYTES, MAXIMUM_FILES
from planner.held_out_look import HeldOutDataError

ROWS = "a,1\nb,2\n"
# Rows with it are long, so that few make a file of which not all is read.
WIDE = "1" * 100


PASSES: dict[str, tuple[dict[str, str | bytes], dict[str, Any], tuple[str, int, bool]]] = {
    "CSV": ({"a.csv": ROWS, "deep/b.CSV": ROWS}, {}, ("csv", 4, True)),
    "CSV with a mark, quotes and line breaks": ({"a.csv": '\ufeffa,"x\ny, ""z"""\n'}, {}, ("csv", 1, True)),
    "a header said": ({"a.csv": "label,x\na,1\n"}, {"header": True}, ("csv", 1, True)),
    "a header denied": ({"a.csv": "label,x\na,1\n"}, {"header": False}, ("csv", 2, True)),
    "a label by name": ({"a.csv": "x,price\n1,3\n"}, r2(label="price"), ("csv", 1, True)),
    "TSV, gzipped": ({"a.tsv.gz": gzip.compress(b"a\t1\n")}, {}, ("tsv", 1, True)),
    "an ending that is explained": ({"part-0": ROWS}, {"format": "csv"}, ("csv", 2, True)),
    "an empty file beside another": ({"a.csv": ROWS, "b.csv": ""}, {}, ("csv", 2, True)),
    "JSON lines": ({"a.jsonl": '{"label": "a", "x": 1}\n'}, {}, ("jsonlines", 1, True)),
    "a manifest": (
        {"a.manifest": '{"source-ref": "s3://data/pets/test/1.png", "class": 1}\n', "1.png": "x"},
        {},
        ("manifest", 1, True),
    ),
    "images": ({"cat/1.png": PNG, "dog/2.jpg": b"\xff\xd8\xff"}, {}, ("images", 2, True)),
    "segments by name": (
        {"a.csv": "x,region,y\n1,n,a\n2,n,b\n"},
        {"label": "y", "segment": "region"},
        ("csv", 2, True),
    ),
    "segments by name, label by position": (
        {"a.csv": "y,region\na,n\nb,s\n"},
        {"segment": "region"},
        ("csv", 2, True),
    ),
    "segments by position": ({"a.csv": "a,1,n\nb,2,\n"}, {"segment": 2}, ("csv", 2, True)),
    "segments of JSON lines": (
        {"a.jsonl": '{"label": "a", "region": 1}\n'},
        {"segment": "region"},
        ("jsonlines", 1, True),
    ),
    "segments of lists": ({"a.jsonl": '["a", "n", 1]\n'}, {"segment": 1}, ("jsonlines", 1, True)),
    "segments of a manifest": (
        {"a.manifest": '{"source": "hi", "class": 1, "region": "n"}\n'},
        {"segment": "region"},
        ("manifest", 1, True),
    ),
    "several labels": (
        {"a.csv": "price,x,days\n1,2,3\n1.5,2,4\n"},
        r2(label=["price", "days"], any_label=True),
        ("csv", 2, True),
    ),
    "several labels of JSON lines": (
        {"a.jsonl": '{"a": 1, "b": 2, "x": 3}\n{"a": 2, "b": 2, "x": 3}\n'},
        r2(label=["a", "b"], any_label=True),
        ("jsonlines", 2, True),
    ),
    "lists of numbers": (
        {"a.jsonl": '{"label": [1, 2], "x": 3}\n{"label": [2, 3], "x": 3}\n'},
        r2(any_label=True),
        ("jsonlines", 2, True),
    ),
    "labels that are documents": (
        {"a.jsonl": '{"label": [{"box": [1, 2]}], "image": "x"}\n'},
        {"any_label": True, "metric": "my_metrics.map50", "needs": "any"},
        ("jsonlines", 1, True),
    ),
    "two classes": ({"a.csv": "0,a\n1,b\n"}, f1(), ("csv", 2, True)),
    "numbers": ({"a.csv": "1.5,a\n2,b\n"}, r2(), ("csv", 2, True)),
}


@pytest.mark.parametrize("case", PASSES)
def test_passes(case: str) -> None:
    files, asked, (format_, examples, whole) = PASSES[case]
    found = look(files, **asked)
    assert (found["format"], found["examples"], found["whole"]) == (format_, examples, whole)


REFUSED: dict[str, tuple[dict[str, str | bytes], dict[str, Any], str]] = {
    "several labels, one that isn't there": (
        {"a.csv": "price,x,day\n1,2,3\n"},
        r2(label=["price", "days"], any_label=True),
        "the label 'days' isn't among the columns of a.csv:1: price, x, day; did you mean 'day'?",
    ),
    "several labels, one empty": (
        {"a.csv": "1,2,3\n1,,3\n"},
        r2(label=[0, 1], any_label=True),
        "a.csv:2: the label (column 1) is empty",
    ),
    "several labels, one a word": (
        {"a.csv": "1,2,3\n1,few,3\n"},
        r2(label=[0, 1], any_label=True),
        "r2 needs numbers, as many for each example, but the label of a.csv:2 is '[1, \"few\"]'",
    ),
    "lists of different lengths": (
        {"a.jsonl": '{"label": [1, 2], "x": 3}\n{"label": [2], "x": 3}\n'},
        r2(any_label=True),
        "as many for each example, but the label of a.jsonl:2 is '[2]'",
    ),
    "an object for a number": (
        {"a.jsonl": '{"label": {"a": 1}, "x": 3}\n'},
        r2(any_label=True),
        "r2 needs numbers, but the label of a.jsonl:1 is '{\"a\": 1}'",
    ),
    "several labels of npz": (
        {"a.npz": "PK"},
        r2(label=["a", "b"], any_label=True),
        "evaluate.label is a list, but one array of npz holds all outputs; write its name",
    ),
    "segments of no such column": (
        {"a.csv": "y,rigion\na,n\n"},
        {"segment": "region"},
        "gate.segments.column 'region' isn't among the columns of a.csv:1: y, rigion",
    ),
    "segments of no such position": (
        {"a.csv": ROWS},
        {"segment": 2},
        "gate.segments.column 2 is out of range: a.csv:1 has 2 columns (0 to 1)",
    ),
    "segments by the label": (
        {"a.csv": "y,x\na,1\n"},
        {"segment": "y", "label": 0},
        "gate.segments.column 'y' is the label; for floors of classes write gate.classes",
    ),
    "segments of no such key": (
        {"a.jsonl": '{"label": "a", "x": 1}\n'},
        {"segment": "region"},
        "a.jsonl:1 has no 'region', the column of gate.segments, only label, x",
    ),
    "segments by the key of the label": (
        {"a.jsonl": '{"label": "a", "x": 1}\n'},
        {"segment": "label"},
        "a.jsonl:1: the column of gate.segments, 'label', is the label",
    ),
    "segments of a key that is a list": (
        {"a.jsonl": '{"label": "a", "x": [1]}\n'},
        {"segment": "x"},
        "a.jsonl:1: 'x', the column of gate.segments, is no text and no number",
    ),
    "segments of images": (
        {"cat/1.png": "x"},
        {"segment": "camera"},
        "gate.segments needs a column, and held-out files of images have none; leave it out",
    ),
    "segments without end": (
        {"a.csv": "".join(f"a,{number}\n" for number in range(101))},
        {"segment": 1},
        "the column of gate.segments has 101 different values (0, 1, 10 and 98 more); at most 100 are segments",
    ),
    "labels that are documents, for another metric": (
        {"a.jsonl": '{"label": [1], "x": 1}\n'},
        {},
        "a.jsonl:1: the label 'label' is a list; it must be a text or a number",
    ),
    "a header that isn't said": (
        {"a.csv": "label,x\na,1\n"},
        {},
        "a.csv:1 looks like a header ('label,x'); write evaluate.header: true",
    ),
    "a header over texts": (
        {"a.csv": "label,text\n" + "spam,buy now\nham,see you\n" * 2},
        {},
        "a.csv:1 looks like a header ('label,text')",
    ),
    "ragged rows": ({"a.csv": "a,1\nb,2,3\n"}, {}, "a.csv:2 has 3 columns, but a.csv:1 has 2"),
    "files of other widths": ({"a.csv": ROWS, "b.csv": "a,1,2\n"}, {}, "b.csv:1 has 3 columns, but a.csv:1 has 2"),
    "files of other headers": (
        {"a.csv": "y,x\na,1\n", "b.csv": "x,y\n1,a\n"},
        {"label": "y"},
        "b.csv has the columns x, y, but a.csv has the columns y, x",
    ),
    "no such column": (
        {"a.csv": "rooms,prize\n1,2\n"},
        {"label": "price"},
        "the label 'price' isn't among the columns of a.csv:1: rooms, prize",
    ),
    "no such position": (
        {"a.csv": ROWS},
        {"label": 2},
        "label column 2 is out of range: a.csv:1 has 2 columns (0 to 1)",
    ),
    "an empty label": ({"a.csv": "a,1\n,2\n"}, {}, "a.csv:2: the label (column 0) is empty"),
    "semicolons": ({"a.csv": "a;1\nb;2\n"}, {}, "a.csv:1 has one column, the label; a model needs at least one more"),
    "an unknown ending": (
        {"a.csv": ROWS, "sound.wav": "x"},
        {},
        "sound.wav: held-out files of an unknown kind; known are .csv .tsv",
    ),
    "two kinds": ({"a.csv": ROWS, "a.jsonl": "{}"}, {}, "held-out files of 2 kinds (a.csv, a.jsonl)"),
    "not what is said": ({"1.png": "x"}, {"format": "csv"}, "1.png: can't be csv, which evaluate.format says"),
    "hidden files alone": ({".DS_Store": "x"}, {}, "there is no file but hidden ones"),
    "nothing in the files": ({"a.csv": "\n", "b.csv": ""}, {}, "no example in a.csv, b.csv"),
    "a header and nothing more": ({"a.csv": "x,y\n"}, {"label": "y"}, "no example in a.csv"),
    "another encoding": (
        {"a.csv": "é,1\n".encode("latin-1")},
        {},
        "a.csv:1 is no text in UTF-8: the byte 0xe9 is 'é' in Latin-1; save the file as UTF-8",
    ),
    "no gzip": ({"a.csv.gz": ROWS}, {}, "a.csv.gz is not gzipped"),
    "no JSON": ({"a.jsonl": '{"label": 1, "x": 2}\n{"label"\n'}, {}, "a.jsonl:2 is no JSON"),
    "no label in an object": ({"a.jsonl": '{"x": 1}\n'}, {"label": "y"}, "a.jsonl:1 has no label 'y', only x"),
    "a manifest's missing object": (
        {"a.manifest": '{"source-ref": "s3://data/pets/train/1.png", "class": 1}\n'},
        {},
        "a.manifest:1 names s3://data/pets/train/1.png, which isn't among the channel's objects",
    ),
    "no manifest": ({"1.png": "x"}, {"format": "manifest"}, "no held-out file ends in .manifest or .jsonl"),
    "an image without a class": ({"1.png": "x"}, {}, "1.png lies in no folder"),
    "f1 of four classes": (
        {"a.csv": "a,1\nb,2\nc,1\nd,2\n"},
        f1(),
        "gate.metric f1 judges two classes, but the held-out labels are of 4 classes (a, b, c, d); use f1_macro",
    ),
    "f1 of images of three": (
        {"a/1.png": PNG, "b/1.png": PNG, "c/1.png": PNG},
        f1(),
        "the held-out labels are of 3 classes (a, b, c)",
    ),
    "f1 of words": (
        {"a.csv": ROWS},
        f1(),
        "gate.metric f1 is about the class 1, but the held-out labels are a, b; write 0",
    ),
    "f1 without a class 1": ({"a.csv": "0,1\n2,1\n"}, f1(), "about the class 1, but the held-out labels are 0, 2"),
    "r2 of words": (
        {"a.csv": ROWS},
        r2(),
        "gate.metric r2 needs numbers, but the label of a.csv:1 is 'a' (is evaluate.label",
    ),
    "accuracy of prices": (
        {"a.csv": "1.5,1\n2.5,2\n"},
        {"metric": "accuracy"},
        "gate.metric accuracy compares classes, but the label of a.csv:1 is 1.5; use r2 or",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    files, asked, sentence = REFUSED[case]
    assert sentence in refusal(files, **asked)


# ------------------------------------------------------------------------------------------------------------ bounds


def test_no_more_is_read_than_the_limit() -> None:
    """A long file is cut within a row, whose rest is nobody's business."""
    bucket = Bucket({"a.csv": 'a,"12345, 67\n8"\n' * 100_000})
    found = look(bucket)
    assert bucket.read == [("a.csv", MAXIMUM_BYTES)]
    assert (found["whole"], found["examples"]) == (False, MAXIMUM_BYTES // len('a,"12345, 67\n8"\n') - 1)


def test_of_many_files_the_first_ones_are_read_and_of_each_its_beginning() -> None:
    bucket = Bucket({f"{number:03}.csv": f"é,{WIDE}\n" * 1_000 for number in range(40)})
    found = look(bucket)
    assert [size for _, size in bucket.read] == [BYTES_OF_ONE] * (MAXIMUM_BYTES // BYTES_OF_ONE)
    assert (found["files"], found["looked_into"], found["whole"]) == (40, 16, False)


def test_of_very_many_small_files_only_the_first_ones_are_read() -> None:
    bucket = Bucket({f"{number:03}.csv": "a,1\n" for number in range(100)})
    assert look(bucket)["whole"] is False
    assert len(bucket.read) == MAXIMUM_FILES


def test_what_grows_when_it_is_unzipped_is_cut() -> None:
    found = look({"bomb.csv.gz": gzip.compress(f"a,{WIDE}\n".encode() * 200_000)})
    assert (found["whole"], found["examples"]) == (False, MAXIMUM_BYTES // len(f"a,{WIDE}\n"))


def test_what_more_labels_could_change_is_not_refused() -> None:
    """In a file that is cut off, a class 1 or a word may follow."""
    assert look({"a.csv": f"0,{WIDE}\n2,{WIDE}\n" * 10_000}, **f1())["whole"] is False
    assert look({"a.csv": f"1.5,{WIDE}\n" * 20_000})["whole"] is False
    with pytest.raises(HeldOutDataError, match="of more than two classes"):
        look({"a.csv": f"0,{WIDE}\n1,{WIDE}\n2,{WIDE}\n" * 10_000}, **f1())


def test_every_test_file_counts_for_unknown_endings_even_unread() -> None:
    files: dict[str, str | bytes] = {f"{number:03}.csv": f"a,{WIDE}\n" * 1_000 for number in range(40)}
    with pytest.raises(HeldOutDataError, match=r"zzz\.doc: held-out files of an unknown kind"):
        look({**files, "zzz.doc": "x"})


def test_a_metric_of_which_nothing_is_known_takes_any_labels() -> None:
    assert look({"a.csv": "1.5,1\n2.5,1\n"}, metric="my_metrics.map50", needs="any")["examples"] == 2


@pytest.mark.parametrize(
    ("kind", "name", "content"),
    [
        ("npz", "a.npz", "PK"),
        ("images", "cat/a.png", PNG),
        ("parquet", "a.parquet", "PAR1"),
        ("manifest", "a.manifest", "{}"),
    ],
)
def test_what_models_over_http_cannot_be_asked(kind: str, name: str, content: str | bytes) -> None:
    told = (
        f"the held-out files are {kind}, but the models of an image of your own are asked over HTTP, an example a line"
    )
    assert refusal({name: content}, over_http=True).startswith(told)


def test_lines_can_be_asked_over_http() -> None:
    assert look({"a.csv": ROWS}, over_http=True)["format"] == "csv"
