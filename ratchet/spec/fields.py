"""Types of values that several sections of pipeline.yaml have: durations and sizes with their bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from ratchet.spec import units
from ratchet.spec.errors import checked

# StoppingCondition, API reference of CreateTrainingJob.
TRAINING_RUNTIME = 28 * units.SECONDS["d"]

Quantity = tuple[BeforeValidator, WithJsonSchema]


def duration(low: int, high: int, *, what: str) -> Quantity:
    """The metadata of a duration between two bounds, in seconds."""
    schema = {"type": "string", "pattern": units.DURATION_PATTERN, "examples": ["30s", "15m", "1h"]}
    return _between(units.seconds, low, high, written=units.duration_text, what=what), WithJsonSchema(schema)


def size(low: int, high: int, *, what: str) -> Quantity:
    """The metadata of a size between two bounds, in GiB."""
    schema = {"type": "string", "pattern": units.SIZE_PATTERN, "examples": ["30GiB"]}
    return _between(units.gib, low, high, written=units.size_text, what=what), WithJsonSchema(schema)


def _between(
    parse: Callable[[object], int], low: int, high: int, *, written: Callable[[int], str], what: str
) -> BeforeValidator:
    def check(value: object) -> int:
        number = parse(value)
        if not low <= number <= high:
            raise ValueError(f"is {value}; {what} takes {written(low)} to {written(high)}")
        return number

    return BeforeValidator(checked(check))


TrainingSeconds = Annotated[int, *duration(1, TRAINING_RUNTIME, what="a training job")]
