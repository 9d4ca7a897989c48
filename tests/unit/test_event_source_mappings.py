"""Which event source mappings are looked at, and how often the function's role is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ministack.services import lambda_svc, sqs

from localaws.ministack_adapter import events

QUEUES: dict[str, list[str]] = {"arn:busy": ["a message"], "arn:empty": []}
MAPPINGS = [{"UUID": arn, "EventSourceArn": arn} for arn in (*QUEUES, "arn:of-a-stream")]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The mappings whose role was asked for; nothing of MiniStack's is changed afterwards."""
    found: list[str] = []

    def may_read(mapping: dict[str, Any]) -> bool:
        found.append(mapping["UUID"])
        return True

    def queue(arn: str) -> dict[str, Any] | None:
        return {"messages": QUEUES[arn]} if arn in QUEUES else None

    monkeypatch.setattr(lambda_svc, "_iter_all_esms", lambda: iter([("1", "r", each) for each in MAPPINGS]))
    monkeypatch.setattr(sqs, "_queue_by_arn", queue)
    monkeypatch.setattr(events, "_may_read", may_read)
    events._authorize_mappings()
    yield found


def looked_at() -> list[str]:
    return [mapping["UUID"] for _, _, mapping in lambda_svc._iter_all_esms()]


def test_one_of_an_empty_queue_is_left_out_until_something_comes(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert looked_at() == ["arn:busy", "arn:of-a-stream"]
    monkeypatch.setitem(QUEUES, "arn:empty", ["another"])
    assert looked_at() == ["arn:busy", "arn:empty", "arn:of-a-stream"]


def test_the_role_is_asked_for_again_within_a_second_where_messages_wait(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(events.time, "monotonic", lambda: now[0])
    looked_at()
    assert sorted(asked) == sorted([*QUEUES, "arn:of-a-stream"]), "each once, also that of an empty queue"
    now[0] += 1.5
    asked.clear()
    looked_at()
    assert asked == ["arn:busy", "arn:of-a-stream"]
    now[0] += 20.0
    asked.clear()
    looked_at()
    assert "arn:empty" in asked
