"""When alarms went into ALARM, to the fraction of a second: MiniStack's history keeps whole seconds, in which an alarm
may begin and end. Who watches alarms (a deployment of an endpoint) misses none, however short."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws

_entered: dict[str, float] = {}


def install(aws: EmbeddedAws) -> None:  # noqa: ARG001 - every part is installed alike
    from ministack.services import cloudwatch

    record: Callable[..., None] = cloudwatch._record_history

    def _record_history(alarm_name: str, old_state: str, new_state: str, *more: Any, **named: Any) -> None:
        if new_state == "ALARM":
            _entered[alarm_name] = time.time()
        record(alarm_name, old_state, new_state, *more, **named)

    cloudwatch._record_history = _record_history


def has_entered(alarm_name: str, since: float) -> bool:
    """Whether an alarm went into ALARM at `since` (epoch seconds) or later."""
    return _entered.get(alarm_name, 0.0) >= since
