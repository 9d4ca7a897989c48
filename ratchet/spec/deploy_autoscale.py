"""`deploy.autoscale` of pipeline.yaml: how many instances the endpoint has, by its requests and by the clock.

What Application Auto Scaling and SageMaker exclude is refused when the file is read. Sources: developer guide,
"Automatic scaling of Amazon SageMaker AI models", "Configure model auto scaling with the console"; Application Auto
Scaling API reference, PutScalingPolicy, PutScheduledAction.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from contract.endpoint_kinds import ASYNC_KIND
from ratchet.spec import schedule
from ratchet.spec.errors import checked, refusal
from ratchet.spec.fields import duration
from ratchet.spec.instances import InstanceTypes
from ratchet.spec.model import Example, Model

MOST = 100
LONGEST_COOLDOWN = 86_400
# TargetTrackingScalingPolicyConfiguration, of a variant.
DEFAULT_COOLDOWN = 300
# Of DescribeScheduledActions' answers one has so many.
MOST_TIMES = 50

Cooldown = Annotated[int, *duration(0, LONGEST_COOLDOWN, what="a cooldown")]
Count = Annotated[int, Field(ge=1, le=MOST)]
_BURSTABLE = re.compile(r"ml\.t\d[a-z]*\.")


def _when(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"is {value!r}; write cron(0 8 ? * MON-FRI *) or rate(1 day)")
    return schedule.check(value)


def _zone(value: object) -> str:
    try:
        return ZoneInfo(str(value)).key
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"is {value!r}, which is no time zone; write one as Europe/Berlin") from error


class Time(Model):
    """From a time on there are other limits; the instances are brought within them then."""

    at: Annotated[
        str,
        BeforeValidator(checked(_when)),
        WithJsonSchema({"type": "string", "examples": ["cron(0 8 ? * MON-FRI *)", "rate(1 day)"]}),
        Example("at: cron(0 8 ? * MON-FRI *)"),
        Field(description="When, as triggers.schedule says it, in the time of `zone`"),
    ]
    zone: Annotated[
        str,
        BeforeValidator(checked(_zone)),
        WithJsonSchema({"type": "string", "examples": ["Europe/Berlin"]}),
        Field(description="Whose clock cron() looks at"),
    ] = "UTC"
    min: Count | None = None
    max: Count | None = None

    @model_validator(mode="after")
    def _limits(self) -> Time:
        if self.min is None and self.max is None:
            raise refusal("changes nothing; write min, max or both")
        _check_limits(self.min, self.max)
        return self


class Autoscale(Model):
    """Instances come and go between `min` and `max`. Cooldowns are in seconds."""

    min: Annotated[Count, Field(description="Never fewer instances; also how many a first endpoint begins with")] = 1
    max: Annotated[Count, Example("max: 4"), Field(description="Never more instances")]
    invocations_per_instance: Annotated[
        float | None,
        Field(gt=0, le=10_000_000, description="Requests a minute that each instance is to have, about"),
    ] = None
    cooldown_out: Annotated[Cooldown, Field(description="How long instances that came count as part of the next")] = (
        DEFAULT_COOLDOWN
    )
    cooldown_in: Annotated[Cooldown, Field(description="How long none goes after one went")] = DEFAULT_COOLDOWN
    schedule: Annotated[Sequence[Time], Field(description="Other limits from a time on", max_length=MOST_TIMES)] = ()

    @model_validator(mode="after")
    def _possible(self) -> Autoscale:
        _check_limits(self.min, self.max)
        if self.invocations_per_instance is None and not self.schedule:
            raise refusal(
                "says limits, and nothing by which instances come and go; write invocations_per_instance: 1000 "
                "(a minute), or schedule"
            )
        if self.min == self.max and not self.schedule:
            raise refusal(f"has {self.min} as min and as max, so that nothing is scaled; write instance_count", "max")
        return self


def _check_limits(low: int | None, high: int | None) -> None:
    if low is not None and high is not None and low > high:
        raise refusal(f"is {low}, and max is {high}; at least as many instances must be allowed", "min")


def check_autoscale(autoscale: Autoscale, *, kind: str, instance: InstanceTypes, count: int | None) -> None:
    """Raises a refusal where an endpoint can't be scaled, or where its instances are counted otherwise.

    count: `instance_count`, where it is said.
    """
    if kind == ASYNC_KIND and autoscale.invocations_per_instance is not None:
        raise refusal(
            "is said, but kind is async: requests wait in its queue, and invocations don't tell how many (developer "
            "guide, Autoscale an asynchronous endpoint); write schedule alone",
            "autoscale",
            "invocations_per_instance",
        )
    burstable = next((one for one in instance.in_order if _BURSTABLE.match(one)), None)
    if burstable is not None:
        raise refusal(
            f"is said, but the instance is {burstable}: SageMaker scales no burstable instances (T2, T3); write "
            "instance: ml.m5.large, or leave it out",
            "autoscale",
        )
    if count is not None and not autoscale.min <= count <= autoscale.max:
        raise refusal(
            f"is {count}, outside of autoscale's {autoscale.min} to {autoscale.max}; leave it out: a first endpoint "
            "begins with autoscale's min",
            "instance_count",
        )
