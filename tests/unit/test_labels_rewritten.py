"""Files with other labels: of each kind, with every other byte as it was."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import held_out
from contract.held_out import Reading
from contract.held_out_tables import csv_text
from ratchet.errors import UserError
from ratchet.labels.corrections import Correction
from ratchet.labels.rewriting import File, Stamp, as_before, rewritten

STAMP = Stamp("ratchet-labels/20261127-101112-abcd", datetime(2026, 11, 27, 10, 11, 12, tzinfo=UTC))


def changed(text: str | bytes, file: File, **changes: tuple[str, str | None]) -> bytes:
    """line_2=("a", "b"): the example on line 2 is b, not a."""
    content = text.encode() if isinstance(text, str) else text
    by_line = {int(line.removeprefix("line_")): Correction(*change) for line, change in changes.items()}
    return rewritten(file, content, by_line, STAMP)


def test_a_table_with_a_header_a_mark_and_windows_lines() -> None:
    text = '\ufefftext,class\r\n"a, b",x\r\n\r\n"two\r\nlines",y\r\n"z ""q""",x'
    file = File("a.csv", held_out.CSV, Reading(label="class"))
    made = changed(text, file, line_2=("x", "y"), line_4=("y", "x"), line_6=("x", None))
    assert made.decode() == '\ufefftext,class\r\n"a, b",y\r\n\r\n"two\r\nlines",x\r\n'


def test_a_label_that_needs_quotes_gets_them() -> None:
    file = File("a.tsv", held_out.TSV, Reading(label=-1))
    assert changed("1\tx\n2\ty\n", file, line_2=("y", "a\tb")) == b'1\tx\n2\t"a\tb"\n'


def test_documents_keep_the_kind_of_their_label() -> None:
    text = '{"label": 3, "x": "ä\u2028b"}\n\n[1, 2]\n'
    file = File("a.jsonl", held_out.JSON_LINES, Reading())
    made = changed(text, file, line_1=("3", "5")).decode()
    assert made == '{"label": 5, "x": "ä\u2028b"}\n\n[1, 2]\n'
    lists = File("a.jsonl", held_out.JSON_LINES, Reading(label=-1))
    assert changed('[1, "a"]\n[2, "b"]', lists, line_2=("b", "a")) == b'[1, "a"]\n[2, "a"]'
    assert [as_before(old, "7") for old in (1, 1.5, "1", None)] == [7, 7, "7", "7"]
    assert as_before(True, "False") is False and as_before(2, "b") == "b"


def test_a_manifests_line_says_who_has_corrected_it() -> None:
    first = {
        "source-ref": "s3://b/1.png",
        "class": 0,
        "class-metadata": {"class-name": "cat", "confidence": 0.4, "own": 1},
    }
    second = {"source-ref": "s3://b/2.png", "class": 1, "class-metadata": {"class-name": "dog"}}
    text = f"{json.dumps(first)}\n{json.dumps(second)}\n"
    made = changed(text, File("a.manifest", held_out.MANIFEST, Reading()), line_1=("0", "1")).decode().splitlines()
    assert made[1] == json.dumps(second)
    line = json.loads(made[0])
    assert (line["source-ref"], line["class"]) == ("s3://b/1.png", 1)
    assert line["class-metadata"] == {
        "class-name": "dog",
        "confidence": 1.0,
        "own": 1,
        "job-name": STAMP.job,
        "human-annotated": "yes",
        "creation-date": "2026-11-27T10:11:12.000000",
    }


@pytest.mark.parametrize(
    ("text", "format_", "line", "message"),
    [
        ("a,1\nb,2,3\n", held_out.CSV, 1, "a.x can't be read as it was audited: a.x:2 has 3 columns"),
        ("a,1\n\nb,2\n", held_out.CSV, 2, "a.x:2 is no example"),
        ("label,n\na,1\n", held_out.CSV, 1, "looks like a header"),
        ('{"label": "a", "n": 1}\n{"n": 2}\n', held_out.JSON_LINES, 2, "a.x:2 has no label 'label'"),
        ('{"label": "a", "n": 1}\n{"label\n', held_out.JSON_LINES, 1, "a.x:2 is no JSON"),
        (b"a,1\n\xff,2\n", held_out.CSV, 1, "a.x can't be read as it was audited: 'utf-8' codec"),
    ],
)
def test_a_file_that_has_changed_is_refused_by_its_line(
    text: str | bytes, format_: str, line: int, message: str
) -> None:
    with pytest.raises(UserError) as refused:
        changed(text, File("a.x", format_, Reading()), **{f"line_{line}": ("a", "b")})
    assert message in str(refused.value)


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\ufeff"), min_size=1, max_size=12).filter(
    str.strip
)


@given(st.lists(st.tuples(st.sampled_from("ab"), WORDS), min_size=2, max_size=8), st.data())
def test_whatever_the_other_fields_hold_one_label_alone_changes(
    rows: list[tuple[str, str]], data: st.DataObject
) -> None:
    texts = [csv_text(row) + "\n" for row in rows]
    chosen = data.draw(st.integers(0, len(rows) - 1))
    line = 1 + sum(text.count("\n") for text in texts[:chosen])
    label = rows[chosen][0]
    file = File("a.csv", held_out.CSV, Reading(header=False))
    made = changed("".join(texts), file, **{f"line_{line}": (label, "c")}).decode()
    assert made == "".join([*texts[:chosen], csv_text(("c", rows[chosen][1])) + "\n", *texts[chosen + 1 :]])
