"""The instances of an endpoint: each a slot for one worker, which is started again when it ends by itself.

Nothing here knows what an instance is made of: `Start` makes a running, not yet healthy `Worker` of a plan.
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import count
from typing import Any

from localaws.sagemaker.hosting.endpoint_logs import ENDS
from localaws.sagemaker.hosting.witnesses import Witness
from localaws.sagemaker.hosting.worker import UnhealthyError, Worker

RESTART_PAUSES = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds before each restart in a row; the last one repeats
_STEADY_SECONDS = 60.0  # an instance that lived so long starts counting anew
# "The request timeout on /ping attempts is 2 seconds" (developer guide, "Custom Inference Code with Hosting Services");
# how often SageMaker asks, and when it gives up, isn't told.
PING_SECONDS = 2.0
PING_EVERY_SECONDS = 5.0
_PINGS_MISSED = 4  # in a row, until a worker is taken for hung
_ENDING_SECONDS = 0.5  # between a worker's last connection and its end

_log = logging.getLogger(__name__)


class FleetError(Exception):
    """A variant didn't become healthy; the message is the endpoint's FailureReason."""


class StartError(Exception):
    """An instance can't be started at all (no model data, a bad archive); the message is the FailureReason."""


@dataclass(frozen=True)
class VariantPlan:
    """A variant as it is to be deployed. `source` is what its instances are started from, `config` the endpoint
    configuration that it is of, which makes it `is_async` or not; `witnesses` see what it is asked and answers. A
    shadow answers no caller."""

    name: str
    weight: float
    instance_count: int
    source: Mapping[str, Any]
    routing: str = "RANDOM"
    startup_seconds: float = 600.0
    config: str = ""
    is_async: bool = False
    is_shadow: bool = False
    witnesses: Sequence[Witness] = ()


Start = Callable[[VariantPlan, str], Worker]


class Instance:
    """A slot for one worker, and the number of requests that it is answering. `changed` guards all of it."""

    def __init__(self, plan: VariantPlan, start: Start, changed: threading.Condition) -> None:
        self.plan = plan
        self.id = f"i-{uuid.uuid4().hex[:17]}"
        self.worker: Worker | None = None
        self.ready = False
        self.in_flight = 0
        self.setup_seconds: float | None = None  # that the request which it answers has waited for its start
        self._stopping = False
        self._missed = 0
        self._start = start
        self._changed = changed

    def start(self) -> None:
        """Return when the instance answers /ping; from then on it is kept up. FleetError."""
        try:
            worker = self._bring_up()
        except UnhealthyError as error:
            _log.warning("variant %s: %s", self.plan.name, error)
            raise FleetError(unhealthy_reason(self.plan.name, error)) from error
        except StartError as error:
            raise FleetError(str(error)) from error
        threading.Thread(target=self._watch, args=(worker,), name=self.id, daemon=True).start()

    def lost(self, worker: Worker) -> None:
        """A request found the worker gone: once it has ended, no further request goes there."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.process.wait(_ENDING_SECONDS)
            with self._changed:
                if self.worker is worker:
                    self.ready = False

    def check(self) -> None:
        """Ask a serving worker whether it is healthy; one that has failed to say so for a while is replaced."""
        worker = self.worker
        if not self.ready or worker is None:
            return
        self._missed = 0 if worker.pings(PING_SECONDS) else self._missed + 1
        if self._missed >= _PINGS_MISSED:
            self.replace(worker, f"/ping was not answered {self._missed} times in a row")

    def replace(self, worker: Worker, why: str) -> None:
        """End a worker that hangs; the watch starts another."""
        with self._changed:
            if self.worker is not worker or not self.ready or self._stopping:
                return
            self.ready = False
            self._missed = 0
        _log.warning("instance %s of variant %s is started again: %s", self.id, self.plan.name, why)
        worker.process.kill()

    def begin_stopping(self) -> Worker | None:
        """Let no other worker come; the one that is to be stopped."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            return self.worker

    def _bring_up(self) -> Worker:
        """A healthy worker in the slot. It is there before it is healthy, so that a stop reaches it."""
        worker = self._start(self.plan, self.id)
        with self._changed:
            self.worker = worker
            stopping = self._stopping
        try:
            if stopping:
                raise UnhealthyError("it was stopped while it started")
            worker.wait_until_healthy(self.plan.startup_seconds)
        except UnhealthyError:
            worker.stop(grace=0.0)
            raise
        with self._changed:
            self.ready = True
            self._changed.notify_all()
        return worker

    def _watch(self, worker: Worker) -> None:
        """Restart a worker that ends although nobody asked it to."""
        failures = 0
        while True:
            started = time.monotonic()
            worker.process.wait()
            with self._changed:
                self.ready = False
                if self._stopping:
                    return
            worker.stop(grace=0.0)  # what its process group left behind
            failures = 0 if time.monotonic() - started > _STEADY_SECONDS else failures + 1
            replacement = self._restarted(failures)
            if replacement is None:
                return
            worker = replacement

    def _restarted(self, failures: int) -> Worker | None:
        """A new worker, however many attempts it takes; None when the instance is stopped instead."""
        for attempt in count(failures):
            pause = RESTART_PAUSES[min(attempt, len(RESTART_PAUSES)) - 1] if attempt else 0.0
            with self._changed:
                if self._changed.wait_for(lambda: self._stopping, pause):
                    return None
            try:
                return self._bring_up()
            except (UnhealthyError, StartError) as error:
                _log.warning("instance %s of variant %s doesn't start: %s", self.id, self.plan.name, error)
        return None


def start_all(instances: Sequence[Instance]) -> None:
    """Start instances at once; return when all answer /ping. FleetError, with all of them ended, when one doesn't."""
    if not instances:
        return
    with ThreadPoolExecutor(len(instances), thread_name_prefix="instance") as pool:
        try:
            for started in as_completed([pool.submit(instance.start) for instance in instances]):
                started.result()
        except BaseException:
            stop_all(instances, 0.0)  # the others must not be waited for
            raise


def stop_all(instances: Sequence[Instance], grace: float) -> None:
    """End instances at once, `grace` seconds after they were asked to at the latest."""
    workers = [instance.begin_stopping() for instance in instances]
    threads = [threading.Thread(target=worker.stop, args=(grace,)) for worker in workers if worker is not None]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def unhealthy_reason(variant: str, error: UnhealthyError) -> str:
    """AWS's FailureReason for a container that doesn't become healthy; and which limit has ended it, if one has."""
    if not error.has_started:
        return (
            f"CannotStartContainerError. Please ensure the model container for variant {variant} starts correctly when "
            "invoked with 'docker run <image> serve'"
        )
    reason = (
        f"The {error.container} for production variant {variant} did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    return f"{reason} {ENDS[error.exceeded]}" if error.exceeded else reason
