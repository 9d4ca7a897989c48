"""`probe` of pipeline.yaml: which tensors the training job saves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from ratchet.spec.errors import checked, refusal
from ratchet.spec.model import Model


def _tensor_regex(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from error
    if "${" in value:
        raise ValueError("holds ${, which no name of a tensor matches")
    return value


def _mode(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


TensorRegex = Annotated[str, AfterValidator(checked(_tensor_regex))]
Mode = Annotated[
    Literal["train", "eval"],
    BeforeValidator(_mode),
    WithJsonSchema({"type": "string", "enum": ["train", "eval"]}),
]
Reduction = Literal[
    "mean", "std", "variance", "min", "max", "sum", "norm", "l1", "zeros", "nonfinite",
    "abs_mean", "abs_std", "abs_variance", "abs_min", "abs_max", "histogram",
]  # fmt: skip


class Collection(Model):
    """Tensors that are saved together. Steps are the training loop's, from 0."""

    include: Annotated[Sequence[TensorRegex], Field(description="Regular expressions over tensors' names")] = ()
    interval: Annotated[int | None, Field(ge=1, description="Saved every so many steps")] = None
    start: Annotated[int | None, Field(ge=0, description="The first step")] = None
    end: Annotated[int | None, Field(ge=1, description="The step before which it ends")] = None
    steps: Annotated[Sequence[int], Field(description="Only these steps, instead of an interval")] = ()
    modes: Annotated[Sequence[Mode], Field(description="train, eval; both unless told")] = ()
    reductions: Annotated[Sequence[Reduction], Field(description="Numbers to save of each tensor")] = ()
    values: Annotated[bool, Field(description="The whole tensors too")] = True

    @model_validator(mode="after")
    def _some_step(self) -> Collection:
        if self.end is not None and self.end <= (self.start or 0):
            raise refusal(f"is {self.end}, not after start ({self.start or 0}); no step would be saved", "end")
        return self


class Probe(Model):
    """The collections that the probe saves, besides its defaults."""

    collections: Mapping[str, Collection] = {}
