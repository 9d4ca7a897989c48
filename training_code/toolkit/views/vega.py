"""Vega-Lite documents: the schema's name, and data as they hold it, short."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

# The version that pages draw with.
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# A picture shows no more digits.
DIGITS = 4


def values(**columns: Iterable[Any]) -> list[dict[str, Any]]:
    """Rows of equally long columns, as `data: {"values": …}` holds them.

    Numbers have four digits that count, whole numbers all of theirs; NaN and infinities become null, which Vega-Lite
    leaves out. NumPy's arrays and numbers count as Python's.
    """
    names = list(columns)
    parts = [[plain(value) for value in column] for column in columns.values()]
    lengths = {len(part) for part in parts}
    if len(lengths) > 1:
        sizes = ", ".join(f"{name} {len(part)}" for name, part in zip(names, parts))
        raise ValueError(f"values: columns must be equally long: {sizes}")
    return [dict(zip(names, row)) for row in zip(*parts)]


def plain(value: Any) -> Any:
    """A value as JSON has it; a float with DIGITS digits."""
    if hasattr(value, "tolist"):  # NumPy's, and frameworks' tensors
        value = value.tolist()
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    return value
