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


def label_of(name: str, columns: Sequence[str], how: Reading) -> int:
    """The label's position among a file's columns.

    Raises:
        HeldOutError: there is no such column, or nothing beside it.
    """
    if isinstance(how.label, str) and how.label not in columns:
        near = nearest(how.label, columns)
        raise HeldOutError(
            f"the label {how.label!r} isn't among the columns of {name}: {', '.join(columns)[:400]}{near}"
        )
    if isinstance(how.label, int) and not how.label < len(columns):
        raise HeldOutError(f"label column {how.label} is out of range: {name} has {len(columns)} columns")
    if len(columns) == 1:
        raise HeldOutError(f"{name} has one column, the label; a model needs at least one more to be asked by")
    return columns.index(how.label) if isinstance(how.label, str) else how.label


def check_same(first: str, columns: Sequence[str], name: str, others: Sequence[str]) -> None:
    """Raises HeldOutError unless two files have the same columns in the same order."""
    if list(columns) != list(others):
        raise HeldOutError(f"{name} has the columns {', '.join(others)}, but {first} has {', '.join(columns)}")
