"""Held-out CSV, TSV and JSON lines, gzipped or not, as requests: the row or the line without its label."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from contract import held_out, held_out_lines, held_out_tables
from contract.held_out import Reading
from contract.held_out_tables import Table
from toolkit.heldout.example import CSV, JSON_LINES, DataError, Example


def read_csv(folder: Path, files: Sequence[str], how: Reading) -> tuple[list[Example], str]:
    """Rows of CSV."""
    return _read_tables(folder, files, how, held_out.CSV)


def read_tsv(folder: Path, files: Sequence[str], how: Reading) -> tuple[list[Example], str]:
    """Rows of TSV; the model is asked in CSV."""
    return _read_tables(folder, files, how, held_out.TSV)


def _read_tables(folder: Path, files: Sequence[str], how: Reading, format_: str) -> tuple[list[Example], str]:
    tables = [table for table in (_table(folder, name, how, format_) for name in files) if table]
    for table in tables[1:]:
        held_out_tables.check_alike(tables[0], table)
    examples = [
        Example(row.place, held_out_tables.csv_text(row.fields), CSV, row.label, segment=row.segment)
        for table in tables
        for row in table.rows
    ]
    return examples, _told(tables[0], how) if tables else ""


def read_json_lines(folder: Path, files: Sequence[str], how: Reading) -> tuple[list[Example], str]:
    """A document a line; the model is asked in JSON lines, too."""
    examples = []
    for name in files:
        with opened(folder / name, name) as lines:
            for line in held_out_lines.read(lines, name, how):
                body = json.dumps(line.document, ensure_ascii=False)
                examples.append(Example(line.place, body, JSON_LINES, line.label, segment=line.segment))
    keys = " and ".join(repr(held_out_lines.LABEL if label == 0 else label) for label in how.labels)
    return examples, f"the label under {keys} (in lists at {how.label!r})"


@contextmanager
def opened(path: Path, name: str) -> Iterator[TextIO]:
    """A text file, gzipped or not, in UTF-8 with or without a mark, its line ends as they are."""
    try:
        # newline="" is what the csv module asks for; -sig drops the mark that spreadsheets put at the start.
        if held_out.is_zipped(name):
            with gzip.open(path, "rt", newline="", encoding="utf-8-sig") as lines:
                yield lines
        else:
            with path.open(newline="", encoding="utf-8-sig") as lines:
                yield lines
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{name} is not gzipped, or cut off: {error}") from error


def told_columns(columns: Sequence[str], labels: Sequence[int]) -> str:
    """The columns and the label's, in words."""
    named = " and ".join(f"{columns[label]!r}, {label + 1} of {len(columns)}" for label in labels)
    return f"the columns {', '.join(columns)[:400]}; the label is {named}"


def _table(folder: Path, name: str, how: Reading, format_: str) -> Table | None:
    with opened(folder / name, name) as lines:
        return held_out_tables.read(lines, name, how, format_)


def _told(table: Table, how: Reading) -> str:
    if table.columns is None:
        return f"no header, the label in column {' and '.join(map(str, table.labels))} of 0 to {table.width - 1}"
    named = "the label's" if any(isinstance(label, str) for label in how.labels) else "gate.segments'"
    why = "evaluate.header" if how.header else f"{named} name"
    return f"a header (by {why}) with {told_columns(table.columns, table.labels)}"
