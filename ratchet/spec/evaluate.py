"""`evaluate` of pipeline.yaml: the processing job that judges a run's model, and how it reads the held-out data."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from contract.held_out import IMAGES, MANIFEST, NPZ, TABLES
from ratchet.spec import units
from ratchet.spec.errors import checked, refusal
from ratchet.spec.fields import duration
from ratchet.spec.instances import WAIT, Instances, InstanceTypes, WaitSeconds
from ratchet.spec.model import Model

# ProcessingStoppingCondition, API reference of CreateProcessingJob.
PROCESSING_RUNTIME = 7 * units.SECONDS["d"]
# An argument of a processing job has at most 256 characters (API reference, AppSpecification).
LABEL_LENGTH = 200
# Of which new accounts have some.
USUAL_INSTANCE = "ml.t3.medium"

ProcessingSeconds = Annotated[int, *duration(1, PROCESSING_RUNTIME, what="a processing job")]


def _label(value: object) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"is {value!r}; write a column's name, in quotes, or its position from 0")
    if isinstance(value, int) and value < 0:
        raise ValueError(f"is {value}; it must be at least 0")
    if isinstance(value, str) and not (0 < len(value) <= LABEL_LENGTH and value.isprintable() and value.strip()):
        raise ValueError(f"is {value[:40]!r}; a column's name has 1 to {LABEL_LENGTH} printable characters")
    return value


Label = Annotated[
    int | str,
    BeforeValidator(checked(_label)),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "minLength": 1}]}),
]


def _labels(value: object) -> int | str | tuple[int | str, ...]:
    if not isinstance(value, list):
        return _label(value)
    labels = tuple(_label(entry) for entry in value)
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise ValueError(f"is {value!r}; write one column, or a list of different ones")
    if len(json.dumps(labels, ensure_ascii=False)) > LABEL_LENGTH:
        raise ValueError(
            f"has {len(labels)} columns, whose names are too long; together at most {LABEL_LENGTH} letters"
        )
    return labels


Labels = Annotated[
    int | str | tuple[int | str, ...],
    BeforeValidator(checked(_labels)),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "minLength": 1},
                {"type": "array", "minItems": 2, "items": {"type": ["integer", "string"]}},
            ]
        }
    ),
]


class Evaluate(Model):
    """The processing job that judges challenger and champion on the `test` channel. `max_runtime` is in seconds."""

    instance: Instances = Field(
        default_factory=lambda: InstanceTypes(USUAL_INSTANCE), json_schema_extra={"default": USUAL_INSTANCE}
    )
    max_runtime: ProcessingSeconds = 3600
    label: Annotated[
        Labels,
        Field(
            description="The held-out label: a column's, key's or array's name, or a column's position from 0; a list "
            "where a model answers several numbers"
        ),
    ] = 0
    header: Annotated[
        bool | None, Field(description="Whether CSV and TSV have one; a label by name says so, else none is expected")
    ] = None
    format: Annotated[
        Literal["csv", "tsv", "jsonlines", "parquet", "npz", "images", "manifest"] | None,
        Field(description="How the held-out files are read; by their endings where it isn't said"),
    ] = None
    wait_for_instance: WaitSeconds = WAIT

    @property
    def labels(self) -> tuple[int | str, ...]:
        """The label's columns, of which there is mostly one."""
        return self.label if isinstance(self.label, tuple) else (self.label,)

    @model_validator(mode="after")
    def _consistent(self) -> Evaluate:
        if self.header is not None and self.format not in (None, *TABLES):
            raise refusal(f"is said, but format is {self.format}, which has none; leave it out", "header")
        named = next((label for label in self.labels if isinstance(label, str)), None)
        if named is not None and self.header is False:
            raise refusal(f"is {named!r}, a name, but header is false; write the column's position", "label")
        if self.format == NPZ and len(self.labels) > 1:
            raise refusal("is a list, but one array of npz holds all outputs; write its name", "label")
        if self.format == IMAGES and self.label != 0:
            raise refusal(f"is {self.label!r}, but an image's label is its folder's name; leave it out", "label")
        if self.format in (NPZ, MANIFEST) and isinstance(self.label, int) and self.label:
            what = "an array's" if self.format == NPZ else "an attribute's"
            raise refusal(f"is {self.label}, a position, but format is {self.format}; write {what} name", "label")
        return self
