"""EventBridge's schedule expressions, checked before a deployment would fail on one.

Source: "Setting a schedule pattern for scheduled rules in Amazon EventBridge" (rate and cron expressions, UTC).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_RATE = re.compile(r"rate\((\d+) (minutes?|hours?|days?)\)")
_CRON = re.compile(r"cron\((.+)\)")
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()
    extra: str = "$^"  # a pattern of what only this field knows; by default one that matches nothing


_FIELDS = (
    _Field("minutes", 0, 59),
    _Field("hours", 0, 23),
    _Field("day-of-month", 1, 31, extra=r"\?|L|LW|\d{1,2}W"),
    _Field("month", 1, 12, words=tuple(_MONTHS)),
    _Field(
        "day-of-week", 1, 7, words=tuple(_DAYS), extra=r"\?|L|[1-7]L|[1-7]#[1-5]|(?:SUN|MON|TUE|WED|THU|FRI|SAT)#[1-5]"
    ),
    _Field("year", 1970, 2199),
)


def check(expression: str) -> str:
    """The expression itself when EventBridge would take it.

    Raises:
        ValueError: it wouldn't; the message says which part is wrong and what would be right.
    """
    if expression.startswith("rate("):
        _check_rate(expression)
    elif expression.startswith("cron("):
        _check_cron(expression)
    else:
        raise ValueError(f"is {expression!r}; write rate(7 days) or cron(0 3 * * ? *), in UTC")
    return expression


def _check_rate(expression: str) -> None:
    match = _RATE.fullmatch(expression)
    if match is None:
        raise ValueError(f"is {expression!r}; write rate(<number> minutes|hours|days), as rate(7 days)")
    number, unit = int(match[1]), match[2]
    if number < 1:
        raise ValueError(f"is {expression!r}; the number must be at least 1")
    right = unit.rstrip("s") + ("" if number == 1 else "s")
    if unit != right:
        raise ValueError(f"is {expression!r}; EventBridge wants rate({number} {right})")


def _check_cron(expression: str) -> None:
    match = _CRON.fullmatch(expression)
    parts = match[1].split() if match else []
    if len(parts) != len(_FIELDS):
        names = " ".join(field.name for field in _FIELDS)
        raise ValueError(f"is {expression!r}, which has {len(parts)} fields; cron needs 6: {names}")
    for field, part in zip(_FIELDS, parts, strict=True):
        for item in part.split(","):
            _check_cron_item(field, item)
    if (parts[2] == "?") == (parts[4] == "?"):
        raise ValueError(f"is {expression!r}; exactly one of day-of-month and day-of-week must be ?")


def _check_cron_item(field: _Field, item: str) -> None:
    if re.fullmatch(field.extra, item):
        return
    base, slash, step = item.partition("/")
    wrong = ValueError(
        f"has {item!r} as {field.name}; it takes {field.low}-{field.high}{_words(field)}, *, lists, ranges and steps"
    )
    if slash and (not step.isdigit() or int(step) < 1):
        raise wrong
    if base == "*":
        return
    values = [_value(field, end) for end in base.split("-")]
    if len(values) > 2 or None in values:
        raise wrong
    if not all(field.low <= value <= field.high for value in values if value is not None):
        raise wrong


def _value(field: _Field, text: str) -> int | None:
    if text.upper() in field.words:
        return field.low + field.words.index(text.upper())
    return int(text) if text.isdigit() else None


def _words(field: _Field) -> str:
    return f" or {field.words[0]}-{field.words[-1]}" if field.words else ""
