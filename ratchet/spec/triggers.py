"""`triggers` of pipeline.yaml: what starts a run, besides a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from ratchet.spec import schedule, units
from ratchet.spec.errors import checked
from ratchet.spec.fields import duration
from ratchet.spec.model import Model

QuietSeconds = Annotated[int, *duration(0, units.SECONDS["h"], what="a quiet period")]
Schedule = Annotated[
    str, AfterValidator(checked(schedule.check)), Field(examples=["rate(7 days)", "cron(0 3 * * ? *)"])
]


def _data_trigger(value: object) -> object:
    """`true` is the trigger with its default quiet period, `false` is none."""
    return {} if value is True else None if value is False else value


_DATA_TRIGGER_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "boolean"},
        {
            "type": "object",
            "properties": {"quiet": {"type": "string", "pattern": units.DURATION_PATTERN, "default": "30s"}},
            "additionalProperties": False,
        },
    ]
}
_TRUE_OR_FALSE_OR_MORE = (BeforeValidator(_data_trigger), WithJsonSchema(_DATA_TRIGGER_SCHEMA))


class DataTrigger(Model):
    """New objects start a run, once nothing more has arrived for `quiet` seconds."""

    quiet: QuietSeconds = 30


def at_most(quiet: int, longest: int | None) -> int:
    """A pipeline's quiet period where the environment has a longest one."""
    return quiet if longest is None else min(quiet, longest)


class Triggers(Model):
    """The events that start a run, besides a person's command."""

    not_yet: ClassVar[Mapping[str, str]] = {"drift": "the drift trigger"}

    data: Annotated[
        DataTrigger | None,
        *_TRUE_OR_FALSE_OR_MORE,
        Field(description="New objects under a channel's prefix: true, false, or {quiet: 30s}"),
    ] = DataTrigger()
    schedule: Annotated[Schedule | None, Field(description="rate(…) or cron(…), in UTC")] = None
    code: Annotated[bool, Field(description="New code deployed")] = True

    def with_quiet_at_most(self, longest: int | None) -> Triggers:
        """The same, with no longer quiet period."""
        if self.data is None:
            return self
        return self.model_copy(update={"data": DataTrigger.model_construct(quiet=at_most(self.data.quiet, longest))})
