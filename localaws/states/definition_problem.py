"""A problem of a definition, as ValidateStateMachineDefinition and InvalidDefinition tell it, and its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SCHEMA = "SCHEMA_VALIDATION_FAILED"
TRANSITION = "MISSING_TRANSITION_TARGET"
EXPRESSION = "INVALID_JSONATA_EXPRESSION"


Document = Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """One problem; `path` is a JSON pointer into the definition."""

    code: str
    message: str
    path: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message} at {self.path or '/'}"


def objects_in(state: Document, field: str, path: str) -> Iterator[tuple[str, Document]]:
    """The objects in a field that is an array (Retry, Catch, Choices), each after its place."""
    values = state.get(field)
    for index, value in enumerate(values if isinstance(values, list) else []):
        if isinstance(value, dict):
            yield f"{path}/{field}[{index}]", value
