"""Schedules after a restart: nothing missed is lost, nothing comes twice."""

from __future__ import annotations

from typing import Any

from localaws.ministack_adapter.schedules import LAST_FIRED, recall, remember


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
