"""Held-out classes that no training example has: a model can't be right about them, whatever it learns.

Said only where it is sure: all training data were read, in the same way as the held-out data, and have the same
columns. More than MAXIMUM_BYTES or MAXIMUM_LINES, or more files than are read of the held-out data, aren't read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from contract import held_out, held_out_labels, held_out_lines, held_out_tables
from contract.held_out import HeldOutError, Reading
from contract.held_out_labels import Label
from contract.held_out_tables import Table
from planner import beginnings
from planner.beginnings import Reader, Text
from planner.data import Channel, DataObject

MAXIMUM_BYTES = 2 << 20
# Rows take memory, however short they are, and a function has 256 MB.
MAXIMUM_LINES = 100_000
# Columns of the same place may be other things: labels are the same ones if most of the classes are.
_MOST = 0.5


@dataclass(frozen=True)
class HeldOut:
    """The held-out labels, and how they were read; `columns` are a table's names, or how many they are."""

    labels: Sequence[Label]
    columns: object
    format: str
    how: Reading


class _OtherDataError(HeldOutError):
    """The training data aren't read, or not as the held-out data are: nothing can be said of their classes."""


def check(asked: HeldOut, channels: Iterable[Channel], read: Reader) -> None:
    """Raises HeldOutError where there is a held-out class that surely no example of these channels has."""
    channels = list(channels)
    if not channels:
        return
    try:
        known = [label for channel in channels for label in _labels(channel, asked, read)]
    except HeldOutError:
        return
    lacking = _lacking(asked.labels, known)
    if lacking:
        first = next(iter(lacking.values()))
        more = f", as {len(lacking) - 1} more of the held-out classes" if len(lacking) > 1 else ""
        where = " or ".join(channel.name for channel in channels)
        there = held_out_labels.told(held_out_labels.classes(known))
        raise HeldOutError(
            f"{first.place} is of the class {first.text!r}, which no training example has{more} ({where} has {there}); "
            f"add examples of it to {where}, or leave the held-out ones out"
        )


def _lacking(labels: Sequence[Label], known: Sequence[Label]) -> Mapping[object, Label]:
    """The first held-out label of each class that isn't known; none where most classes aren't."""
    both = held_out_labels.classes([*labels, *known])
    as_texts = any(isinstance(value, str) for value in both)
    taught = {_class(label, as_texts=as_texts) for label in known}
    asked: dict[object, Label] = {}
    for label in labels:
        asked.setdefault(_class(label, as_texts=as_texts), label)
    lacking = {value: label for value, label in asked.items() if value not in taught}
    return lacking if len(lacking) <= _MOST * len(asked) else {}


def _class(label: Label, *, as_texts: bool) -> object:
    return label.text if as_texts else held_out_labels.number(label.text)


def _labels(channel: Channel, like: HeldOut, read: Reader) -> list[Label]:
    """A channel's labels.

    Raises:
        HeldOutError: it can't be read as the held-out data are, or not all of it, or it has other columns.
    """
    objects = {entry.key[len(channel.prefix) :]: entry for entry in channel.objects}
    names = held_out.data_files(objects)
    if not names or held_out.format_of(names, like.how.format) != like.format:
        raise _OtherDataError
    if like.format == held_out.IMAGES:
        return [Label(name, held_out.image_class(name)) for name in names]
    if like.format == held_out.JSON_LINES:
        texts = _whole(channel, names, objects, read)
        lines = [line for text in texts for line in held_out_lines.read(text.lines, text.name, like.how)]
        return [Label(line.place, line.label) for line in lines]
    if like.format in held_out.TABLES:
        tables = [_table(text, like) for text in _whole(channel, names, objects, read)]
        return [Label(row.place, row.label) for table in tables if table for row in table.rows]
    raise _OtherDataError


def _table(text: Text, like: HeldOut) -> Table | None:
    table = held_out_tables.read(text.lines, text.name, like.how, like.format)
    if table and (table.columns or table.width) != like.columns:
        raise _OtherDataError
    return table


def _whole(channel: Channel, names: Sequence[str], objects: Mapping[str, DataObject], read: Reader) -> Iterator[Text]:
    if channel.size > MAXIMUM_BYTES or len(names) > beginnings.MAXIMUM_FILES:
        raise _OtherDataError
    lines = 0
    for name in names:
        for text in beginnings.texts([(name, objects[name])], read, MAXIMUM_BYTES):
            lines += text.text.count("\n")
            if not text.whole or lines > MAXIMUM_LINES:
                raise _OtherDataError
            yield text
