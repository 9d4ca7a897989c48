"""How a check says no, and the sentence in which most of AWS's services say which constraint a value fails. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True)
class Refusal:
    """Why a request is refused: AWS's code and message."""

    code: str
    message: str


Check = Callable[[Document], Refusal | None]


@dataclass(frozen=True)
class Constraint:
    """Limits that a member's value must fit. most: of a text's characters, or of a number. least: of a number."""

    member: str
    pattern: str = ""
    least: int | None = None
    most: int | None = None

    def refusal(self, request: Document, code: str = "ValidationException") -> Refusal | None:
        """Unless the request's value fits, or isn't given."""
        value = request.get(self.member)
        failed = next(self._failed(value), None) if value is not None else None
        if failed is None:
            return None
        name = self.member[0].lower() + self.member[1:]
        told = f"Value '{value}' at '{name}' failed to satisfy constraint: Member must {failed}"
        return Refusal(code, f"1 validation error detected: {told}")

    def _failed(self, value: Any) -> Iterator[str]:
        is_text = isinstance(value, str)
        size = len(value) if is_text else value
        what = "length" if is_text else "value"
        if self.pattern and is_text and not re.fullmatch(self.pattern, value):
            yield f"satisfy regular expression pattern: {self.pattern}"
        if self.most is not None and size > self.most:
            yield f"have {what} less than or equal to {self.most}"
        if self.least is not None and size < self.least:
            yield f"have {what} greater than or equal to {self.least}"


def first(request: Document, constraints: tuple[Constraint, ...], code: str = "ValidationException") -> Refusal | None:
    """The refusal of the first constraint that the request fails."""
    return next((found for each in constraints if (found := each.refusal(request, code))), None)
