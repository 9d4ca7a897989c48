"""Schedules of EventBridge rules count from where they were before a restart.

A laptop is off at night: an occurrence that was missed while the server was down happens once, when it is up again.
MiniStack starts to count anew at each start, so that `rate(7 days)` would never come.

A field of cron() holds numbers of its range only: with others MiniStack makes a set of as many as there are between
them, at every look, or fails on a date that there isn't, and no rule's time comes any more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws

# In the rule's record, which is kept; DescribeRule doesn't show it.
LAST_FIRED = "_LastFired"


def install(aws: EmbeddedAws) -> None:
    from ministack.services import eventbridge

    tick = eventbridge._tick_scheduled_rules

    def _tick_scheduled_rules() -> None:
        scheduled = {key: rule for key, rule in list(eventbridge._rules._data.items()) if rule["ScheduleExpression"]}
        recall(scheduled, eventbridge._rule_last_fired, eventbridge._now_ts())
        tick()
        if remember(scheduled, eventbridge._rule_last_fired):
            aws.changed("eventbridge")

    eventbridge._tick_scheduled_rules = _tick_scheduled_rules
    eventbridge._cron_field = within_range(eventbridge._cron_field)


def within_range(expand: Callable[..., frozenset[int]]) -> Callable[..., frozenset[int]]:
    """`expand`, which makes a field of cron() a set of numbers; ValueError for one with others than it may have."""

    def _cron_field(field: str, lo: int, hi: int, names: Mapping[str, int] | None = None) -> frozenset[int]:
        values = (part.partition("/")[0] for part in field.split(","))
        if any(not lo <= int(number) <= hi for value in values for number in re.findall(r"\d+", value)):
            raise ValueError(f"{field}: the numbers here are {lo} to {hi}")
        return expand(field, lo, hi, names)

    return _cron_field


def recall(rules: dict[Any, dict[str, Any]], last_fired: dict[Any, float], now: float) -> None:
    """Let each schedule count from its last occurrence, or from when it was made; forget rules that are gone."""
    for key in set(last_fired) - set(rules):
        del last_fired[key]
    for key, rule in rules.items():
        if key not in last_fired:
            # A rule of a stack has no time of its own.
            made = rule.setdefault("CreationTime", now)
            last_fired[key] = rule.get(LAST_FIRED, made)


def remember(rules: dict[Any, dict[str, Any]], last_fired: dict[Any, float]) -> bool:
    """Write the last occurrences into the rules; whether any is new."""
    fired = {key: rule for key, rule in rules.items() if last_fired.get(key) != _known(rule)}
    for key, rule in fired.items():
        rule[LAST_FIRED] = last_fired[key]
    return bool(fired)


def _known(rule: dict[str, Any]) -> Any:
    return rule.get(LAST_FIRED, rule["CreationTime"])
