"""How often two models answer alike: as texts, but numbers in them as far as float32 goes."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

# float32 has seven digits, of which a network's sums lose some.
RELATIVE, ABSOLUTE = 1e-3, 1e-5


def unequal(first: Sequence[str], second: Sequence[str]) -> list[int]:
    """The indices of the answers that differ."""
    return [index for index, pair in enumerate(zip(first, second)) if not alike(*pair)]


def alike(first: str, second: str) -> bool:
    """Whether two answers say the same. A whole number is a label more often than not: these are the same or not."""
    if first == second:
        return True
    one, other = _read(first), _read(second)
    return one is not None and other is not None and _same(one, other)


def _read(text: str) -> Any:
    """JSON, or the fields of a line."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return [_value(field) for field in text.split(",")]


def _value(field: str) -> Any:
    try:
        return int(field)
    except ValueError:
        pass
    try:
        return float(field)
    except ValueError:
        return field.strip()


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) or isinstance(other, float):
        numbers = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in (one, other))
        return numbers and math.isclose(one, other, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return bool(one == other)
