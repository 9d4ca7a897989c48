"""The name that somebody meant who wrote another."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near(name: str, known: Iterable[str]) -> str | None:
    """The known name that is nearest, whatever its case; None where none is near."""
    by_lower = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name.strip().lower(), by_lower, n=1)
    return by_lower[found[0]] if found else None
