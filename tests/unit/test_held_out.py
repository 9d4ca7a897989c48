"""The held-out files' kinds, how the evaluation job is told to read them, and CSV's own text."""

from __future__ import annotations

import argparse
import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import held_out
from contract.held_out import Reading
from contract.held_out_tables import csv_fields, csv_lines, csv_text


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.csv", "csv"),
        ("A.CSV", "csv"),
        ("a.csv.gz", "csv"),
        ("a.tsv", "tsv"),
        ("a.NDJSON.GZ", "jsonlines"),
        ("part-0.snappy.parquet", "parquet"),
        ("a.npz", "npz"),
        ("cat/1.JPeG", "images"),
        ("a.manifest", "manifest"),
        ("a.parquet.gz", None),
        ("1.png.gz", None),
        ("a.gz", None),
        ("csv", None),
        ("a.txt", None),
    ],
)
def test_an_ending_tells_the_kind(name: str, kind: str | None) -> None:
    assert held_out.kind(name) == kind


@pytest.mark.parametrize(
    "reading",
    [
        Reading(),
        Reading(label=3, header=False, format="csv"),
        Reading(label="-dash", header=True),
        Reading(label="0", format="npz"),
        Reading(segment=0),
        Reading(label=("price", 3, "days, ça")),
        Reading(label=1, segment="-region", any_label=True),
    ],
)
def test_what_the_job_is_told_is_what_it_reads_by(reading: Reading) -> None:
    parser = argparse.ArgumentParser()
    for name, kind in {"label": int, "label-name": str, "header": str, "format": str, "segment": int}.items():
        parser.add_argument(f"--{name}", type=kind, default=0 if name == "label" else None)
    parser.add_argument("--segment-name")
    parser.add_argument("--labels")
    parser.add_argument("--any-label", action="store_true")
    again = held_out.from_arguments(parser.parse_args(held_out.arguments(reading)))
    assert again == reading


@pytest.mark.parametrize(
    ("source", "defined"),
    [
        ("def heldout_fn(folder): ...", True),
        ("from sounds import heldout_fn", True),
        ("from sounds import examples as heldout_fn", True),
        ("heldout_fn = make()", True),
        ("# def heldout_fn(folder)", False),
        ("def other():\n    def heldout_fn(): ...", False),
        ("def broken(", False),
    ],
)
def test_a_function_that_reads_is_found_without_running_serve_py(source: str, defined: bool) -> None:
    assert held_out.defines_reader(source) is defined


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=2))
def test_any_row_is_read_as_it_was_written(fields: list[str]) -> None:
    text = csv_text(fields)
    assert next(csv.reader(io.StringIO(text, newline=""))) == fields
    assert csv_fields(text) == fields


def test_records_over_several_lines_are_one() -> None:
    assert csv_lines('"a\nb"\nc\n\n"d, ""e"""\n') == ['"a\nb"', "c", '"d, ""e"""']
