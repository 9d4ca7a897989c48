"""Instance types: one, or several that are tried in their order where there is no capacity for the first."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema

from ratchet.spec import units
from ratchet.spec.errors import checked, refusal
from ratchet.spec.fields import duration

# "You can specify an ordered list of up to five instance types" (InstancePools of an endpoint's configuration).
MOST = 5
LONGEST_WAIT = 7 * units.SECONDS["d"]
# Unless said.
WAIT = 30 * units.SECONDS["m"]

# The family for which SageMaker has neither deployment guardrails nor shadows.
INF1 = "ml.inf1"

# TransformInstanceType, API reference, by its families.
_OF_TRANSFORM_JOBS = frozenset(
    "m4 c4 p2 p3 c5 m5 m6i c6i r6i m7i c7i r7i g4dn g5 trn1 inf2 g6 g6e".split()  # noqa: SIM905 - a line is enough
)

_INSTANCE = re.compile(r"ml\.[a-z][a-z0-9-]*\.(?:nano|micro|small|medium|large|metal|\d*xlarge|metal-\d+xl)")


def is_of_transform_jobs(instance: str) -> bool:
    """Whether SageMaker runs transform jobs on such instances; it has fewer types for them than for others."""
    return instance.split(".")[1] in _OF_TRANSFORM_JOBS


class InstanceTypes(str):
    """An instance type, and those that are tried `instead`. As a text it is the first one."""

    instead: tuple[str, ...]

    def __new__(cls, first: str, *instead: str) -> InstanceTypes:
        made = super().__new__(cls, first)
        made.instead = instead
        return made

    @property
    def in_order(self) -> tuple[str, ...]:
        """All of them."""
        return (str(self), *self.instead)

    def of(self, family: str) -> str | None:
        """The first of them that is of a family, as ml.inf1."""
        return next((one for one in self.in_order if one.startswith(f"{family}.")), None)


def _types(value: object) -> InstanceTypes:
    """One type as a text, or a list of them."""
    if isinstance(value, InstanceTypes):
        return value
    entries = value if isinstance(value, list) else [value]
    if not 1 <= len(entries) <= MOST:
        raise ValueError(f"has {len(entries)} entries; a list of instance types has 1 to {MOST}")
    for entry in entries:
        _check(entry)
    twice = next((entry for index, entry in enumerate(entries) if entry in entries[:index]), None)
    if twice is not None:
        raise ValueError(f"has {twice} twice; write each instance type once, in the order in which to try them")
    return InstanceTypes(*entries)


def check_one(types: InstanceTypes, why: str, *at: str) -> None:
    """Raises a refusal of several types, where `why` holds."""
    if types.instead:
        raise refusal(f"is a list, and {why}: write one instance type", *at, "instance")


def _check(entry: object) -> None:
    if isinstance(entry, str) and _INSTANCE.fullmatch(entry):
        return
    meant = isinstance(entry, str) and _INSTANCE.fullmatch(f"ml.{entry}")
    right = f"; did you mean ml.{entry}?" if meant else "; write one as ml.m5.large"
    raise ValueError(f"is {entry!r}, which is no SageMaker instance type{right}")


_ONE: dict[str, Any] = {"type": "string", "examples": ["ml.m5.large"]}
_SCHEMA = {"anyOf": [_ONE, {"type": "array", "items": _ONE, "minItems": 1, "maxItems": MOST, "uniqueItems": True}]}

Instances = Annotated[
    InstanceTypes, PlainValidator(checked(_types)), PlainSerializer(str, return_type=str), WithJsonSchema(_SCHEMA)
]
WaitSeconds = Annotated[
    int,
    *duration(0, LONGEST_WAIT, what="waiting for instances"),
    Field(description="How long a run asks again for instances that are not to be had for now"),
]
