"""Texts of a policy: wildcards, and variables (IAM User Guide, "IAM policy elements: Variables and tags").

`*` and `?` are wildcards where an element allows them. `${key}` stands for the request's value of a condition key,
`${key, 'default'}` for the default where the request has no value, and `${*}`, `${?}`, `${$}` for the characters
themselves. A value is taken literally: an asterisk in it is no wildcard. Variables are those of version 2012-10-17;
in an older document `${...}` is text like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property

from localaws.iam.requests import Values, one_value
from localaws.patterns import with_anything_between

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_KEY_AND_DEFAULT = re.compile(r"\s*([^,\s]+)\s*(?:,\s*'([^']*)'\s*)?$")
_ESCAPED = ("*", "?", "$")


@dataclass(frozen=True)
class Variable:
    key: str
    default: str | None = None

    def value(self, values: Values) -> str | None:
        found = one_value(values(self.key))
        return self.default if found is None else found


@dataclass(frozen=True)
class Literal:
    """Characters that stand for themselves, whatever they are."""

    text: str


Part = str | Literal | Variable


@dataclass(frozen=True)
class PolicyText:
    """One text of a policy, in parts. Plain parts may hold wildcards."""

    parts: tuple[Part, ...]

    @cached_property
    def is_static(self) -> bool:
        return not any(isinstance(part, Variable) for part in self.parts)

    def resolved(self, values: Values) -> PolicyText | None:
        """The same text with values in the variables' places; None where one has no value."""
        if self.is_static:
            return self
        parts: list[Part] = []
        for part in self.parts:
            value = part.value(values) if isinstance(part, Variable) else part
            if value is None:
                return None
            parts.append(Literal(value) if isinstance(part, Variable) else value)  # type: ignore[arg-type]
        return PolicyText(tuple(parts))

    @cached_property
    def text(self) -> str:
        """The text without wildcards' meaning, of a text that is static."""
        return "".join(part.text if isinstance(part, Literal) else str(part) for part in self.parts)

    @cached_property
    def pattern(self) -> re.Pattern[str] | None:
        """The text as a pattern, of a text that is static; None for a lone asterisk, which everything matches."""
        return None if self.parts == ("*",) else re.compile(expression(self.parts), re.DOTALL)

    def matches(self, value: str) -> bool:
        """Whether a value is like this text, which is static."""
        return self.pattern is None or self.pattern.fullmatch(value) is not None


@cache
def policy_text(text: str, variables: bool) -> PolicyText:
    """A text of a policy whose version knows variables, or doesn't."""
    if not variables or "${" not in text:
        return PolicyText((text,))
    parts: list[Part] = []
    end = 0
    for found in _VARIABLE.finditer(text):
        parts += [text[end : found.start()], _variable(found)]
        end = found.end()
    return PolicyText(tuple(part for part in (*parts, text[end:]) if part != ""))


def _variable(found: re.Match[str]) -> Part:
    if found[1] in _ESCAPED:
        return Literal(found[1])
    parsed = _KEY_AND_DEFAULT.match(found[1])
    return Variable(parsed[1].lower(), parsed[2]) if parsed else Literal(found[0])


def expression(parts: Iterable[Part]) -> str:
    """A regular expression of a text with wildcards, in time linear in what it is compared with."""
    pieces: list[list[str]] = [[]]
    for part in parts:
        if isinstance(part, Literal):
            pieces[-1].append(re.escape(part.text))
            continue
        first, *more = re.escape(str(part)).replace(r"\?", ".").split(r"\*")
        pieces[-1].append(first)
        pieces += [[piece] for piece in more]
    return with_anything_between(["".join(piece) for piece in pieces])
