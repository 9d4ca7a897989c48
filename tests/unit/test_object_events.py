"""S3's events: written down, delivered in order, and forgotten when what they brought about is on disk."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from ministack.services import s3
from waiting import until

from localaws.ministack_adapter.durability import Durability
from localaws.ministack_adapter.journal import Journal
from localaws.ministack_adapter.s3_events import SERVICE, ObjectEvents


class Recorder:
    """An embedded AWS as far as events are concerned: what it is told, in order."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def changed(self, service: str) -> None:
        self.told.append(service)


@pytest.fixture
def delivered(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The keys of the events that were delivered."""
    found: list[Any] = []
    monkeypatch.setattr(s3, "_bucket_notifications", {"b": "<NotificationConfiguration/>"})
    monkeypatch.setattr(s3, "_fire_s3_event", lambda *event, **_: found.append(event[1]))
    return found


def test_an_event_is_taken_before_and_delivered_behind_the_put(delivered: list[Any]) -> None:
    aws: Any = Recorder()
    events = ObjectEvents(aws)
    events.accept("other", "nobody listens", "s3:ObjectCreated:Put")
    for key in ("1", "2", "3"):
        events.accept("b", key, "s3:ObjectCreated:Put", 5, "etag", version_id="v")
    assert (len(events.pending), aws.told, delivered) == (3, [SERVICE] * 3, [])
    events.start()
    until(lambda: len(events._delivered) == 3, "delivery")
    assert delivered == ["1", "2", "3"], "each once, in order"


def test_an_event_is_forgotten_when_what_it_brought_about_is_on_disk(delivered: list[Any]) -> None:
    aws: Any = Recorder()
    events = ObjectEvents(aws)
    events.accept("b", "1", "s3:ObjectCreated:Put")
    events.start()
    until(lambda: len(events._delivered) == 1, "delivery")
    written = events.before_a_flush()
    events.accept("b", "2", "s3:ObjectCreated:Put")
    until(lambda: len(events._delivered) == 2, "another's delivery, meanwhile")
    assert len(events.pending) == 2, "a kill would bring both again"
    written()
    assert [event["event"][1] for event in events.pending.values()] == ["2"]
    after_a_restart = ObjectEvents(Recorder())  # type: ignore[arg-type]
    after_a_restart.pending.update(events.pending)
    after_a_restart.start()
    until(lambda: delivered == ["1", "2", "2"], "delivery again")


def test_what_a_flush_wrote_is_told_to_who_waits_for_it(tmp_path: Any) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    durability, store, stopping = Durability(journal), {"a": 1}, threading.Event()
    durability.add("kept", store)
    seen: list[int] = []

    def prepare() -> Any:
        return lambda: seen.append(len(list(journal.records("kept"))))

    durability.when_flushed = [prepare]
    store["b"] = 2
    durability.tell("kept")
    thread = threading.Thread(target=durability.flush_forever, args=(stopping,))
    thread.start()
    until(lambda: bool(seen), "a flush")
    stopping.set()
    durability.tell("kept")
    thread.join()
    assert seen[0] == 2
