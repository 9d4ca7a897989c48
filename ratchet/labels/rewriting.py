"""A file with other labels: the lines that are corrected are written anew, all others stay as they are to the byte."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contract import held_out, held_out_lines, held_out_tables
from contract.held_out import HeldOutError, Reading
from contract.manifests import METADATA, metadata_of
from ratchet.errors import UserError
from ratchet.labels import ground_truth
from ratchet.labels.corrections import Correction

# Those whose lines are text.
FORMATS = held_out.TEXTS
_MARK = b"\xef\xbb\xbf"

# By the line in which an example begins, from 1 on.
ByLine = Mapping[int, Correction]


@dataclass(frozen=True)
class Stamp:
    """Whose correction it is and of when, as a manifest tells."""

    job: str
    at: datetime


@dataclass(frozen=True)
class File:
    """A file's name in its channel, its format, and how it was read."""

    name: str
    format: str
    how: Reading

    @property
    def is_table(self) -> bool:
        return self.format in held_out.TABLES

    @property
    def delimiter(self) -> str:
        return "\t" if self.format == held_out.TSV else ","


@dataclass(frozen=True)
class _Part:
    """Lines of a file that are one example: where they begin, as they are, and what they say."""

    line: int
    raw: str
    said: Any


# An example's label, and what writes the example with another.
_Label = tuple[str, Callable[[str], str]]


def rewritten(file: File, content: bytes, changes: ByLine, stamp: Stamp) -> bytes:
    """A file's content with its corrections, gzipped if it was.

    Raises:
        UserError: the file can't be read as it was audited, or isn't as it was: a line has another label, or is none.
    """
    zipped = held_out.is_zipped(file.name)
    try:
        whole = gzip.decompress(content) if zipped else content
        changed = _written(file, whole.decode("utf-8-sig"), changes, stamp).encode()
    except (HeldOutError, EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as error:
        raise UserError(f"{file.name} can't be read as it was audited: {error}") from error
    marked = _MARK + changed if whole.startswith(_MARK) else changed
    return gzip.compress(marked, mtime=0) if zipped else marked


def _written(file: File, text: str, changes: ByLine, stamp: Stamp) -> str:
    parts = list(_rows(file, text) if file.is_table else _documents(file, text))
    begun = {part.line for part in parts if part.said}
    for line in changes:
        if line not in begun:
            raise UserError(f"{file.name}:{line} is no example: the file has changed; audit the channel again")
    label_of = _finder(file, text, parts, stamp)
    return "".join(
        part.raw if part.line not in changes else _corrected(file, part, changes[part.line], label_of(part))
        for part in parts
    )


def _corrected(file: File, part: _Part, correction: Correction, label: _Label) -> str:
    found, write = label
    if found != correction.given:
        told = f"{file.name}:{part.line} is labelled {found!r}, not {correction.given!r} as when it was audited"
        raise UserError(f"{told}; audit the channel again")
    end = part.raw[len(part.raw.rstrip("\r\n")) :]
    return "" if correction.label is None else write(correction.label) + end


def _lines(text: str) -> io.StringIO:
    """A text's lines as the readers of held-out files see them: with their ends, at line feeds and carriage returns."""
    return io.StringIO(text, newline="")


def _rows(file: File, text: str) -> Iterator[_Part]:
    """The records of a table: lines, of which a quoted field may take several, and empty ones."""
    taken: list[str] = []
    reader = csv.reader(_kept(_lines(text), taken), delimiter=file.delimiter)
    try:
        for fields in reader:
            yield _Part(reader.line_num - len(taken) + 1, "".join(taken), fields)
            taken.clear()
    except csv.Error as error:
        raise UserError(f"{file.name}:{reader.line_num} is no {file.format.upper()} text: {error}") from error


def _kept(lines: Iterable[str], taken: list[str]) -> Iterator[str]:
    for line in lines:
        taken.append(line)
        yield line


def _documents(file: File, text: str) -> Iterator[_Part]:
    for number, raw in enumerate(_lines(text), start=1):
        try:
            yield _Part(number, raw, json.loads(raw) if raw.strip() else None)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{file.name}:{number} is no JSON: {error}") from error


def _finder(file: File, text: str, parts: list[_Part], stamp: Stamp) -> Callable[[_Part], _Label]:
    """What finds an example's label, once the whole file has been read as it was audited."""
    if file.is_table:
        table = held_out_tables.read(_lines(text), file.name, file.how, file.format)
        (column,) = table.labels if table else (0,)
        return lambda part: _cell(part, column, file.delimiter)
    if file.format == held_out.JSON_LINES:
        held_out_lines.read(_lines(text), file.name, file.how)
        return lambda part: _key(part, file.how)
    held_out_lines.read_manifest(_lines(text), file.name, file.how)
    entries = [part.said for part in parts if part.said]
    attribute = _attribute(entries[0], file.how)
    told = metadata_of(attribute)
    class_names = {str(entry[attribute]): (entry.get(told) or {}).get("class-name") for entry in entries}
    return lambda part: _entry(part, attribute, class_names, stamp)


def _cell(part: _Part, column: int, delimiter: str) -> _Label:
    def write(label: str) -> str:
        fields, out = list(part.said), io.StringIO()
        fields[column] = label
        # The end of line is there to be cut off: it is what makes the csv module quote line breaks.
        csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerow(fields)
        return out.getvalue()[:-2]

    return part.said[column].strip(), write


def _key(part: _Part, how: Reading) -> _Label:
    """The label of a document: an object's under its key, a list's at its position."""
    key: Any = how.label if isinstance(part.said, list) or how.label != 0 else held_out_lines.LABEL

    def write(label: str) -> str:
        document = part.said.copy()
        document[key] = as_before(part.said[key], label)
        return json.dumps(document, ensure_ascii=False)

    return str(part.said[key]).strip(), write


def as_before(value: Any, label: str) -> Any:
    """A label of the kind that it had: true or false, a number, or a text."""
    if isinstance(value, bool) and label in ("True", "False"):
        return label == "True"
    for kind in (int, float) if isinstance(value, (int, float)) else ():
        try:
            return kind(label)
        except ValueError:
            continue
    return label


def _attribute(document: Mapping[str, Any], how: Reading) -> str:
    """The label's attribute in a manifest, as contract.held_out_lines finds it."""
    if isinstance(how.label, str):
        return how.label
    sources = (held_out_lines.REFERENCE, held_out_lines.SOURCE)
    return next(key for key in document if key not in sources and not key.endswith(METADATA))


def _entry(part: _Part, attribute: str, class_names: Mapping[str, str | None], stamp: Stamp) -> _Label:
    def write(label: str) -> str:
        told = metadata_of(attribute)
        name = class_names.get(label) or label
        said = ground_truth.metadata(name, confidence=1.0, job=stamp.job, human=True, at=stamp.at)
        document = {**part.said, attribute: as_before(part.said[attribute], label)}
        return json.dumps({**document, told: {**(part.said.get(told) or {}), **said}}, ensure_ascii=False)

    return str(part.said[attribute]).strip(), write
