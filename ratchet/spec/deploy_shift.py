"""`deploy.shift` of pipeline.yaml: how traffic goes over to a new champion, and how long that may take.

What SageMaker limits is checked when the file is read. Sources: API reference, TrafficRoutingConfig,
BlueGreenUpdatePolicy, RollingUpdatePolicy, CapacitySize; developer guide, "Use canary traffic shifting", "Use linear
traffic shifting", "Use rolling deployments".
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from ratchet.spec.deploy_shadow import Percent, ShadowSeconds, check_together
from ratchet.spec.errors import checked, refusal
from ratchet.spec.fields import duration
from ratchet.spec.model import Model
from ratchet.spec.units import duration_text

Kind = Literal["canary", "linear", "rolling"]

# What a step may have of the instances, in percent.
SHARES: dict[Kind, tuple[int, int]] = {"canary": (1, 50), "linear": (10, 50), "rolling": (5, 50)}
_STEP: dict[Kind, str] = {"canary": "a canary", "linear": "a linear step", "rolling": "a rolling step"}
# A metric of an endpoint has a value a minute: what bakes for less is never looked at ("Amazon SageMaker AI endpoint
# invocation metrics").
SHORTEST_BAKING, LONGEST_WAIT = 60, 3600
DEFAULT_WAIT = 300
WAYS = "all, {canary: 10%, bake: 5m}, {linear: 25%, every: 5m} and {rolling: 25%, every: 5m}"


def all_or(value: object) -> object:
    """`all` is to shift nothing by steps."""
    if isinstance(value, str) and value != "all":
        raise ValueError(f"is {value!r}; write one of {WAYS}")
    return None if value == "all" else value


def with_all(schema: dict[str, Any]) -> None:
    """The schema of a shift, in which `all` is a word."""
    schema.update(anyOf=[{"const": "all"}, schema["anyOf"][0]], default="all")


_SIZE_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "string", "pattern": r"^\d+ ?%$", "examples": ["10%"]}, {"type": "integer", "minimum": 1}]
}
_BAKING = "baking, in which metrics come once a minute (SageMaker's WaitIntervalInSeconds),"
WaitSeconds = Annotated[int, *duration(SHORTEST_BAKING, LONGEST_WAIT, what=_BAKING)]


class Size(Model):
    """A part of the endpoint's instances: so many percent, or so many instances."""

    percent: int | None = None
    instances: int | None = None

    def share(self, of: int) -> float:
        """What it is of so many instances, in percent."""
        return self.percent if self.percent is not None else 100 * (self.instances or 0) / of

    def __str__(self) -> str:
        return f"{self.percent}%" if self.percent is not None else str(self.instances)


def _size(value: object) -> Size:
    percent = re.fullmatch(r"(\d{1,3}) ?%", value.strip()) if isinstance(value, str) else None
    if percent:
        return Size(percent=int(percent[1]))
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return Size(instances=value)
    raise ValueError(f"is {value!r}; write whole percent of the instances, as 10%, or how many instances, as 1")


Part = Annotated[Size, BeforeValidator(checked(_size)), WithJsonSchema(_SIZE_SCHEMA)]


class Shift(Model):
    """Traffic goes over in steps, each watched for a while; or as `then` says, after a shadow. Times are in seconds."""

    canary: Annotated[
        Part | None, Field(description="First so much of the new instances, then all: 10%, or how many instances")
    ] = None
    bake: Annotated[WaitSeconds | None, Field(description="How long the canary is watched; 5m unless said")] = None
    linear: Annotated[Part | None, Field(description="In steps of so much of the new instances")] = None
    rolling: Annotated[
        Part | None, Field(description="In steps of so much, each of which takes the place of as many old instances")
    ] = None
    every: Annotated[
        WaitSeconds | None, Field(description="How long a step of linear or rolling is watched; 5m unless said")
    ] = None

    shadow: Annotated[
        ShadowSeconds | None,
        Field(description="For so long the new model sees a copy of the traffic first, and its answers are compared"),
    ] = None
    share: Annotated[Percent | None, Field(description="Of the requests the shadow sees so many; all unless said")] = (
        None
    )
    agree: Annotated[
        Percent | None, Field(description="So many of the shadow's answers must be the champion's; told unless said")
    ] = None
    then: Annotated[
        Shift | None,
        BeforeValidator(checked(all_or)),
        Field(description="How traffic goes over after the shadow", json_schema_extra=with_all),
    ] = None

    @property
    def kind(self) -> Kind:
        return next(kind for kind in SHARES if getattr(self, kind) is not None)

    @property
    def size(self) -> Size:
        found: Size = getattr(self, self.kind)
        return found

    @property
    def wait(self) -> int:
        """Seconds for which a step is watched."""
        said = self.bake if self.kind == "canary" else self.every
        return DEFAULT_WAIT if said is None else said

    def steps(self, instances: int) -> int:
        """How many waits there are until all traffic has gone over."""
        return 1 if self.kind == "canary" else math.ceil(100 / self.size.share(instances))

    @model_validator(mode="after")
    def _one_way(self) -> Shift:
        check_together(self, list(SHARES))
        if self.shadow is not None:
            return self
        said = [kind for kind in SHARES if getattr(self, kind) is not None]
        if len(said) != 1:
            told = f"says {' and '.join(said)}" if said else "says no way"
            raise refusal(f"{told}; write one of {WAYS}")
        wrong, right = ("every", "bake") if said == ["canary"] else ("bake", "every")
        if getattr(self, wrong) is not None:
            raise refusal(
                f"is said, but {said[0]} has {right}; write {right}: {duration_text(getattr(self, wrong))}", wrong
            )
        return self


def check_shift(shift: Shift, *, instances: int, is_scaled: bool, at: Sequence[str]) -> None:
    """Raises a refusal where the steps, which are said at `at`, don't go with the endpoint's instances."""
    if is_scaled and shift.size.instances is not None:
        message = (
            f"is {shift.size}, a number of instances, and autoscale changes how many there are; write percent, as 25%"
        )
        raise refusal(message, *at, shift.kind)
    (least, most), share = SHARES[shift.kind], shift.size.share(instances)
    if least <= share <= most:
        return
    counted = (
        ""
        if shift.size.percent is not None
        else f" of {instances} {'instance' if instances == 1 else 'instances'}, {share:.3g} %"
    )
    words = f"at most {most} %" if least == 1 else f"{least} to {most} %"
    few = least <= 100 / instances <= most
    right = f"{most}%" + (", or 1" if few else "")
    message = (
        f"is {shift.size}{counted}; SageMaker takes {words} of the instances for {_STEP[shift.kind]}: write {right}"
    )
    raise refusal(message, *at, shift.kind)
