"""Branches in branches run at once as far as their execution has threads, and one by one beyond that, in order."""

from __future__ import annotations

import threading

import pytest

from localaws.states import together
from localaws.states.cancellation import Cancellation
from localaws.states.errors import StatesError
from localaws.states.together import run_together


def _nested(depth: int, width: int, seen: set[int]) -> list[object]:
    def run(_: Cancellation) -> object:
        seen.add(threading.active_count())
        return _nested(depth - 1, width, seen) if depth else 1

    return run_together([run] * width, 40, Cancellation())


def _leaves(value: object) -> int:
    return sum(map(_leaves, value)) if isinstance(value, list) else 1


def test_maps_in_maps_share_the_threads_of_their_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "MOST_THREADS", 16)
    before, seen = threading.active_count(), set[int]()
    assert _leaves(_nested(3, 8, seen)) == 8**4
    assert max(seen) <= before + 16


def test_threads_come_back_and_the_next_execution_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "MOST_THREADS", 4)
    meeting = threading.Barrier(4, timeout=30)
    for _ in range(3):
        assert run_together([lambda _: meeting.wait() >= 0] * 4, 4, Cancellation()) == [True] * 4


def test_what_fails_one_by_one_fails_as_it_does_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "MOST_THREADS", 0)
    ran: list[int] = []

    def fail(_: Cancellation) -> None:
        ran.append(1)
        raise StatesError("Own", "wrong")

    shared = Cancellation()
    with pytest.raises(StatesError, match="wrong"):
        run_together([fail] * 5, 5, shared)
    assert (len(ran), shared.cancelled) == (1, True)
