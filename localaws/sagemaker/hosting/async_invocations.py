"""InvokeEndpointAsync: requests are queued, and answered by as many threads as the endpoint's instances may have.

"Amazon SageMaker Asynchronous Inference … queues incoming requests and processes them asynchronously" (developer
guide). A request is answered once, or again where the server was killed before its answer was told.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Literal

from localaws.sagemaker.context import Context
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.hosting.async_configs import concurrent, of_snapshot
from localaws.sagemaker.hosting.async_metrics import of_backlog
from localaws.sagemaker.hosting.async_queue import AsyncQueue, Entry, Line
from localaws.sagemaker.hosting.async_requests import AsyncRequest, queued
from localaws.sagemaker.hosting.async_work import AsyncWork, NotAnsweredError
from localaws.sagemaker.hosting.endpoint_records import ENDPOINT, EndpointRecords
from localaws.sagemaker.hosting.inference_types import not_found, wrong_type
from localaws.sagemaker.hosting.serving import Serving

_MOST_THREADS = 128  # of one endpoint
_LOOK_EVERY_SECONDS = 0.5  # for instances that have come up, and requests that are too old
_METRICS_EVERY_SECONDS, _SHORTEST_EVERY = 60.0, 0.5  # the metrics of asynchronous endpoints come once a minute

_log = logging.getLogger(__name__)

Work = Callable[[Entry, Document], bool]
"""Brings a request to its end; False where it is to be tried again."""


class AsyncInvocations:
    """The queues of all asynchronous endpoints. Thread-safe."""

    def __init__(self, context: Context, records: EndpointRecords, serving: Serving) -> None:
        self._context = context
        self._records = records
        self._serving = serving
        self._queue = AsyncQueue(context.store)
        self._work = AsyncWork(context)
        self._changed = threading.Condition()
        self._lines: dict[str, Line] = {}
        self._measured = 0.0
        self._told: set[str] = set()  # endpoints whose last metrics told of a backlog
        self._is_woken = self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="async-invocations", daemon=True)
        context.changes.listen(self._heard)

    def recover(self) -> None:
        """After a restart: what was accepted and not answered is answered."""
        self._work.recover()
        with self._changed:
            self._lines = self._queue.all()
        self._thread.start()

    def close(self) -> None:
        """Begin nothing more; what isn't answered stays in the queue."""
        self._context.changes.forget(self._heard)
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def accept(self, request: AsyncRequest) -> Document:
        """Queue a request; its document, with the places of its answer. ValidationError as a SageMakerError."""
        document = self._context.store.get(ENDPOINT, request.endpoint) or {}
        deployed = document.get("Deployed")
        if deployed is None or document["EndpointStatus"] == "Deleting":
            raise not_found(request.endpoint, self._context.platform)
        config = of_snapshot(deployed)
        if config is None:
            raise wrong_type(request.endpoint, self._context.platform)
        accepted = queued(request, config["OutputConfig"], self._context.clock.now())
        entry = self._queue.add(accepted)
        with self._changed:
            self._lines.setdefault(request.endpoint, Line()).waiting.append(entry)
        self._wake()
        return accepted

    # --- the queues

    def _heard(self, kind: str, _name: str) -> None:
        if kind == ENDPOINT:
            self._wake()

    def _wake(self) -> None:
        with self._changed:
            self._is_woken = True
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_woken or self._is_closed, self._pause())
                self._is_woken = False
                if self._is_closed:
                    return
                lines = dict(self._lines)
            try:
                for endpoint, line in lines.items():
                    self._serve(endpoint, line)
                self._measure()
            except Exception:  # noqa: BLE001 - a mistake of ours mustn't keep the queues for ever
                _log.exception("asynchronous invocations")

    def _pause(self) -> float:
        return _LOOK_EVERY_SECONDS if self._lines else self._period()

    def _period(self) -> float:
        return max(_METRICS_EVERY_SECONDS / self._context.platform.clock_scale, _SHORTEST_EVERY)

    def _serve(self, endpoint: str, line: Line) -> None:
        """Begin what an endpoint has room for; forget the requests to one that is gone, end those that are too old."""
        document = self._context.store.get(ENDPOINT, endpoint)
        if document is None or "Deployed" not in document or document["EndpointStatus"] == "Deleting":
            self._forget(endpoint, line)
            return
        variant = document["Deployed"]["Variants"][0] | {"Endpoint": endpoint}
        for entry in self._taken_late(line):
            self._begin(line, entry, variant, is_late=True)
        room = min(self._capacity(endpoint, document["Deployed"]), _MOST_THREADS)
        while line.waiting and len(line.running) < room:
            self._begin(line, line.waiting.popleft(), variant)
        with self._changed:
            if not len(line):
                self._lines.pop(endpoint, None)

    def _taken_late(self, line: Line) -> list[Entry]:
        """The requests that are too old, as many as there are threads for; after a long stop all of a queue may be."""
        now = self._context.clock.now()
        with self._changed:
            late = [entry for entry in line.waiting if entry.expires <= now][: _MOST_THREADS - len(line.running)]
            for entry in late:
                line.waiting.remove(entry)
        return late

    def _forget(self, endpoint: str, line: Line) -> None:
        """Those that are being answered go when they come back, see `_leave`."""
        with self._changed:
            self._lines.pop(endpoint, None)
            gone = list(line.waiting)
            line.waiting.clear()
        for entry in gone:
            self._queue.remove(entry)

    def _capacity(self, endpoint: str, deployed: Document) -> int:
        return self._instances(endpoint) * concurrent(of_snapshot(deployed) or {})

    def _instances(self, endpoint: str) -> int:
        fleet = self._serving.get(endpoint)
        return sum(fleet.instance_counts().values()) if fleet else 0

    # --- one request

    def _begin(self, line: Line, entry: Entry, variant: Document, *, is_late: bool = False) -> None:
        line.running.add(entry)
        work = self._expire if is_late else self._answer
        threading.Thread(target=self._guarded, args=(work, line, entry, variant), name=entry.key, daemon=True).start()

    def _guarded(self, work: Work, line: Line, entry: Entry, variant: Document) -> None:
        """Whatever goes wrong, the request leaves its place, and the queue if it isn't to be tried again."""
        try:
            is_over = work(entry, variant)
        except Exception:  # noqa: BLE001 - see above
            if self._serving.is_closed:
                return
            _log.exception("asynchronous invocation %s", entry.key)
            is_over = True
        if not self._serving.is_closed or is_over:
            self._leave(line, entry, variant["Endpoint"], "over" if is_over else "again")

    def _leave(self, line: Line, entry: Entry, endpoint: str, how: Literal["over", "again"]) -> None:
        """A request leaves its place in one step: between two, its line would seem to be empty, or have it twice."""
        with self._changed:
            line.running.discard(entry)
            is_kept = how == "again" and self._lines.get(endpoint) is line  # else the endpoint is gone
            if is_kept:
                line.waiting.appendleft(entry)
        if not is_kept:
            self._queue.remove(entry)
        self._wake()

    def _answer(self, entry: Entry, variant: Document) -> bool:
        document, fleet = self._queue.get(entry), self._serving.get(variant["Endpoint"])
        if document is None:
            return True
        try:
            if fleet is None:
                raise NotAnsweredError(counts=False)
            self._work.answer(document, variant, fleet)
        except NotAnsweredError as again:
            if again.counts and not self._serving.is_closed:
                self._queue.change(entry, lambda old: old | {"Attempts": old["Attempts"] + 1})
            return False
        return True

    def _expire(self, entry: Entry, variant: Document) -> bool:
        document = self._queue.get(entry)
        if document is not None:
            self._work.expire(document, variant)
        return True

    # --- metrics

    def _measure(self) -> None:
        """Once a minute, and as soon as there is a backlog where there was none."""
        with self._changed:
            waiting = {endpoint for endpoint, line in self._lines.items() if len(line)}
        now = time.monotonic()
        if now - self._measured < self._period() and waiting <= self._told:
            return
        self._measured, self._told = now, waiting
        data = [datum for endpoint in self._asynchronous() for datum in self._backlog(endpoint)]
        if data:
            self._context.platform.put_metric_data("AWS/SageMaker", data)

    def _asynchronous(self) -> list[str]:
        found = [document for document in self._records.all() if of_snapshot(document.get("Deployed")) is not None]
        return [document["EndpointName"] for document in found]

    def _backlog(self, endpoint: str) -> Iterator[Document]:
        line, now = self._lines.get(endpoint) or Line(), self._context.clock.now()
        oldest = line.oldest
        age = 0.0 if oldest is None else now - oldest
        return of_backlog(endpoint, len(line), age, self._instances(endpoint), now)
