"""The columns of held-out Parquet: which of them is the label, and that all files have the same."""

from __future__ import annotations

import re
from collections.abc import Sequence

from contract.held_out import HeldOutError, Reading
from contract.held_out_mistakes import nearest

# pandas keeps its index as a column of this name.
_INDEX = re.compile(r"__index_level_\d+__")


def without_index(columns: Sequence[str]) -> list[str]:
    """The columns that are data."""
    return [column for column in columns if not _INDEX.fullmatch(column)]


def labels_of(name: str, columns: Sequence[str], how: Reading) -> list[int]:
    """The label's positions among a file's columns, of which there is mostly one.

    Raises:
        HeldOutError: there is no such column, or nothing beside it.
    """
    labels = [_position(name, columns, label, ("the label", "label column")) for label in how.labels]
    if len(columns) == 1:
        raise HeldOutError(f"{name} has one column, the label; a model needs at least one more to be asked by")
    return labels


def segment_of(name: str, columns: Sequence[str], how: Reading, labels: Sequence[int]) -> str | None:
    """The name of gate.segments' column among a file's columns; None where there is none asked for.

    Raises:
        HeldOutError: there is no such column, or it is the label.
    """
    if how.segment is None:
        return None
    found = _position(name, columns, how.segment, ("gate.segments.column",) * 2)
    if found in labels:
        raise HeldOutError(
            f"gate.segments.column {how.segment!r} is the label; for floors of classes write gate.classes"
        )
    return columns[found]


def _position(name: str, columns: Sequence[str], asked: int | str, words: tuple[str, str]) -> int:
    """A column's position; `words` name it in messages, by its name and by its position."""
    if isinstance(asked, str) and asked not in columns:
        near = nearest(asked, columns)
        raise HeldOutError(f"{words[0]} {asked!r} isn't among the columns of {name}: {', '.join(columns)[:400]}{near}")
    if isinstance(asked, int) and not asked < len(columns):
        raise HeldOutError(f"{words[1]} {asked} is out of range: {name} has {len(columns)} columns")
    return columns.index(asked) if isinstance(asked, str) else asked


def check_same(first: str, columns: Sequence[str], name: str, others: Sequence[str]) -> None:
    """Raises HeldOutError unless two files have the same columns in the same order."""
    if list(columns) != list(others):
        raise HeldOutError(f"{name} has the columns {', '.join(others)}, but {first} has {', '.join(columns)}")
