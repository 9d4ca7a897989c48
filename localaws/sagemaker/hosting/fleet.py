"""The instances behind an endpoint: traffic split by weight, a new fleet that serves only when it is healthy, an old
one that ends only when it is idle, and crashed instances that come back.

Nothing here knows what an instance is made of: `Start` makes a running, not yet healthy `Worker` of a plan.
"""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from localaws.sagemaker.hosting.worker import STOP_SECONDS, UnhealthyError, Worker

DRAIN_SECONDS = 70.0  # an invocation may take 60 s (InvokeEndpoint, API reference); nothing is in flight after that
RESTART_PAUSES = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds before each restart in a row; the last one repeats
_STEADY_SECONDS = 60.0  # an instance that lived so long starts counting anew

_log = logging.getLogger(__name__)


class FleetError(Exception):
    """A variant didn't become healthy; the message is the endpoint's FailureReason."""


class StartError(Exception):
    """An instance can't be started at all (no model data, a bad archive); the message is the FailureReason."""


class NoInstanceError(Exception):
    """No instance of the variant is up at the moment."""


class NoVariantError(Exception):
    """The endpoint has no variant of that name."""


class RetiredError(Exception):
    """This deployment takes no more requests: another one does."""


@dataclass(frozen=True)
class VariantPlan:
    """A production variant as it is to be deployed. `source` is what its instances are started from."""

    name: str
    weight: float
    instance_count: int
    source: Mapping[str, Any]
    routing: str = "RANDOM"
    startup_seconds: float = 600.0


Start = Callable[[VariantPlan, str], Worker]


class Instance:
    """A slot for one worker; counts what it is answering."""

    def __init__(self, plan: VariantPlan) -> None:
        self.plan = plan
        self.id = f"i-{uuid.uuid4().hex[:17]}"
        self.worker: Worker | None = None
        self.ready = False
        self.in_flight = 0
        self.stopping = False


def choose_variant(weights: Mapping[str, float], point: float) -> str:
    """The variant at `point` (0 ≤ point < 1) of the line on which each variant has a piece as long as its weight."""
    left = point * sum(weights.values())
    for name, weight in weights.items():
        left -= weight
        if left < 0:
            return name
    return max(weights, key=lambda name: weights[name])


class Deployment:
    """One generation of an endpoint's instances. Thread-safe."""

    def __init__(self, plans: Sequence[VariantPlan], start: Start) -> None:
        self.plans = {plan.name: plan for plan in plans}
        self._start = start
        self._changed = threading.Condition()
        self._instances = {plan.name: [Instance(plan) for _ in range(plan.instance_count)] for plan in plans}
        self._retired = False

    # --- life

    def start(self) -> None:
        """Start every instance; returns when all answer /ping. FleetError, with all of them ended, when one doesn't."""
        self._start_all([instance for instances in self._instances.values() for instance in instances])

    def _start_all(self, instances: Sequence[Instance]) -> None:
        if not instances:
            return
        with ThreadPoolExecutor(len(instances), thread_name_prefix="instance") as pool:
            try:
                for started in as_completed([pool.submit(self._start_one, instance) for instance in instances]):
                    started.result()
            except BaseException:
                self._stop_all(instances, 0.0)  # the others must not be waited for
                raise

    def _start_one(self, instance: Instance) -> None:
        try:
            worker = self._bring_up(instance)
        except UnhealthyError as error:
            _log.warning("variant %s: %s", instance.plan.name, error)
            raise FleetError(unhealthy_reason(instance.plan.name)) from error
        except StartError as error:
            raise FleetError(str(error)) from error
        threading.Thread(target=self._watch, args=(instance, worker), name=instance.id, daemon=True).start()

    def _bring_up(self, instance: Instance) -> Worker:
        """A healthy worker in the instance's slot. It is there before it is healthy, so that a stop reaches it."""
        worker = self._start(instance.plan, instance.id)
        with self._changed:
            instance.worker = worker
            stopping = instance.stopping
        try:
            if stopping:
                raise UnhealthyError("it was stopped while it started")
            worker.wait_until_healthy(instance.plan.startup_seconds)
        except UnhealthyError:
            worker.stop(grace=0.0)
            raise
        with self._changed:
            instance.ready = True
        return worker

    def _watch(self, instance: Instance, worker: Worker) -> None:
        """Restart a worker that ends although nobody asked it to."""
        failures = 0
        while True:
            started = time.monotonic()
            worker.process.wait()
            with self._changed:
                instance.ready = False
                if instance.stopping:
                    return
            worker.stop(grace=0.0)  # what its process group left behind
            failures = 0 if time.monotonic() - started > _STEADY_SECONDS else failures + 1
            replacement = self._restarted(instance, failures)
            if replacement is None:
                return
            worker = replacement

    def _restarted(self, instance: Instance, failures: int) -> Worker | None:
        """A new worker, however many attempts it takes; None when the instance is stopped instead."""
        for attempt in count(failures):
            pause = RESTART_PAUSES[min(attempt, len(RESTART_PAUSES)) - 1] if attempt else 0.0
            with self._changed:
                if self._changed.wait_for(lambda: instance.stopping, pause):
                    return None
            try:
                return self._bring_up(instance)
            except (UnhealthyError, StartError) as error:
                _log.warning("instance %s of variant %s doesn't start: %s", instance.id, instance.plan.name, error)
        return None

    def retire(self) -> None:
        """Take no more requests, wait until those in flight are answered, then end every instance."""
        with self._changed:
            self._retired = True
        instances = [instance for group in self._instances.values() for instance in group]
        self._drain(instances)
        self.stop()

    def _drain(self, instances: Sequence[Instance]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not any(instance.in_flight for instance in instances), DRAIN_SECONDS)

    def stop(self, grace: float = STOP_SECONDS) -> None:
        """End every instance now."""
        with self._changed:
            self._retired = True
            instances = [instance for group in self._instances.values() for instance in group]
        self._stop_all(instances, grace)

    def _stop_all(self, instances: Sequence[Instance], grace: float) -> None:
        with self._changed:
            workers = [instance.worker for instance in instances if instance.worker is not None]
            for instance in instances:
                instance.stopping = True
            self._changed.notify_all()
        threads = [threading.Thread(target=worker.stop, args=(grace,)) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    # --- capacity

    def set_weights(self, weights: Mapping[str, float]) -> None:
        """Split the traffic anew, from the next request on."""
        with self._changed:
            for name, weight in weights.items():
                self.plans[name] = replace(self.plans[name], weight=weight)

    def set_instance_count(self, variant: str, wanted: int) -> None:
        """Start instances and let them serve when healthy, or let surplus ones finish and end them. FleetError."""
        plan = replace(self.plans[variant], instance_count=wanted)
        with self._changed:
            before = self._instances[variant]
            surplus = before[wanted:]
        added = [Instance(plan) for _ in range(wanted - len(before))]
        self._start_all(added)
        with self._changed:
            self._instances[variant] = [*before[:wanted], *added]
            self.plans[variant] = replace(self.plans[variant], instance_count=wanted)
        self._drain(surplus)
        self._stop_all(surplus, STOP_SECONDS)

    def instance_counts(self) -> dict[str, int]:
        """How many instances of each variant are up."""
        with self._changed:
            return {name: sum(instance.ready for instance in instances) for name, instances in self._instances.items()}

    # --- requests

    @contextmanager
    def lease(self, variant: str | None) -> Iterator[tuple[Instance, Worker]]:
        """An instance for one request, of the named variant or of one by weight; counted while it is held.

        RetiredError when another deployment took over, NoVariantError, NoInstanceError.
        """
        instance, worker = self._acquire(variant)
        try:
            yield instance, worker
        finally:
            with self._changed:
                instance.in_flight -= 1
                if not instance.in_flight:
                    self._changed.notify_all()

    def _acquire(self, variant: str | None) -> tuple[Instance, Worker]:
        with self._changed:
            if self._retired:
                raise RetiredError
            name = variant or self._by_weight()
            if name not in self._instances:
                raise NoVariantError(name)
            up = [
                (instance, instance.worker) for instance in self._instances[name] if instance.ready and instance.worker
            ]
            if not up:
                raise NoInstanceError(name)
            chosen, worker = self._by_strategy(self.plans[name].routing, up)
            chosen.in_flight += 1
            return chosen, worker

    def _by_weight(self) -> str:
        if len(self.plans) == 1:
            return next(iter(self.plans))
        return choose_variant({name: plan.weight for name, plan in self.plans.items()}, random.random())  # noqa: S311

    def _by_strategy(self, routing: str, up: list[tuple[Instance, Worker]]) -> tuple[Instance, Worker]:
        if routing == "LEAST_OUTSTANDING_REQUESTS":
            return min(up, key=lambda pair: pair[0].in_flight)
        return up[0] if len(up) == 1 else random.choice(up)  # noqa: S311


def unhealthy_reason(variant: str) -> str:
    """AWS's FailureReason for a container that doesn't become healthy."""
    return (
        f"The primary container for production variant {variant} did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
