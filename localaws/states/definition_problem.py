"""A problem of a definition, as ValidateStateMachineDefinition and InvalidDefinition tell it."""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA = "SCHEMA_VALIDATION_FAILED"
TRANSITION = "MISSING_TRANSITION_TARGET"
EXPRESSION = "INVALID_JSONATA_EXPRESSION"


@dataclass(frozen=True)
class Problem:
    """`path` is a JSON pointer into the definition."""

    code: str
    message: str
    path: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message} at {self.path or '/'}"
