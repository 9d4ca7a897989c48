"""`deploy.rollback_on` of pipeline.yaml: what of the new fleet, while traffic goes over to it, brings the old one back.

Sources: developer guide, "Auto-Rollback Configuration and Monitoring", "Amazon SageMaker AI endpoint invocation
metrics"; API reference, AutoRollbackConfig; CloudWatch API reference, PutMetricAlarm.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from contract import names
from contract.endpoint_kinds import ASYNC_KIND
from ratchet.spec import units
from ratchet.spec.errors import checked, refusal
from ratchet.spec.model import Model

ALARMS = 10
ALARM_NAME = 255
# A model must have answered by then, in milliseconds; a latency above it is none (InvokeEndpoint, and
# InvocationTimeoutSeconds of InvokeEndpointAsync, API reference).
LONGEST_LATENCY, LONGEST_ASYNC_LATENCY = 60_000, 3_600_000

_PERCENT_PATTERN = r"^\d+(\.\d+)? ?%$"
# In a policy's resource a name with one of these is a pattern (IAM User Guide, "Resource").
_PATTERNS = ("*", "?", "$")


def _share(value: object) -> float:
    """`1%` as 0.01."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?%", value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"is {value!r}; write how many percent of the requests may end in an error, as 1%")
    if float(found[1]) >= 100:
        raise ValueError(f"is {value}; no more than all requests end in an error: write less than 100%, as 1%")
    return float(found[1]) / 100


def _milliseconds(value: object) -> int:
    number = units.milliseconds(value, "500ms")
    if not 0 < number <= LONGEST_ASYNC_LATENCY:
        raise ValueError(f"is {value}; SageMaker waits 60s for an answer, 3600s for an asynchronous one: write less")
    return number


def _alarm(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"is {value!r}; it must be the name of a CloudWatch alarm, a text")
    if not 0 < len(value) <= ALARM_NAME or not value.strip() or not value.isprintable():
        raise ValueError(f"is {value!r}; an alarm's name has 1 to {ALARM_NAME} printable characters")
    if value.startswith("arn:"):
        raise ValueError(f"is {value!r}; SageMaker takes an alarm's name: write what is behind `:alarm:`")
    if any(character in value for character in _PATTERNS):
        raise ValueError(
            f"is {value!r}, with one of {' '.join(_PATTERNS)}: IAM reads that as a pattern, which would open other "
            "alarms to the pipeline; name the alarm otherwise"
        )
    return value


Share = Annotated[
    float,
    BeforeValidator(checked(_share)),
    WithJsonSchema({"type": "string", "pattern": _PERCENT_PATTERN, "examples": ["1%"]}),
]
Latency = Annotated[
    int,
    BeforeValidator(checked(_milliseconds)),
    WithJsonSchema({"type": "string", "pattern": units.SHORT_PATTERN, "examples": ["500ms", "2s"]}),
]
AlarmName = Annotated[
    str,
    BeforeValidator(checked(_alarm)),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": ALARM_NAME}),
]


class RollbackOn(Model):
    """What ends a deployment: each in any minute of it. Latencies are in milliseconds, `errors` is a share."""

    errors: Annotated[
        Share | None, Field(description="More than this of the new fleet's answers are server errors (5xx)")
    ] = None
    p50_latency: Annotated[Latency | None, Field(description="The new fleet's median latency is above this")] = None
    p90_latency: Annotated[Latency | None, Field(description="Of ten answers one takes longer than this")] = None
    p99_latency: Annotated[Latency | None, Field(description="Of a hundred answers one takes longer than this")] = None
    alarms: Annotated[
        Sequence[AlarmName], Field(description="CloudWatch alarms of your own, by name, of whatever they watch")
    ] = ()

    @property
    def latencies(self) -> dict[str, int]:
        """Percentile → milliseconds."""
        said = {percentile: getattr(self, f"{percentile}_latency") for percentile in names.PERCENTILES}
        return {percentile: limit for percentile, limit in said.items() if limit is not None}

    @property
    def own(self) -> int:
        """How many alarms a run makes itself."""
        return len(self.latencies) + (self.errors is not None)

    @model_validator(mode="after")
    def _some(self) -> RollbackOn:
        for index, name in enumerate(self.alarms):
            if name in self.alarms[:index]:
                raise refusal(f"is {name!r} again; name each alarm once", "alarms", index)
        if not self.own and not self.alarms:
            raise refusal("names nothing; write errors: 1%, p99_latency: 500ms or alarms: [an-alarm], or leave it out")
        if self.own + len(self.alarms) > ALARMS:
            message = (
                f"has {len(self.alarms)} names, and a run makes {self.own} more alarms; SageMaker takes at most "
                f"{ALARMS} in all"
            )
            raise refusal(message, "alarms")
        return self


def check_latencies(alarms: RollbackOn | None, kind: str) -> None:
    """Raises a refusal of a latency that no answer has, since SageMaker has given it up by then."""
    for percentile, limit in alarms.latencies.items() if alarms and kind != ASYNC_KIND else ():
        if limit > LONGEST_LATENCY:
            message = f"is {limit / 1000:g}s; SageMaker waits 60s for an answer: write 1ms to 60s"
            raise refusal(message, "rollback_on", f"{percentile}_latency")
