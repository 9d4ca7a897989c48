"""The requests that InvokeEndpointAsync has accepted, in the store: none is lost when the server is killed."""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from localaws.sagemaker.core.request import Document
from localaws.sagemaker.core.store import Store
from localaws.sagemaker.hosting.async_requests import expires

_KIND = "async-invocation"


@dataclass(frozen=True)
class Entry:
    """A request in the queue: its key in the store, when it came and when it is too old, in epoch seconds."""

    key: str
    received: float
    expires: float


@dataclass
class Line:
    """The requests to one endpoint: those that wait, in their order, and those that are being answered."""

    waiting: deque[Entry] = field(default_factory=deque)
    running: set[Entry] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.waiting) + len(self.running)

    @property
    def oldest(self) -> float | None:
        """When the request came that has been in the queue for longest."""
        return min((entry.received for entry in [*self.waiting, *self.running]), default=None)


class AsyncQueue:
    """Queued requests by key: their endpoint and when they came. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, document: Document) -> Entry:
        """Keep a request; it is on disk when this returns."""
        key = f"{document['EndpointName']}/{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
        self._store.create(_KIND, key, document | {"Key": key})
        return _entry(document | {"Key": key})

    def get(self, entry: Entry) -> Document | None:
        """A request; None for one that is gone."""
        return self._store.get(_KIND, entry.key)

    def change(self, entry: Entry, change: Callable[[Document], Document]) -> None:
        """Replace a request's document."""
        self._store.update(_KIND, entry.key, change)

    def remove(self, entry: Entry) -> None:
        """Forget a request."""
        self._store.delete(_KIND, entry.key)

    def all(self) -> dict[str, Line]:
        """All requests by endpoint, in their order."""
        lines: dict[str, Line] = {}
        for document in self._store.list(_KIND):
            lines.setdefault(document["EndpointName"], Line()).waiting.append(_entry(document))
        return lines


def _entry(document: Document) -> Entry:
    return Entry(document["Key"], document["ReceivedTime"], expires(document))
