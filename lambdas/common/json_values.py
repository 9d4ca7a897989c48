"""JSON from outside: any value of any depth and size, read without surprises, and told before it is stored or shown.

What JSON can say and DynamoDB or JSON's own strict form can't hold: not a number, infinities, numbers of more than 38
digits, half of a surrogate pair, names without a letter, and more than DEPTH levels (DynamoDB developer guide, "Naming
rules and data types", "Quotas": 32 levels of nesting; what is stored lies inside some already).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from contract.run_table import is_number

DEPTH = 16
_TOLD = 80


class NotJsonError(ValueError):
    """A text that isn't JSON, or nests too deeply to be read."""


def parsed(text: str | bytes) -> Any:
    """The value that a JSON text says.

    Raises:
        NotJsonError: it says none, or it nests too deeply, or it has a number of thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise NotJsonError("it nests too deeply") from None
    except ValueError as error:
        raise NotJsonError(str(error)) from error


def unstorable(value: Any, depth: int = DEPTH) -> str | None:
    """The first thing in a JSON value that can't be stored, in words; None if all of it can."""
    if isinstance(value, str):
        return None if _is_text(value) else "a text with half of a character (a lone surrogate)"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return None if is_number(value) else f"a number that can't be stored ({told(value)})"
    if not isinstance(value, dict | list):
        return None
    if depth == 0:
        return f"more than {DEPTH} levels"
    if isinstance(value, dict) and not all(name and _is_text(name) for name in value):
        return "a name without letters, or with half of a character"
    return next((wrong for entry in _entries(value) if (wrong := unstorable(entry, depth - 1))), None)


def storable(value: Any, depth: int = DEPTH) -> Any:
    """A JSON value with what can't be stored told instead."""
    if not isinstance(value, dict | list):
        return told(value) if unstorable(value) else value
    if depth == 0:
        return told(value)
    if isinstance(value, list):
        return [storable(entry, depth - 1) for entry in value]
    return {
        name if name and _is_text(name) else told(name): storable(entry, depth - 1) for name, entry in value.items()
    }


def told(value: Any) -> str:
    """A value in a sentence: short, on one line, in ASCII, whatever it is."""
    if isinstance(value, dict | list):
        return f"a JSON {'object' if isinstance(value, dict) else 'array'}"
    if isinstance(value, int) and not isinstance(value, bool) and not is_number(value):
        return "a number of more than 38 digits"
    text = ascii(value[: _TOLD + 1] if isinstance(value, str) else value)
    return text if len(text) <= _TOLD else f"{text[:_TOLD]}…"


def _entries(value: dict[str, Any] | list[Any]) -> Iterator[Any]:
    return iter(value.values() if isinstance(value, dict) else value)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
