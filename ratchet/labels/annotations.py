"""Annotations as files: CSV with a header, or JSON lines; of each line an item, who has labelled it, and as what."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from contract.suggestions import near
from ratchet.errors import UserError
from ratchet.labels.consolidation import Annotation

COLUMNS = ("item", "annotator", "label")
_CSV, _JSON_LINES = (".csv",), (".jsonl", ".jsonlines", ".ndjson")


def read(path: Path) -> list[Annotation]:
    """A file's annotations, in their order.

    Raises:
        UserError: it can't be read, a line lacks something, or an annotator has labelled an item twice.
    """
    found: list[Annotation] = []
    places: dict[tuple[str, str], str] = {}
    for place, annotation in _annotations(path):
        key = annotation.item, annotation.annotator
        if key in places:
            told = f"{annotation.annotator!r} labels {annotation.item[:60]!r}, as in {places[key]}"
            raise UserError(f"{place}: {told}; an annotator's word counts once: leave one of the lines out")
        places[key] = place
        found.append(annotation)
    if not found:
        raise UserError(f"{path} holds no annotation; a line is an item, an annotator and a label")
    names = {annotation.annotator for annotation in found}
    if len(names) == 1:
        raise UserError(f"all annotations of {path} are {names.pop()!r}'s: there is nothing to consolidate")
    if len({annotation.label for annotation in found}) == 1:
        raise UserError(f"all annotations of {path} are {found[0].label!r}: one class alone tells no annotators apart")
    return found


def _annotations(path: Path) -> Iterator[tuple[str, Annotation]]:
    ending = path.suffix.lower()
    if ending not in (*_CSV, *_JSON_LINES):
        raise UserError(f"{path}: annotations are CSV (.csv) or JSON lines (.jsonl), with {', '.join(COLUMNS)}")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no text in UTF-8: {error}") from error
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}") from error
    lines = _of_csv(path, text) if ending in _CSV else _of_json_lines(path, text)
    return ((place, _annotation(place, values)) for place, values in lines)


def _of_csv(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: list[str] = []
    try:
        for fields in filter(None, reader):
            place = f"{path}:{reader.line_num}"
            if not columns:
                columns = [field.strip() for field in fields]
                _check_columns(place, columns)
            elif len(fields) != len(columns):
                raise UserError(f"{place} has {len(fields)} columns, but the header has {len(columns)}")
            else:
                yield place, dict(zip(columns, fields, strict=True))
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num} is no CSV: {error}") from error


def _check_columns(place: str, columns: list[str]) -> None:
    for name in COLUMNS:
        if columns.count(name) != 1:
            meant = near(name, [column for column in columns if column not in COLUMNS])
            hint = f"; is it {meant!r}? Call it {name}" if meant else f"; the first line names {', '.join(COLUMNS)}"
            raise UserError(
                f"{place} has {columns.count(name) or 'no'} column {name!r}, only {', '.join(columns)[:200]}{hint}"
            )


def _of_json_lines(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            document = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{place} is no JSON: {error}") from error
        if not isinstance(document, dict):
            raise UserError(f"{place} is no JSON object; a line is {{{', '.join(COLUMNS)}}}")
        yield place, document


def _annotation(place: str, values: Mapping[str, Any]) -> Annotation:
    said = []
    for name in COLUMNS:
        value = values.get(name)
        if not isinstance(value, (str, int, float)) or isinstance(value, bool):
            told = "is missing" if value is None else f"is {json.dumps(value)[:60]}, no text and no number"
            raise UserError(f"{place}: {name} {told}")
        text = str(value).strip()
        if not text:
            raise UserError(f"{place}: {name} is empty; leave the line out where somebody hasn't labelled an item")
        said.append(text)
    return Annotation(*said)
