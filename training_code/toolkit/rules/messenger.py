"""Tells AWS what the rules have found: events and metrics, at least once, while judging goes on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any, Protocol
from urllib.parse import urlsplit

from contract import verdicts
from toolkit.rules import statuses
from toolkit.rules.judging import Status
from toolkit.rules.statuses import Job

log = logging.getLogger("ratchet.judging")

_ACTED_ON = (verdicts.ISSUES_FOUND, verdicts.ERROR)
FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0


class Clients(Protocol):
    """The clients of boto3 that are used here."""

    events: Any
    cloudwatch: Any
    s3: Any


class Aws:
    """Clients that give up soon: what fails is tried again here, and counted. Metrics follow a verdict, and so does the
    client for them."""

    def __init__(self) -> None:
        import boto3
        from botocore.config import Config

        config = Config(connect_timeout=3, read_timeout=5, retries={"max_attempts": 1})
        session = boto3.session.Session()
        self.events = session.client("events", config=config)
        self.s3 = session.client("s3", config=config)
        self._cloudwatch = partial(session.client, "cloudwatch", config=config)

    @cached_property
    def cloudwatch(self) -> Any:
        """Made when it is first asked for."""
        return self._cloudwatch()


class Messenger:
    """Sends the newest statuses, which hold all earlier ones, until S3 and EventBridge have taken them: first the job's
    own word, which the stopper believes, then the event that makes it look there.

    It connects at once, by an event that says that the rules are in progress: boto3 takes half a second to import, and
    a verdict shall not wait for it. delivered is called with the statuses that were taken.
    """

    def __init__(
        self, job: Job, delivered: Callable[[Sequence[Status]], None], connect: Callable[[], Clients] = Aws
    ) -> None:
        self._job, self._delivered, self._connect = job, delivered, connect
        self._newest: tuple[Status, ...] | None = None
        self._change = threading.Condition()
        self._closing = False
        self._measured: set[str] = set()
        self.failures = 0
        self.last_failure = ""
        self._thread = threading.Thread(target=self._run, name="ratchet-rules-messenger", daemon=True)
        self._thread.start()

    def send(self, current: Sequence[Status]) -> None:
        """Leaves the statuses to be sent; returns at once."""
        with self._change:
            self._newest = tuple(current)
            self._change.notify_all()

    def close(self, timeout: float) -> bool:
        """Waits until all is sent; False when that took longer than `timeout` seconds."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        clients, wait = None, FIRST_WAIT
        while (current := self._next()) is not None:
            try:
                clients = clients or self._connect()
                self._say(clients, current)
                wait = FIRST_WAIT
            except Exception as error:  # noqa: BLE001 - no network, no credentials, no permission: tried again
                self._failed(error)
                self._again(current, wait)
                wait = min(2 * wait, LONGEST_WAIT)
                continue
            self._delivered(current)
            self._put_metrics(clients, current)

    def _next(self) -> tuple[Status, ...] | None:
        with self._change:
            self._change.wait_for(lambda: self._newest is not None or self._closing)
            newest, self._newest = self._newest, None
            return newest

    def _again(self, current: tuple[Status, ...], wait: float) -> None:
        """Waits before the next try, unless something newer comes, which holds what this held."""
        with self._change:
            self._change.wait_for(lambda: self._newest is not None, wait)
            self._newest = self._newest or current

    def _say(self, clients: Clients, current: Sequence[Status]) -> None:
        detail = statuses.said(self._job, current)
        if self._job.verdicts and any(status.status in _ACTED_ON for status in current):
            place = urlsplit(self._job.verdicts)
            clients.s3.put_object(
                Bucket=place.netloc, Key=place.path.lstrip("/"), Body=detail.encode(), ContentType="application/json"
            )
        answer = clients.events.put_events(Entries=[statuses.event(self._job, detail)])
        if answer.get("FailedEntryCount"):
            entry = answer["Entries"][0]
            raise RuntimeError(f"EventBridge refused the event: {entry.get('ErrorCode')}: {entry.get('ErrorMessage')}")

    def _put_metrics(self, clients: Clients, current: Sequence[Status]) -> None:
        """Sends a rule's metrics once, when its status is final. A lost figure is worth a line of the log, no more."""
        final = [status for status in current if status.ended and status.name not in self._measured]
        if not final:
            return
        try:
            clients.cloudwatch.put_metric_data(
                Namespace=verdicts.METRICS_NAMESPACE, MetricData=statuses.metrics(self._job, final)
            )
            self._measured |= {status.name for status in final}
        except Exception as error:  # noqa: BLE001 - see above
            log.warning("rules: the metrics couldn't be sent: %s", error)

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        self.last_failure = f"{type(error).__name__}: {error}"
        if self.failures in (1, 10, 100, 1000):
            count = f" (for the {self.failures}th time)" if self.failures > 1 else ""
            log.warning("rules: the event couldn't be sent%s, and is tried again: %s", count, self.last_failure)


class Silent:
    """Tells nobody, since outside of a training job there is nobody to tell."""

    failures, last_failure = 0, ""

    def send(self, current: Sequence[Status]) -> None:
        """Does nothing."""

    def close(self, timeout: float) -> bool:  # noqa: ARG002 - as a Messenger's
        """There is nothing to wait for."""
        return True
