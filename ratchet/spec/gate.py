"""`gate` of pipeline.yaml: when a challenger becomes the champion."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from ratchet.spec import metric_names
from ratchet.spec.errors import checked, refusal
from ratchet.spec.model import Example, Model

MetricName = Annotated[
    str,
    AfterValidator(checked(metric_names.check)),
    WithJsonSchema({"type": "string", "enum": list(metric_names.METRICS)}),
]


class Gate(Model):
    """When a challenger becomes the champion: the floor, the margin, and how sure the interval must be."""

    metric: Annotated[MetricName, Example("metric: f1_macro")]
    minimum: Annotated[
        float,
        Field(description="The floor that every model must reach, in the metric's unit"),
        Example("minimum: 0.9"),
    ]
    beat_champion_by: Annotated[
        float, Field(ge=0, description="The interval's lower bound must exceed this; 0: any real improvement")
    ] = 0.0
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95

    @model_validator(mode="after")
    def _reachable(self) -> Gate:
        best = metric_names.greatest(self.metric)
        if self.minimum > best:
            negated = " (scikit-learn negates it, so that greater is better)" if best == 0 else ""
            message = f"is {self.minimum:g}, but {self.metric} is at most {best:g}{negated}; no model would pass"
            raise refusal(message, "minimum")
        return self
