"""A look into the held-out data before anything is trained: what can be known of them now isn't refused after an hour.

Of text at most beginnings.MAXIMUM_BYTES of at most MAXIMUM_FILES files are read, the first ones; of Parquet the
footers, which name the columns; of npz the shapes of the arrays, and the labels where they are few; of images their
names, which are their labels, and whether a few begin as images do. What heldout_fn of serve.py reads is left to the
evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from contract import (
    held_out,
    held_out_bytes,
    held_out_columns,
    held_out_labels,
    held_out_lines,
    held_out_requests,
    held_out_tables,
)
from contract.held_out import HeldOutError, Reading
from contract.held_out_labels import Label
from planner import beginnings, npz_headers, parquet_footer, training_classes
from planner.beginnings import File, Reader, Text
from planner.data import Channel, DataObject
from planner.training_classes import HeldOut

# Several requests a file.
MAXIMUM_ARCHIVES = 8
# The first image of each of so many classes.
MAXIMUM_IMAGES = 8


class HeldOutDataError(ValueError):
    """The held-out data can't be judged by as pipeline.yaml says."""


@dataclass(frozen=True)
class Found:
    """The files, as far as they were seen.

    columns: a table's names, or how many they are; None for what has none.
    looked: how many files were looked into; whole: whether these are all labels.
    """

    labels: Sequence[Label]
    looked: int
    whole: bool
    columns: object = None


def look(channel: Channel, asked: Mapping[str, Any], read: Reader, training: Iterable[Channel] = ()) -> dict[str, Any]:
    """Describes the held-out data: {"format", "files", "looked_into", "examples", "whole"}, of what was looked into.

    Args:
        asked: `evaluate` of pipeline.yaml as far as it tells how to read, {"metric", "needs"} of its gate, and
            "over_http": true where models are asked a line an example.
        training: the channels that training sees, for the classes that they have.

    Raises:
        HeldOutDataError: they can't be read so, or the gate's metric can't judge by their labels.
    """
    try:
        return _look(channel, asked, read, training)
    except HeldOutError as error:
        raise HeldOutDataError(f"the held-out data (s3://{channel.bucket}/{channel.prefix}): {error}") from error


def _look(channel: Channel, asked: Mapping[str, Any], read: Reader, training: Iterable[Channel]) -> dict[str, Any]:
    how = held_out.from_document(asked)
    objects = {entry.key[len(channel.prefix) :]: entry for entry in channel.objects}
    names = held_out.data_files(objects)
    if not names:
        raise HeldOutError("there is no file but hidden ones")
    format_ = held_out.format_of(names, how.format)
    held_out.check_asked(how, format_)
    files = [(name, objects[name]) for name in held_out.files_of(names, format_)]
    if asked.get("over_http"):
        held_out_requests.check_format(format_)
        for name, entry in files:
            held_out_requests.check_size(name, entry.size)
    found = _LOOKS[format_](files, how, read, channel)
    if found.whole and not found.labels:
        raise HeldOutError(f"no example in {held_out.some([name for name, _ in files])}")
    wrong = held_out_labels.unsuited(asked["metric"], asked["needs"], found.labels, whole=found.whole)
    if wrong:
        raise HeldOutError(f"gate.metric {wrong}")
    if asked["needs"] in held_out_labels.OF_CLASSES and found.labels:
        training_classes.check(HeldOut(found.labels, found.columns, format_, how), training, read)
    told = {"looked_into": found.looked, "examples": len(found.labels), "whole": found.whole}
    return {"format": format_, "files": len(files), **told}


def _tables(files: Sequence[File], how: Reading, read: Reader, _channel: Channel, format_: str) -> Found:
    texts = list(beginnings.texts(files, read))
    found = [held_out_tables.read(text.lines, text.name, how, format_, whole=text.whole) for text in texts]
    tables = [table for table in found if table]
    for table in tables[1:]:
        held_out_tables.check_alike(tables[0], table)
    labels = [Label(row.place, row.label) for table in tables for row in table.rows]
    columns = (tables[0].columns or tables[0].width) if tables else None
    return Found(labels, len(texts), _are_whole(texts, files), columns)


def _json_lines(files: Sequence[File], how: Reading, read: Reader, _channel: Channel) -> Found:
    texts = list(beginnings.texts(files, read))
    lines = [line for text in texts for line in held_out_lines.read(text.lines, text.name, how, whole=text.whole)]
    return Found([Label(line.place, line.label) for line in lines], len(texts), _are_whole(texts, files))


def _manifests(files: Sequence[File], how: Reading, read: Reader, channel: Channel) -> Found:
    texts = list(beginnings.texts(files, read))
    entries = [
        entry for text in texts for entry in held_out_lines.read_manifest(text.lines, text.name, how, whole=text.whole)
    ]
    _check_references(entries, channel)
    return Found([Label(entry.place, entry.label) for entry in entries], len(texts), _are_whole(texts, files))


def _are_whole(texts: Sequence[Text], files: Sequence[File]) -> bool:
    return len(texts) == len(files) and all(text.whole for text in texts)


def _check_references(entries: Sequence[held_out_lines.Entry], channel: Channel) -> None:
    """Evaluation sees the held-out channel alone, so what a manifest names must lie there."""
    there = {f"s3://{channel.bucket}/{entry.key}": entry for entry in channel.objects}
    for entry in entries:
        if entry.kind == held_out_lines.REFERENCE and entry.value not in there:
            whole = "" if "://" in entry.value else f"; write the whole URI: s3://{channel.bucket}/{channel.prefix}…"
            raise HeldOutError(f"{entry.place} names {entry.value}, which isn't among the channel's objects{whole}")
        if entry.kind == held_out_lines.REFERENCE and not there[entry.value].size:
            raise HeldOutError(f"{entry.place} names {entry.value}, which is empty")


def _parquet(files: Sequence[File], how: Reading, read: Reader, _channel: Channel) -> Found:
    first: list[str] = []
    rows = 0
    footers = [
        (name, parquet_footer.read(name, entry.size, _part(entry, read)))
        for name, entry in files[: beginnings.MAXIMUM_FILES]
    ]
    known = [(name, footer) for name, footer in footers if footer]
    for name, footer in known:
        columns = held_out_columns.without_index(footer.columns)
        first = first or columns
        held_out_columns.check_same(known[0][0], first, name, columns)
        labels = held_out_columns.labels_of(name, columns, how)
        held_out_columns.segment_of(name, columns, how, labels)
        judged = [columns[label] for label in labels]
        _refuse_nested(name, [column for column in footer.nested if not (how.any_label and column in judged)], judged)
        rows += footer.rows
    if not rows and len(known) == len(files):
        raise HeldOutError(f"no example in {held_out.some([name for name, _ in files])}")
    return Found([], len(known), whole=False)


def _refuse_nested(name: str, nested: Sequence[str], labels: Sequence[str]) -> None:
    """The model is asked in CSV, one column a field."""
    if nested:
        what = "the label" if nested[0] in labels else "a column"
        raise HeldOutError(
            f"{name}: {nested[0]!r}, {what}, holds lists or structs, which no CSV row can hold; "
            f"write a column for each value, or {held_out.READER} in serve.py"
        )


def _npz(files: Sequence[File], how: Reading, read: Reader, _channel: Channel) -> Found:
    labels: list[Label] = []
    whole = len(files) <= MAXIMUM_ARCHIVES
    for name, entry in files[:MAXIMUM_ARCHIVES]:
        found, complete = npz_headers.labels(name, entry.size, _part(entry, read), how)
        labels, whole = [*labels, *found], whole and complete
    return Found(labels, min(len(files), MAXIMUM_ARCHIVES), whole)


def _images(files: Sequence[File], _how: Reading, read: Reader, _channel: Channel) -> Found:
    labels = [Label(name, held_out.image_class(name)) for name, _ in files]
    empty = next((name for name, entry in files if not entry.size), None)
    if empty:
        raise HeldOutError(f"{empty} is empty")
    seen = {held_out.image_class(name): (name, entry) for name, entry in reversed(files)}
    chosen = sorted(seen.values())[:MAXIMUM_IMAGES]
    for name, entry in chosen:
        wrong = held_out_bytes.no_image(name, beginnings.beginning(entry, held_out_bytes.ENOUGH, read))
        if wrong:
            raise HeldOutError(wrong)
    return Found(labels, len(chosen), whole=True)


def _part(entry: DataObject, read: Reader) -> Callable[[int, int], bytes]:
    return partial(read, entry.key)


_LOOKS: dict[str, Callable[[Sequence[File], Reading, Reader, Channel], Found]] = {
    held_out.CSV: partial(_tables, format_=held_out.CSV),
    held_out.TSV: partial(_tables, format_=held_out.TSV),
    held_out.JSON_LINES: _json_lines,
    held_out.MANIFEST: _manifests,
    held_out.PARQUET: _parquet,
    held_out.NPZ: _npz,
    held_out.IMAGES: _images,
}
