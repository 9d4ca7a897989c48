"""Held-out files as requests to a model behind HTTP: rows without their labels, a line each, in files of many lines.

A batch transform sends them, which splits a file at its line ends and knows neither headers nor labels. So the rows are
written anew: which kinds of files can be, the names of the parts, and what stands in them is said here, for who writes
them, who looks at the data before, and who pairs the answers with the labels.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from contract import held_out_lines, held_out_tables
from contract.held_out import CSV, JSON_LINES, TSV, HeldOutError, Reading

# The formats whose examples are lines of text, and how a model is asked them.
CONTENT_TYPES = {CSV: "text/csv", TSV: "text/csv", JSON_LINES: "application/jsonlines"}
_ENDINGS = {"text/csv": ".csv", "application/jsonlines": ".jsonl"}
# Of one part: a sentence about an answer names the rows that were asked with it, and one that fails costs no others.
ROWS = 5000
# What one request may have (CreateTransformJob, MaxPayloadInMB: 6 unless it is said).
MOST_BYTES = 6 << 20
# A file is read as a whole by a function, whose memory it takes many times its size of.
MOST_FILE_BYTES = 128 << 20


@dataclass(frozen=True)
class Request:
    """One example as it is asked: where it stands (file:line), and its line."""

    place: str
    line: str


def check_format(format_: str) -> None:
    """Raises HeldOutError for a kind of file that can't be asked a line an example."""
    if format_ not in CONTENT_TYPES:
        known = ", ".join(CONTENT_TYPES)
        raise HeldOutError(
            f"the held-out files are {format_}, but the models of an image of your own are asked over HTTP, an "
            f"example a line; write them as one of {known}"
        )


def check_size(name: str, size: int) -> None:
    """Raises HeldOutError for a file that is too large to be read as a whole."""
    if size > MOST_FILE_BYTES:
        raise HeldOutError(
            f"{name} has more than {MOST_FILE_BYTES >> 20} MiB, which is the most that a file whose rows are asked "
            "over HTTP may have; divide it into several"
        )


def requests(lines: Iterable[str], name: str, how: Reading, format_: str) -> Iterator[Request]:
    """A file's examples as they are asked, in their order.

    Raises:
        HeldOutError: it can't be read so, or has an example that is no line, or one too long for a request.
    """
    for request in _requests(lines, name, how, format_):
        if _size(request) >= MOST_BYTES:
            raise HeldOutError(f"{request.place} is longer than the {MOST_BYTES >> 20} MiB that a request may have")
        yield request


def _size(request: Request) -> int:
    """How many bytes a request's line has."""
    try:
        return len(request.line.encode())
    except UnicodeEncodeError as error:
        # As JSON can write it: "\ud83d" without the other half.
        raise HeldOutError(f"{request.place} holds half of a character, which is no text in UTF-8: {error}") from error


def _requests(lines: Iterable[str], name: str, how: Reading, format_: str) -> Iterator[Request]:
    if format_ == JSON_LINES:
        for line in held_out_lines.read(lines, name, how):
            yield Request(line.place, json.dumps(line.document, ensure_ascii=False))
        return
    table = held_out_tables.read(lines, name, how, format_)
    for row in table.rows if table else ():
        text = held_out_tables.csv_text(row.fields)
        if "\n" in text or "\r" in text:
            raise HeldOutError(
                f"{row.place} has a line break in a field, at which a batch transform would split the row; write JSON "
                "lines, where it is \\n"
            )
        yield Request(row.place, text)


def part(number: int, content_type: str) -> str:
    """The name of a file of requests."""
    return f"part-{number:05d}{_ENDINGS[content_type]}"
