"""`gate.segments`, `classes` and `at_threshold` of pipeline.yaml: floors for parts of the held-out examples."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from contract.evaluations import is_own
from contract.held_out import WITHOUT_COLUMNS
from ratchet.spec.errors import refusal
from ratchet.spec.evaluate import Evaluate, Label
from ratchet.spec.metric_names import OF_ONE_OUTPUT, greatest, labels_needed_are_numbers
from ratchet.spec.model import Example, Model

Share = Annotated[float, Field(gt=0, le=1)]


class Segments(Model):
    """A floor of `gate.metric` for the examples of each value of a column, such as each region."""

    column: Annotated[
        Label,
        Field(description="A column's or key's name, or a column's position from 0, of the held-out files"),
        Example("column: region"),
    ]
    minimum: Annotated[
        float,
        Field(description="The floor of every segment, in the metric's unit"),
        Example("minimum: 0.8"),
    ]
    examples: Annotated[
        int, Field(ge=1, description="A segment of fewer held-out examples isn't judged, and named as such")
    ] = 10


class Classes(Model):
    """Floors of every class: what share of its examples is found (recall), of its answers is right (precision), f1."""

    recall: Share | None = None
    precision: Share | None = None
    f1: Share | None = None
    examples: Annotated[
        int, Field(ge=1, description="A class of fewer held-out examples isn't judged, and named as such")
    ] = 10

    @model_validator(mode="after")
    def _says_something(self) -> Classes:
        if self.recall is None and self.precision is None and self.f1 is None:
            raise refusal("has no floor; write recall: 0.8, precision or f1, or leave it out")
        return self


class AtThreshold(Model):
    """Floors at serving.threshold: what share of the examples is answered (coverage), of the answers is right."""

    coverage: Share | None = None
    precision: Share | None = None

    @model_validator(mode="after")
    def _says_something(self) -> AtThreshold:
        if self.coverage is None and self.precision is None:
            raise refusal("has no floor; write coverage: 0.8, precision: 0.95 or both, or leave it out")
        return self


def check_outputs(metric: str, evaluate: Evaluate) -> None:
    """Raises a refusal where several labels an example are said, of which the metric can't judge."""
    if len(evaluate.labels) == 1 or is_own(metric):
        return
    told = f"has {len(evaluate.labels)} columns ({', '.join(map(str, evaluate.labels))}), but {metric} judges one"
    if not labels_needed_are_numbers(metric):
        message = f"{told} label an example; name one, or judge by a metric of your own: my_metrics.name"
        raise refusal(message, "evaluate", "label")
    if metric in OF_ONE_OUTPUT:
        raise refusal(f"{told} number an example; name one, or use neg_mean_absolute_error", "evaluate", "label")


def check_parts(metric: str, segments: Segments | None, classes: Classes | None, evaluate: Evaluate) -> None:
    """Raises a refusal where the held-out data or the metric have no such parts."""
    if classes and labels_needed_are_numbers(metric):
        raise refusal(f"is said, but {metric} judges numbers, which have no classes; leave it out", "gate", "classes")
    if classes and is_own(metric):
        message = f"is said, but the answers that {metric} judges may be no classes; let it judge each class itself"
        raise refusal(message, "gate", "classes")
    if segments is not None:
        _check_segments(metric, segments, evaluate)


def _check_segments(metric: str, segments: Segments, evaluate: Evaluate) -> None:
    best, column = greatest(metric), segments.column
    if segments.minimum > best:
        message = f"is {segments.minimum:g}, but {metric} is at most {best:g}; no model would pass"
        raise refusal(message, "gate", "segments", "minimum")
    wrong = None
    if evaluate.format in WITHOUT_COLUMNS:
        wrong = f"but held-out files of {evaluate.format} have no columns; leave segments out"
    elif column in evaluate.labels:
        wrong = "the label; for a floor of each class write gate.classes: {recall: 0.8}"
    elif isinstance(column, str) and evaluate.header is False:
        wrong = "a name, but evaluate.header is false; write the column's position"
    if wrong:
        raise refusal(f"is {column!r}, {wrong}", "gate", "segments", "column")
