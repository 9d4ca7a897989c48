"""The base of all models of pipeline.yaml, and what a section tells the file's reader about its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, get_args

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Frozen, and nothing in it that it doesn't know: a misspelt key is refused, not ignored.

    `not_yet` names the section's keys, or `key: value`, that a later version of Ratchet will know, in plain words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    not_yet: ClassVar[Mapping[str, str]] = {}


@dataclass(frozen=True)
class Example:
    """A required field's metadata: the line that is suggested where the field is missing."""

    line: str


def example(model: type[Model], field: str) -> str | None:
    """The line that a model's field gives as an example; None where it gives none."""
    metadata = model.model_fields[field].metadata if field in model.model_fields else []
    return next((told.line for told in metadata if isinstance(told, Example)), None)


def section(model: type[Model], field: str) -> type[Model] | None:
    """The model of a field that is a section of its own (`train`), also of an optional one (`triggers.data`)."""
    annotation = model.model_fields[field].annotation if field in model.model_fields else None
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Model):
            return candidate
    return None
