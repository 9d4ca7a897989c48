"""Schedules of EventBridge rules count from where they were before a restart.

A laptop is off at night: an occurrence that was missed while the server was down happens once, when it is up again.
MiniStack starts to count anew at each start, so that `rate(7 days)` would never come.
"""

from __future__ import annotations

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
