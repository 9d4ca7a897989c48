"""A request as policies see it: an action on a resource, by a principal, with condition keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# The value of a condition key by its name in lower case: a text, a list for a key with several values, or None where
# the request hasn't got the key.
Values = Callable[[str], Any]


@dataclass(frozen=True)
class Request:
    action: str
    resource: str
    values: Values


def one_value(value: Any) -> str | None:
    """A value as a text; None for keys that are absent or have several values, which no variable can stand for."""
    if value is None or isinstance(value, list | tuple | set | frozenset):
        return None
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def all_values(value: Any) -> list[str] | None:
    """A key's values, None where it is absent; a key with an empty list of values is absent, too."""
    if isinstance(value, list | tuple | set | frozenset):
        return [one_value(item) or "" for item in value] or None
    text = one_value(value)
    return None if text is None else [text]
