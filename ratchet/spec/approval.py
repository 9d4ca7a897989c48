"""`approval` of pipeline.yaml: who lets a model that has passed the gate serve, and how long a run waits for that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from contract.approvals import AUTOMATIC, MANUAL
from ratchet.spec import units
from ratchet.spec.errors import checked
from ratchet.spec.fields import duration
from ratchet.spec.model import Model

WAYS = "automatic, manual and {manual: true, expires: 7d}"
DEFAULT_SECONDS = 7 * units.SECONDS["d"]
# A machine may wait for a year; data and champions of so long ago are no base for a decision.
LONGEST_SECONDS = 90 * units.SECONDS["d"]
Seconds = Annotated[int, *duration(1, LONGEST_SECONDS, what="waiting for an approval")]

_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"enum": [AUTOMATIC, MANUAL]},
        {
            "type": "object",
            "properties": {
                "manual": {"const": True},
                "expires": {"type": "string", "pattern": units.DURATION_PATTERN, "default": "7d"},
            },
            "required": ["manual"],
            "additionalProperties": False,
        },
    ]
}


class Approval(Model):
    """The gate's word is enough, or a person must approve too, within `expires` seconds."""

    manual: Annotated[bool, Field(description="Whether a person approves")] = False
    expires: Annotated[Seconds, Field(description="How long a run waits for that")] = DEFAULT_SECONDS


def _approval(value: object) -> object:
    if value == AUTOMATIC:
        return {}
    if value == MANUAL:
        return {"manual": True}
    if not isinstance(value, Mapping):
        raise ValueError(f"is {value!r}; there are {WAYS}")
    if value.get("manual") is not True:
        raise ValueError(f"has no manual: true, without which nothing expires; there are {WAYS}")
    return value


Approved = Annotated[Approval, BeforeValidator(checked(_approval)), WithJsonSchema(_SCHEMA)]
