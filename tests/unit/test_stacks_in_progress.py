"""Stacks are looked at between requests as long as one of them goes on by itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from localaws.ministack_adapter.growing_state import StackState


def state(stack: dict[str, Any], change_set: dict[str, Any]) -> StackState:
    stores = {"stacks": SimpleNamespace(_data={"s": stack}), "change_sets": SimpleNamespace(_data={"c": change_set})}
    return StackState(lambda: stores)


@pytest.mark.parametrize(
    ("stack", "change_set", "goes_on"),
    [
        ("CREATE_COMPLETE", {"Status": "CREATE_COMPLETE", "ExecutionStatus": "EXECUTE_COMPLETE"}, False),
        ("UPDATE_ROLLBACK_COMPLETE", {"Status": "FAILED", "ExecutionStatus": "UNAVAILABLE"}, False),
        ("ROLLBACK_FAILED", {}, False),
        ("CREATE_IN_PROGRESS", {}, True),
        ("DELETE_IN_PROGRESS", {}, True),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", {}, True),
        ("CREATE_COMPLETE", {"Status": "CREATE_PENDING"}, True),
        ("CREATE_COMPLETE", {"Status": "CREATE_COMPLETE", "ExecutionStatus": "EXECUTE_IN_PROGRESS"}, True),
    ],
)
def test_what_goes_on_by_itself(stack: str, change_set: dict[str, Any], goes_on: bool) -> None:
    assert state({"StackStatus": stack}, change_set).in_progress is goes_on


def test_nothing_goes_on_where_there_is_nothing() -> None:
    none: Any = SimpleNamespace(_data={})
    assert not StackState(lambda: {"stacks": none, "change_sets": none}).in_progress
