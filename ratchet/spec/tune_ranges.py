"""`tune.ranges` of pipeline.yaml: the values that tuning tries of each hyperparameter, by SageMaker's rules for them.

Sources: API reference, ParameterRanges and HyperParameterTuningJobConfig; developer guide, "Define hyperparameter
ranges".
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from ratchet.spec.errors import checked, refusal
from ratchet.spec.model import Model
from ratchet.spec.train import HYPERPARAMETER_KEY, Hyperparameter

RANGES, CATEGORIES = 30, 30
CATEGORY_LENGTH = 256
KINDS = ("continuous", "integer", "categorical")

_SCALES = {
    "auto": "Auto",
    "linear": "Linear",
    "logarithmic": "Logarithmic",
    "reverse-logarithmic": "ReverseLogarithmic",
}
Scale = Literal["auto", "linear", "logarithmic", "reverse-logarithmic"]


def _bounds(value: object) -> tuple[float, float]:
    """The two ends of a range."""
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"is {value!r}; write the least and the greatest value, as [1, 200]")
    for end in value:
        if isinstance(end, bool) or not isinstance(end, int | float) or not math.isfinite(end):
            raise ValueError(f"has {end!r} for an end; the ends of a range are finite numbers")
    low, high = value
    if low > high:
        raise ValueError(f"is [{low}, {high}], upside down: SageMaker's MinValue is below its MaxValue; swap them")
    if low == high:
        raise ValueError(f"is the one value {low}, which needs no tuning; write it under train.hyperparameters")
    return low, high


def _whole_bounds(value: object) -> tuple[float, float]:
    low, high = _bounds(value)
    for end in (low, high):
        if not isinstance(end, int):
            raise ValueError(f"has {end} for an end; an integer's are whole numbers, or write continuous:")
    return low, high


def _schema_of_bounds(kind: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "array", "items": {"type": kind}, "minItems": 2, "maxItems": 2})


Bounds = Annotated[tuple[float, float], BeforeValidator(checked(_bounds)), _schema_of_bounds("number")]
WholeBounds = Annotated[tuple[int, int], BeforeValidator(checked(_whole_bounds)), _schema_of_bounds("integer")]


class Range(Model):
    """The values of one hyperparameter: two ends and a scale, or a list of categories."""

    continuous: Annotated[Bounds | None, Field(description="Numbers from the first to the second")] = None
    integer: Annotated[WholeBounds | None, Field(description="Whole numbers from the first to the second")] = None
    categorical: Annotated[Sequence[Hyperparameter] | None, Field(description="These values and no others")] = None
    scale: Annotated[Scale, Field(description="How values are spread over the range; auto lets SageMaker choose")] = (
        "auto"
    )

    @property
    def kind(self) -> str:
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The ends; None of categories."""
        return self.continuous or self.integer

    @model_validator(mode="after")
    def _possible(self) -> Range:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if not given:
            raise refusal("says no values; write integer: [1, 200], continuous: [0.01, 0.5] or categorical: [a, b]")
        if len(given) > 1:
            raise refusal(f"is given, and {given[0]} too; a range is one of {', '.join(KINDS)}", given[1])
        if self.categorical is None:
            self._check_scale()
        else:
            _check_categories(self.categorical, self.scale)
        return self

    def _check_scale(self) -> None:
        low, high = self.bounds or (0.0, 0.0)
        if self.scale == "logarithmic" and low <= 0:
            message = f"is logarithmic, but the range begins at {low}; SageMaker takes that scale above 0 only"
            raise refusal(message, "scale")
        if self.scale != "reverse-logarithmic":
            return
        if self.integer:
            message = "is reverse-logarithmic, which SageMaker takes for continuous ranges only; write linear"
            raise refusal(message, "scale")
        if low < 0 or high >= 1:
            message = (
                f"is reverse-logarithmic, but the range is [{low}, {high}]; SageMaker takes it for 0 <= x < 1 only"
            )
            raise refusal(message, "scale")


def _check_categories(values: Sequence[str], scale: str) -> None:
    at = "categorical"
    if not values:
        raise refusal("is empty; write the values to try, as [sqrt, log2]", at)
    if len(values) > CATEGORIES:
        raise refusal(f"has {len(values)} values; SageMaker takes at most {CATEGORIES}", at)
    if len(set(values)) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise refusal(f"has {twice!r} twice; write each value once", at)
    for value in values:
        if not 0 < len(value) <= CATEGORY_LENGTH:
            raise refusal(f"has a value of {len(value)} characters; SageMaker takes 1 to {CATEGORY_LENGTH}", at)
    if scale != "auto":
        raise refusal(f"is {scale}, but categories have no scale; leave it out", "scale")


def check_ranges(ranges: Mapping[str, Range], static: Mapping[str, str]) -> None:
    """Raises a refusal for names and numbers of ranges that SageMaker wouldn't take.

    Args:
        static: `train.hyperparameters`, which have one value each.
    """
    if not ranges:
        raise refusal("is empty; write a range for each hyperparameter to tune", "tune", "ranges")
    if len(ranges) > RANGES:
        raise refusal(f"has {len(ranges)} entries; SageMaker tunes at most {RANGES}", "tune", "ranges")
    for name in ranges:
        at = ("tune", "ranges", name)
        if not 0 < len(name) <= HYPERPARAMETER_KEY:
            raise refusal(f"has a name of {len(name)} characters; it takes 1 to {HYPERPARAMETER_KEY}", *at)
        if name.startswith(("sagemaker_", "_tuning")):
            raise refusal("is a name of SageMaker's own (sagemaker_…, _tuning…); choose another", *at)
        if name in static:
            message = (
                f"is tuned, and train.hyperparameters says {static[name]!r} too; SageMaker takes a hyperparameter as a "
                "static or a tunable one: leave it out there"
            )
            raise refusal(message, *at)


def parameter_ranges(ranges: Mapping[str, Range]) -> dict[str, Any]:
    """ParameterRanges, as the API has them: all values are text."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, one in ranges.items():
        found.setdefault(f"{one.kind.capitalize()}ParameterRanges", []).append(_range(name, one))
    return found


def _range(name: str, one: Range) -> dict[str, Any]:
    if one.categorical is not None:
        return {"Name": name, "Values": list(one.categorical)}
    low, high = one.bounds or (0.0, 0.0)
    return {"Name": name, "MinValue": json.dumps(low), "MaxValue": json.dumps(high), "ScalingType": _SCALES[one.scale]}
