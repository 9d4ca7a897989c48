"""`shadow` of `deploy.shift`: the challenger sees a copy of the traffic for a while, before any is its own.

Sources: developer guide, "Testing models with shadow variants", "Create a shadow test" (30 days at most), "Shadow
tests: Exclusions"; API reference, CreateEndpointConfig (ShadowProductionVariants).
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from ratchet.spec import units
from ratchet.spec.errors import checked, refusal
from ratchet.spec.fields import duration
from ratchet.spec.instances import INF1

# Metrics come once a minute, captured answers every few minutes.
SHORTEST_SHADOW, LONGEST_SHADOW = 5 * units.SECONDS["m"], 30 * units.SECONDS["d"]
WITH_SHADOW = "{shadow: 1h, then: {canary: 10%}}"
_PERCENT_SCHEMA = {"type": "string", "pattern": r"^\d{1,3} ?%$", "examples": ["50%"]}


def _percent(value: object) -> float:
    """`50%` as 0.5."""
    found = re.fullmatch(r"(\d{1,3}) ?%", value.strip()) if isinstance(value, str) else None
    if found is None or not 1 <= int(found[1]) <= 100:
        raise ValueError(f"is {value!r}; write 1% to 100%, in whole percent")
    return int(found[1]) / 100


ShadowSeconds = Annotated[
    int, *duration(SHORTEST_SHADOW, LONGEST_SHADOW, what="a shadow, whose metrics and answers come in minutes,")
]
Percent = Annotated[float, BeforeValidator(checked(_percent)), WithJsonSchema(_PERCENT_SCHEMA)]


def check_together(shift: Any, ways: list[str]) -> None:
    """Raises a refusal where what is said of a shift doesn't go with its shadow, or has none to go with."""
    if shift.shadow is None:
        for name in ("share", "agree", "then"):
            if name in shift.model_fields_set:
                raise refusal(f"is said, but there is no shadow; write {WITH_SHADOW}", name)
        return
    for name in (*ways, "bake", "every"):
        if getattr(shift, name) is not None:
            raise refusal(f"is said beside shadow; what comes after the shadow is then's: write {WITH_SHADOW}", name)
    if shift.then and shift.then.shadow is not None:
        raise refusal("is said again: there is one shadow, before the shift; write then: {canary: 10%} or all", "then")


def check_shadow(deploy: Any) -> None:
    """Raises a refusal where the endpoint can have no shadow, or nothing would be judged by it."""
    if deploy.kind != "endpoint":
        message = (
            f"is said, but kind is {deploy.kind}: SageMaker has shadows of real-time endpoints alone; leave it out"
        )
        raise refusal(message, "shift", "shadow")
    if deploy.chain:
        message = (
            "is said beside deploy.chain: SageMaker has no shadows of models with several containers; leave it out"
        )
        raise refusal(message, "shift", "shadow")
    if inf1 := deploy.instance.of(INF1):
        message = f"is said, but the instance is {inf1}: SageMaker has no shadows on Inf1; leave it out"
        raise refusal(message, "shift", "shadow")
    watched = deploy.rollback_on
    if deploy.shift.agree is None and not (watched and (watched.errors is not None or watched.latencies)):
        message = (
            "is said, but nothing says what it is judged by; write agree: 95% beside it, or rollback_on: {errors: 1%}"
        )
        raise refusal(message, "shift", "shadow")
