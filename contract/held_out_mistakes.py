"""The mistakes that tables are made with most: other separators, quotation marks that nothing closes."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence

from contract.held_out import CSV, TSV, HeldOutError
from contract.suggestions import near

_MARKS = {CSV: "commas between the columns", TSV: "tabs between the columns"}


class _Strict(csv.excel):
    strict = True


def separated(fields: Sequence[str], format_: str) -> str:
    """By which mark the columns are separated, it seems, if not by the format's own; in words, or nothing."""
    rivals = {",": f"write evaluate.format: {CSV}, or the file with tabs"} if format_ == TSV else {}
    rivals.update(dict.fromkeys(";|", f"write {_MARKS[format_]}"))
    if format_ == CSV:
        rivals["\t"] = f"write evaluate.format: {TSV}, and end the name in .tsv"
    mark = next((mark for mark in rivals if any(mark in field for field in fields)), None)
    return f" (is {mark!r} what separates them? Then {rivals[mark]})" if mark else ""


def lines_within(fields: Sequence[str]) -> str:
    """That a field goes over several lines, in words, or nothing."""
    breaks = max(field.count("\n") for field in fields)
    return f" (one of them goes over {breaks + 1} lines: is its quotation mark closed?)" if breaks else ""


def refuse_semicolons(records: Sequence[tuple[str, list[str]]], label: int, format_: str) -> None:
    """Raises HeldOutError for numbers with decimal commas between semicolons, which commas cut into columns, too."""
    rows = [fields for _, fields in records[1:]]
    if rows and all(";" in fields[label] and _are_numbers(",".join(fields).replace(",", ".")) for fields in rows):
        place = records[1][0]
        raise HeldOutError(
            f"{place} has ';' between its columns and decimal commas, it seems ({','.join(rows[0])[:60]!r}); "
            f"write {_MARKS[format_]} and decimal points"
        )


def refuse_quotation(place: str, record: Sequence[str], delimiter: str, *, last: bool) -> None:
    """Raises HeldOutError where a record goes on over lines because a quotation mark isn't closed where it should be.

    Args:
        record: its lines. Within a line the csv module's leniency does no harm.
        last: whether the file ends with it.
    """
    if len(record) == 1 and not last:
        return
    try:
        list(csv.reader(record, _Strict, delimiter=delimiter))
    except csv.Error as error:
        if len(record) > 1 or str(error) == "unexpected end of data":
            raise HeldOutError(
                f"{place}: a quotation mark opens a field that is not closed before a separator or the line's end; "
                "within a quoted field it is written twice"
            ) from error


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean …?`, or nothing."""
    meant = near(name, known)
    return f"; did you mean {meant!r}?" if meant else ""


def _are_numbers(text: str) -> bool:
    return all(is_number(part) for part in text.split(";"))
