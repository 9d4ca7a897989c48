"""A look into the held-out data before anything is trained: what can be known of them now isn't refused after an hour.

Only text is looked into, and of it at most MAXIMUM_BYTES of at most MAXIMUM_FILES, the first ones; of images their
names, which are their labels. Parquet, npz and what serve.py reads itself are left to the evaluation.
"""

from __future__ import annotations

import codecs
import io
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract import held_out, held_out_labels, held_out_lines, held_out_tables
from contract.held_out import HeldOutError, Reading
from planner.data import Channel, DataObject

MAXIMUM_BYTES = 1 << 20
# Of many files each is read this far, so that more than one of them is seen.
BYTES_OF_ONE = 1 << 16
# Each is a request, about 20 ms.
MAXIMUM_FILES = 32

# (key, how many bytes) -> the object's first bytes
Reader = Callable[[str, int], bytes]


class HeldOutDataError(ValueError):
    """The held-out data can't be judged by as pipeline.yaml says."""


@dataclass(frozen=True)
class Text:
    """The beginning of a file, and whether it is the whole of it."""

    name: str
    text: str
    whole: bool

    @property
    def lines(self) -> Iterator[str]:
        return iter(io.StringIO(self.text, newline=""))


def look(channel: Channel, asked: Mapping[str, Any], read: Reader) -> dict[str, Any]:
    """What the held-out data are: {"format", "files", "looked_into", "examples", "whole"}, of what was looked into.

    Args:
        asked: `evaluate` of pipeline.yaml as far as it tells how to read, and {"metric", "needs"} of its gate.

    Raises:
        HeldOutDataError: they can't be read so, or the gate's metric can't judge by their labels.
    """
    try:
        return _look(channel, held_out.from_document(asked), asked, read)
    except HeldOutError as error:
        raise HeldOutDataError(f"the held-out data (s3://{channel.bucket}/{channel.prefix}): {error}") from error


def _look(channel: Channel, how: Reading, asked: Mapping[str, Any], read: Reader) -> dict[str, Any]:
    objects = {entry.key[len(channel.prefix) :]: entry for entry in channel.objects}
    names = held_out.data_files(objects)
    if not names:
        raise HeldOutError("there is no file but hidden ones")
    format_ = held_out.format_of(names, how.format)
    held_out.check_columns(format_, how)
    files = held_out.files_of(names, format_)
    labels: list[str] = []
    whole, looked = format_ == held_out.IMAGES, 0
    if format_ == held_out.IMAGES:
        labels = [held_out.image_class(name) for name in files]
    elif format_ in held_out.TEXTS:
        texts = list(beginnings([(name, objects[name]) for name in files], read))
        whole, looked = len(texts) == len(files) and all(text.whole for text in texts), len(texts)
        labels = _labels(texts, format_, how, channel)
        if whole and not labels:
            raise HeldOutError(f"no example in {held_out.some(files)}")
    wrong = held_out_labels.unsuited(asked["metric"], asked["needs"], labels, whole=whole)
    if wrong:
        raise HeldOutError(f"gate.metric {wrong}")
    return {"format": format_, "files": len(files), "looked_into": looked, "examples": len(labels), "whole": whole}


def beginnings(files: Sequence[tuple[str, DataObject]], read: Reader) -> Iterator[Text]:
    """The files' beginnings, as many as the limit allows, the whole files where they fit."""
    left = MAXIMUM_BYTES
    each = max(BYTES_OF_ONE, MAXIMUM_BYTES // len(files))
    for name, entry in files[:MAXIMUM_FILES]:
        size = min(entry.size, each)
        if size > left:
            return
        left -= size
        content = read(entry.key, size) if size else b""
        yield _text(name, content, whole=size == entry.size)


def _text(name: str, content: bytes, *, whole: bool) -> Text:
    if held_out.is_zipped(name):
        content, whole = _unzipped(name, content, whole)
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    try:
        return Text(name, decoder.decode(content, final=whole), whole)
    except UnicodeDecodeError as error:
        raise HeldOutError(f"{name} is no text in UTF-8: {error}") from error


def _unzipped(name: str, content: bytes, whole: bool) -> tuple[bytes, bool]:
    """As much of a gzipped file as the limit allows, whatever it would grow to."""
    unzip = zlib.decompressobj(wbits=31)  # gzip's header, 32 KiB of window
    try:
        text = unzip.decompress(content, MAXIMUM_BYTES)
    except zlib.error as error:
        raise HeldOutError(f"{name} is not gzipped: {error}") from error
    # A file may hold several gzipped parts, one after another: only the first is read.
    return text, whole and unzip.eof and not unzip.unused_data


def _labels(texts: Sequence[Text], format_: str, how: Reading, channel: Channel) -> list[str]:
    if format_ in held_out.TABLES:
        return _labels_of_tables(texts, format_, how)
    if format_ == held_out.JSON_LINES:
        lines = [line for text in texts for line in held_out_lines.read(text.lines, text.name, how, whole=text.whole)]
        return [line.label for line in lines]
    read = held_out_lines.read_manifest
    entries = [entry for text in texts for entry in read(text.lines, text.name, how, whole=text.whole)]
    _check_references(entries, channel)
    return [entry.label for entry in entries]


def _labels_of_tables(texts: Sequence[Text], format_: str, how: Reading) -> list[str]:
    read = [held_out_tables.read(text.lines, text.name, how, format_, whole=text.whole) for text in texts]
    tables = [table for table in read if table]
    for table in tables[1:]:
        held_out_tables.check_alike(tables[0], table)
    return [row.label for table in tables for row in table.rows]


def _check_references(entries: Sequence[held_out_lines.Entry], channel: Channel) -> None:
    """Evaluation sees the held-out channel alone, so what a manifest names must lie there."""
    there = {f"s3://{channel.bucket}/{entry.key}" for entry in channel.objects}
    for entry in entries:
        if entry.kind == held_out_lines.REFERENCE and entry.value not in there:
            raise HeldOutError(f"{entry.place} names {entry.value}, which isn't among the channel's objects")
