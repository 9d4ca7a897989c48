"""`gate` of pipeline.yaml: when a challenger becomes the champion."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from contract.evaluations import is_own
from ratchet.spec import metric_names
from ratchet.spec.errors import checked, refusal
from ratchet.spec.gate_parts import AtThreshold, Classes, Segments
from ratchet.spec.model import Example, Model

_NAMES: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "enum": list(metric_names.METRICS)},
        {"type": "string", "pattern": r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$", "examples": ["my_metrics.map50"]},
    ]
}

MetricName = Annotated[
    str,
    AfterValidator(checked(metric_names.check)),
    WithJsonSchema(_NAMES),
]


class Gate(Model):
    """When a challenger becomes the champion: the floor, the margin, and how sure the interval must be."""

    metric: Annotated[
        MetricName,
        Field(
            description="A scikit-learn scorer's name, or <module>.<function> of the model's folder; greater is better"
        ),
        Example("metric: f1_macro"),
    ]
    minimum: Annotated[
        float,
        Field(description="The floor that every model must reach, in the metric's unit"),
        Example("minimum: 0.9"),
    ]
    beat_champion_by: Annotated[
        float,
        Field(
            description="The interval's lower bound must exceed this; 0: any real improvement; "
            "-0.02: not worse by more than 0.02"
        ),
    ] = 0.0
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    when_champion_cannot_answer: Annotated[
        Literal["keep", "floor"],
        Field(
            description="Data whose columns or labels have changed, which the champion can't answer: keep it, "
            "or judge the challenger by the floor alone"
        ),
    ] = "keep"

    segments: Annotated[Segments | None, Field(description="A floor for each value of a column")] = None
    classes: Annotated[Classes | None, Field(description="Floors for each class of the held-out labels")] = None
    at_threshold: Annotated[
        AtThreshold | None, Field(description="Floors of what is answered at serving.threshold")
    ] = None

    @property
    def is_own(self) -> bool:
        """Whether the metric is the user's own."""
        return is_own(self.metric)

    @model_validator(mode="after")
    def _reachable(self) -> Gate:
        best = metric_names.greatest(self.metric)
        if self.minimum > best:
            negated = " (scikit-learn negates it, so that greater is better)" if best == 0 else ""
            message = f"is {self.minimum:g}, but {self.metric} is at most {best:g}{negated}; no model would pass"
            raise refusal(message, "minimum")
        return self

    @model_validator(mode="after")
    def _decides(self) -> Gate:
        """A margin that no two models' difference exceeds, or that every one does, decides nothing."""
        widest = metric_names.widest_difference(self.metric)
        if abs(self.beat_champion_by) >= widest:
            every = "every model would pass" if self.beat_champion_by < 0 else "no model would pass"
            message = (
                f"is {self.beat_champion_by:g}, but two models' {self.metric} differ by at most {widest:g}; {every}. "
                f"It is in the metric's unit: write {self.beat_champion_by / 100:g} for {self.beat_champion_by:g} %"
            )
            raise refusal(message, "beat_champion_by")
        return self
