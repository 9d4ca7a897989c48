"""Held-out CSV and TSV: quoted fields with line breaks and commas, a header said or found, the label's column.

RFC 4180 as Python's csv module reads it, in UTF-8, with or without the mark that spreadsheets put at the start.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from contract import held_out_mistakes
from contract.held_out import TSV, HeldOutError, Reading, check_segments, joined, segment_name
from contract.held_out_mistakes import is_number, nearest

# A text may be longer than the csv module's 128 KiB.
_FIELD_LENGTH = 2**31 - 1
# What stands for "not there" in data, and never names a column.
_NO_VALUE = {"na", "n/a", "null", "none", "?", "-"}
_NAME_WORDS, _NAME_LENGTH = 3, 40


@dataclass(frozen=True)
class Row:
    """One example: where it begins (file:line), its fields without the label, its label, its segment if any."""

    place: str
    fields: tuple[str, ...]
    label: str
    segment: str | None = None


@dataclass(frozen=True)
class Table:
    """One file's examples. `columns` are its header's names, None without a header."""

    name: str
    columns: tuple[str, ...] | None
    width: int
    labels: tuple[int, ...]
    rows: tuple[Row, ...]


def csv_text(fields: Sequence[str]) -> str:
    """One line of CSV without its end; a field with a line break, comma or quotation mark is quoted."""
    out = io.StringIO()
    # The end of line is there to be cut off: it is what makes the csv module quote line breaks.
    csv.writer(out, lineterminator="\r\n").writerow(fields)
    return out.getvalue()[:-2]


def csv_fields(line: str) -> list[str]:
    """The fields of one record of CSV."""
    return next(csv.reader(io.StringIO(line, newline="")), [])


def csv_lines(text: str) -> list[str]:
    """The records of a CSV text, each as the lines that it takes: quoted fields may go over several."""
    lines = io.StringIO(text, newline="").readlines()
    reader = csv.reader(lines)
    found, last = [], 0
    for fields in reader:
        if fields:
            found.append("".join(lines[last : reader.line_num]).strip("\r\n"))
        last = reader.line_num
    return found


def read(lines: Iterable[str], name: str, how: Reading, format_: str, *, whole: bool = True) -> Table | None:
    """A file's table; None where it holds no line.

    Args:
        lines: its text, with line ends (opened with newline="").
        whole: whether it is all of the file's; else the last row, which may be cut off, is left out.

    Raises:
        HeldOutError: ragged rows, no such label, an empty one, or a header where none is said.
    """
    records = _records(lines, name, format_, whole=whole)
    if not records:
        return None
    columns = tuple(field.strip() for field in records[0][1]) if how.has_header else None
    _check_widths(records, format_)
    words = ("evaluate.label", "the label", "label column")
    labels = tuple(_column(records[0], label, columns, words) for label in how.labels)
    segment = _segment_column(records[0], how, columns, labels)
    held_out_mistakes.refuse_semicolons(records, labels[0], format_)
    if how.header is None and columns is None:
        _refuse_header(records, labels[0], format_)
    if how.header and columns:
        _refuse_example(records[0][0], columns)
    rows = tuple(_row(place, fields, labels, columns, segment) for place, fields in records[1 if columns else 0 :])
    check_segments(row.segment for row in rows if row.segment is not None)
    return Table(name, columns, len(records[0][1]), labels, rows)


def check_alike(first: Table, other: Table) -> None:
    """Raises HeldOutError unless two files have the same columns."""
    if first.columns is not None and other.columns is not None and first.columns != other.columns:
        told = [f"{table.name} has the columns {', '.join(table.columns or ())}" for table in (other, first)]
        raise HeldOutError(f"{told[0]}, but {told[1]}; all held-out files need the same, in the same order")
    if first.width != other.width:
        place, rival = (table.rows[0].place if table.rows else table.name for table in (other, first))
        counts = f"{place} has {other.width} columns, but {rival} has {first.width}"
        raise HeldOutError(f"{counts}; all held-out files need the same columns")


def _records(lines: Iterable[str], name: str, format_: str, *, whole: bool) -> list[tuple[str, list[str]]]:
    """(place, fields) of each record that isn't an empty line; without the last, which may be cut off, if not whole."""
    csv.field_size_limit(_FIELD_LENGTH)
    delimiter = "\t" if format_ == TSV else ","
    taken: list[str] = []
    reader = csv.reader(_kept(lines, taken), delimiter=delimiter)
    found: list[tuple[str, list[str]]] = []
    before: tuple[str, list[str]] | None = None
    try:
        for fields in reader:
            if before:
                held_out_mistakes.refuse_quotation(*before, delimiter, last=False)
            before = (f"{name}:{reader.line_num - len(taken) + 1}", list(taken))
            found += [(before[0], fields)] if fields else []
            taken.clear()
    except csv.Error as error:
        raise HeldOutError(f"{name}:{reader.line_num} is no {format_.upper()} text: {error}") from error
    except UnicodeDecodeError as error:
        raise HeldOutError(f"{name} is no {format_.upper()} text in UTF-8: {error}") from error
    if whole and before:
        held_out_mistakes.refuse_quotation(*before, delimiter, last=True)
    return found if whole else found[:-1]


def _kept(lines: Iterable[str], taken: list[str]) -> Iterator[str]:
    """The lines, each of which is kept in `taken` until it is cleared."""
    for line in lines:
        taken.append(line)
        yield line


def _check_widths(records: Sequence[tuple[str, list[str]]], format_: str) -> None:
    first, width = records[0][0], len(records[0][1])
    for place, fields in records:
        if len(fields) != width:
            hint = held_out_mistakes.separated(records[0][1], format_) or held_out_mistakes.lines_within(fields)
            raise HeldOutError(f"{place} has {_columns(len(fields))}, but {first} has {width}{hint}")
    if width == 1:
        hint = held_out_mistakes.separated(records[0][1], format_)
        raise HeldOutError(f"{first} has one column, the label; a model needs at least one more to be asked by{hint}")


def _columns(count: int) -> str:
    return f"{count} column{'' if count == 1 else 's'}"


def _column(
    first: tuple[str, list[str]], asked: int | str, columns: tuple[str, ...] | None, words: tuple[str, str, str]
) -> int:
    """A column's position. `words` name it in messages: the field of pipeline.yaml, it by its name, by its position."""
    place, width = first[0], len(first[1])
    field, named, placed = words
    if isinstance(asked, str):
        if columns is None:
            raise HeldOutError(f"{field} is {asked!r}, a name, but evaluate.header is false; write its position")
        found = [index for index, column in enumerate(columns) if column == asked]
        if len(found) != 1:
            there = f"is {len(found)} times" if found else "isn't"
            near = "" if found else nearest(asked, columns)
            raise HeldOutError(
                f"{named} {asked!r} {there} among the columns of {place}: {', '.join(columns)[:400]}{near}"
            )
        return found[0]
    if not -width <= asked < width:
        raise HeldOutError(f"{placed} {asked} is out of range: {place} has {width} columns (0 to {width - 1})")
    return asked % width


def _segment_column(
    first: tuple[str, list[str]], how: Reading, columns: tuple[str, ...] | None, labels: tuple[int, ...]
) -> int | None:
    if how.segment is None:
        return None
    found = _column(first, how.segment, columns, ("gate.segments.column",) * 3)
    if found in labels:
        raise HeldOutError(
            f"gate.segments.column {how.segment!r} is the label; for floors of classes write gate.classes"
        )
    return found


def _row(
    place: str, fields: list[str], labels: tuple[int, ...], columns: tuple[str, ...] | None, segment: int | None
) -> Row:
    for label in labels:
        if not fields[label].strip():
            told = f"column {label}" if columns is None else f"column {columns[label]!r}"
            raise HeldOutError(f"{place}: the label ({told}) is empty")
    part = None if segment is None else segment_name(fields[segment])
    asked = tuple(field for index, field in enumerate(fields) if index not in labels)
    return Row(place, asked, joined([fields[label].strip() for label in labels]), part)


def _refuse_example(place: str, names: Sequence[str]) -> None:
    """Raises HeldOutError where the header that is said is numbers, as no tool names columns: pandas counts them."""
    if all(map(is_number, names)) and (len(set(names)) < len(names) or not all(name.isdigit() for name in names)):
        raise HeldOutError(
            f"evaluate.header is true, but {place} looks like an example ({csv_text(names)[:200]!r}); "
            "leave header out, or write false"
        )


def _refuse_header(records: Sequence[tuple[str, list[str]]], label: int, format_: str) -> None:
    """Raises HeldOutError where the first line looks like a header and pipeline.yaml says nothing about one."""
    place, fields = records[0]
    rest = [record for _, record in records[1:]]
    if _could_be_names(fields) and (_over_numbers(rest) or _over_texts(fields[label], [row[label] for row in rest])):
        raise HeldOutError(
            f"{place} looks like a header ({csv_text(fields)[:200]!r}); write evaluate.header: true (then label may be "
            f"a name), or header: false if it is an example{held_out_mistakes.separated(fields, format_)}"
        )


def _could_be_names(fields: Sequence[str]) -> bool:
    """Short and different texts, none a number; one may be empty, as pandas' index has it."""
    names = [field.strip() for field in fields]
    return (
        len({name.lower() for name in names}) == len(names)
        and any(names)
        and not any(is_number(name) or name.lower() in _NO_VALUE for name in names)
        and all(len(name) <= _NAME_LENGTH and name.isprintable() for name in names)
        and all(len(re.findall(r"\w+", name)) <= _NAME_WORDS for name in names)
    )


def _over_numbers(rest: Sequence[Sequence[str]]) -> bool:
    return bool(rest) and any(map(is_number, rest[0]))


def _over_texts(first: str, labels: Sequence[str]) -> bool:
    """All is text: the first line's label is none of the others, of which each is there more than once."""
    counts = Counter(label.strip() for label in labels)
    return len(counts) > 1 and first.strip() not in counts and min(counts.values()) > 1
