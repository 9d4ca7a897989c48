"""How a JSONPath choice rule compares one value (Amazon States Language, "Choice State"; Developer Guide, the same).

A value of another kind than the operator's compares with nothing: `NumericEquals` on a text is false, not an error.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from localaws.patterns import with_anything_between

Compare = Callable[[Any, Any], bool]

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_ORDERS: Mapping[str, Compare] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "GreaterThan": operator.gt,
    "LessThanEquals": operator.le,
    "GreaterThanEquals": operator.ge,
}


def holds(name: str, value: Any, operand: Any) -> bool:
    """Whether an operator (without `Path`) holds of a value; KeyError for one that there isn't."""
    return OPERATORS[name](value, operand)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_timestamp(value: Any) -> bool:
    return _moment(value) is not None


def _moment(value: Any) -> datetime | None:
    """A time as the language writes it: with a capital T, and a capital Z or an offset."""
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _texts(compare: Compare, value: Any, operand: Any) -> bool:
    return isinstance(value, str) and isinstance(operand, str) and compare(value, operand)


def _numbers(compare: Compare, value: Any, operand: Any) -> bool:
    return is_number(value) and is_number(operand) and compare(value, operand)


def _times(compare: Compare, value: Any, operand: Any) -> bool:
    given, wanted = _moment(value), _moment(operand)
    return given is not None and wanted is not None and compare(given, wanted)


def _booleans(value: Any, operand: Any) -> bool:
    return isinstance(value, bool) and isinstance(operand, bool) and value is operand


def _matches(value: Any, pattern: Any) -> bool:
    r"""`*` stands for any characters, `\*` for an asterisk and `\\` for a backslash."""
    if not isinstance(value, str) or not isinstance(pattern, str):
        return False
    pieces = [""]
    for character in re.findall(r"\\.|[^\\]|\\$", pattern, re.DOTALL):
        if character == "*":
            pieces.append("")
        else:
            pieces[-1] += re.escape(character[-1])
    return re.fullmatch(with_anything_between(pieces), value, re.DOTALL) is not None


def _is(kind: Callable[[Any], bool], value: Any, wanted: Any) -> bool:
    return kind(value) is wanted


OPERATORS: Mapping[str, Compare] = {
    **{f"String{name}": partial(_texts, compare) for name, compare in _ORDERS.items()},
    **{f"Numeric{name}": partial(_numbers, compare) for name, compare in _ORDERS.items()},
    **{f"Timestamp{name}": partial(_times, compare) for name, compare in _ORDERS.items()},
    "BooleanEquals": _booleans,
    "StringMatches": _matches,
    "IsNull": partial(_is, lambda value: value is None),
    "IsNumeric": partial(_is, is_number),
    "IsString": partial(_is, lambda value: isinstance(value, str)),
    "IsBoolean": partial(_is, lambda value: isinstance(value, bool)),
    "IsTimestamp": partial(_is, is_timestamp),
}
