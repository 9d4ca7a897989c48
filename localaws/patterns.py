"""Users' regular expressions and wildcards, matched in time that grows with the text only.

A regular expression in Python's own `re` may take years on forty characters, and nothing else runs meanwhile. RE2 takes
linear time, and lets the rest of the server run while it looks. What it doesn't have (lookaround, back-references) is
refused by name. AWS doesn't say which syntax its services take beyond "regular expression".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

# RE2's own names of what others write differently: the text's end, and a character by its number.
_RENAMED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_TAKEN = (
    "Regular expressions are RE2's here (https://github.com/google/re2/wiki/Syntax), "
    "without lookaround, back-references, atomic groups and possessive quantifiers"
)


class PatternError(ValueError):
    """A regular expression that isn't one, or asks for what isn't taken here; the text says what."""


@lru_cache(maxsize=512)
def regex(pattern: str, *, ignore_case: bool = False, multiline: bool = False, of_bytes: bool = False) -> Any:
    """A compiled pattern with the methods of `re.Pattern`, of texts or of bytes in UTF-8. Raises PatternError."""
    flags = "".join(letter for letter, on in (("i", ignore_case), ("m", multiline)) if on)
    text = _RENAMED.sub(_renamed, pattern)
    text = f"(?{flags})(?:{text})" if flags else text
    try:
        return _engine().compile(text.encode() if of_bytes else text, _options())
    except _engine().error as error:
        raise PatternError(f"{_told(error)}. {_TAKEN}.") from error


def wildcard(pattern: str, value: str, *, ignore_case: bool = False, one: bool = True) -> bool:
    """Whether `*` (any characters) and, where `one`, `?` (one character) of a pattern fit a whole value."""
    return wildcard_regex(pattern, ignore_case, one).match(value) is not None


@lru_cache(maxsize=4096)
def wildcard_regex(pattern: str, ignore_case: bool, one: bool = True) -> re.Pattern[str]:
    """A wildcard for Python's own `re`."""
    text = with_anything_between([_literal(piece, one) for piece in pattern.split("*")])
    return re.compile(rf"{text}\Z", re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def with_anything_between(pieces: Sequence[str]) -> str:
    """A regular expression of pieces of a fixed length, with any characters between two; in linear time.

    A piece's first place is the right one: the atomic groups take it and never look again, where `.*x.*y` would try
    every place of each.
    """
    first, *others = pieces
    if not others:
        return first
    return first + "".join(f"(?>.*?{piece})" for piece in others[:-1] if piece) + f".*{others[-1]}"


def _literal(piece: str, one: bool) -> str:
    return ".".join(map(re.escape, piece.split("?"))) if one else re.escape(piece)


def _renamed(found: re.Match[str]) -> str:
    if found[1]:
        return rf"\x{{{found[1]}}}"
    return r"\z" if found[2] == "Z" else found[0]


def _told(error: Exception) -> str:
    told = error.args[0] if error.args else ""
    return told.decode(errors="replace") if isinstance(told, bytes) else str(told)


@cache
def _engine() -> Any:
    import re2  # noqa: PLC0415 - where a pattern is used at all

    return re2


@cache
def _options() -> Any:
    options = _engine().Options()
    options.log_errors = False
    return options
