"""S3's events are written down before the request that causes them is answered, and delivered behind it, in order.

MiniStack delivers them in a thread each, after the answer: a kill in between would lose the event of an acknowledged
object, and a thousand objects at once are a thousand threads. Delivering first would let a put wait for every rule of
the account.
"""

from __future__ import annotations

import logging
import queue
import threading
import uuid
from collections.abc import Callable
from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws

logger = logging.getLogger(__name__)

SERVICE = "s3_events"


class ObjectEvents:
    """The events that are not delivered yet: id -> whose, and what MiniStack makes of it. A kill repeats some."""

    def __init__(self, aws: EmbeddedAws) -> None:
        from ministack.services import s3

        self.pending: dict[str, Any] = {}
        self._aws = aws
        self._s3 = s3
        self._orders: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._delivered: set[str] = set()

    def accept(
        self, bucket: str, key: str, event_name: str, size: int = 0, etag: str = "", *rest: Any, **options: Any
    ) -> None:
        """Take an event; it is on disk before the request that brought it is answered."""
        from ministack.core.responses import get_account_id, get_region

        if bucket not in self._s3._bucket_notifications:
            return
        options["sequencer"] = self._s3._next_event_sequencer(event_name)
        identifier = uuid.uuid4().hex
        event = (bucket, key, event_name, size, etag, *rest)
        self.pending[identifier] = {"scope": (get_account_id(), get_region()), "event": event, "options": options}
        self._aws.changed(SERVICE)
        self._orders.put(identifier)

    def start(self) -> None:
        """Deliver from now on; first what a server before took and didn't deliver."""
        waiting = sorted(self.pending.items(), key=lambda event: str(event[1]["options"]["sequencer"]))
        threading.Thread(
            target=self._deliver_all, args=([each for each, _ in waiting],), name=SERVICE, daemon=True
        ).start()

    def _deliver_all(self, waiting: list[str]) -> None:
        for identifier in waiting:
            self._deliver(identifier)
        while True:
            self._deliver(self._orders.get())

    def _deliver(self, identifier: str) -> None:
        from ministack.core.responses import request_scope

        event = self.pending.get(identifier)
        if event is None or identifier in self._delivered:
            return  # it came while the server began, and was among those of before
        try:
            with request_scope(*event["scope"]):
                self._s3._fire_s3_event(*event["event"], **event["options"])
        except Exception:
            logger.exception("an event of %s was not delivered", event["event"][0])
        self._delivered.add(identifier)

    def before_a_flush(self) -> Callable[[], None]:
        """What is forgotten when the flush has written down what it brought about: the events delivered until now."""
        delivered = list(self._delivered)

        def forget() -> None:
            for identifier in delivered:
                self._delivered.discard(identifier)
                self.pending.pop(identifier, None)
            if delivered:
                self._aws.changed(SERVICE)

        return forget


def install(aws: EmbeddedAws) -> None:
    from ministack.services import s3

    events = ObjectEvents(aws)
    s3._fire_s3_event_async = events.accept
    aws.keep(SERVICE, events.pending)
    aws.when_flushed.append(events.before_a_flush)
    aws.when_ready(events.start)
