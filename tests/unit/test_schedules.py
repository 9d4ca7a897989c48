"""Schedules after a restart: nothing missed is lost, nothing comes twice."""

from __future__ import annotations

from typing import Any

import pytest
from ministack.services import eventbridge

from localaws.ministack_adapter.schedules import LAST_FIRED, recall, remember, within_range


def test_a_new_rule_counts_from_when_it_was_made() -> None:
    rules: dict[Any, dict[str, Any]] = {"api": {"CreationTime": 50.0}, "stack": {}}
    last_fired: dict[Any, float] = {}
    recall(rules, last_fired, now=100.0)
    assert last_fired == {"api": 50.0, "stack": 100.0}
    assert not remember(rules, last_fired)


def test_after_a_restart_a_rule_counts_from_its_last_occurrence() -> None:
    rules: dict[Any, dict[str, Any]] = {"r": {"CreationTime": 0.0}}
    before: dict[Any, float] = {}
    recall(rules, before, now=10.0)
    before["r"] = 300.0
    assert remember(rules, before)
    assert rules["r"][LAST_FIRED] == 300.0
    after: dict[Any, float] = {}
    recall(rules, after, now=5000.0)
    assert after == {"r": 300.0}


def test_a_rule_that_is_gone_is_forgotten() -> None:
    last_fired: dict[Any, float] = {"gone": 1.0}
    recall({}, last_fired, now=2.0)
    assert last_fired == {}


@pytest.mark.fidelity(
    "EventBridge",
    "A field of cron() has the numbers of its range: minutes to 59, hours to 23, years from 1970 to 2199.",
    "EventBridge User Guide, Cron expressions reference",
)
@pytest.mark.parametrize(
    "expression",
    [
        "cron(0-99999999/1 * * * ? *)",
        "cron(0/5,60 * * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 0 0-31 * ? *)",
        "cron(0 0 ? * 8 *)",
        "cron(0 0 1 13 ? *)",
        "cron(0 0 1 1 ? 1-999999999999)",
    ],
)
def test_a_number_out_of_its_range_is_no_schedule(expression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventbridge, "_cron_field", within_range(eventbridge._cron_field))
    assert not eventbridge._validate_schedule_expression(expression)


@pytest.mark.parametrize("expression", ["cron(0/15 8-17 ? * MON-FRI *)", "cron(59 23 L 12 ? 1970-2199)"])
def test_what_is_a_schedule(expression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventbridge, "_cron_field", within_range(eventbridge._cron_field))
    assert eventbridge._validate_schedule_expression(expression)
