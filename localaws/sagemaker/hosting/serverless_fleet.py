"""The fleet of a serverless endpoint: nothing until a request comes, then an instance for each that comes meanwhile.

An instance has one request at a time, and ends when it has had none for a while: "Serverless Inference scales your
endpoint down to 0". What it takes to start one is a cold start, which the request that needs it waits for ("Cold
starts", developer guide); ProvisionedConcurrency is how many are there all the time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from localaws.sagemaker.hosting import instances
from localaws.sagemaker.hosting.fleet import Deployment, NoVariantError, RetiredError
from localaws.sagemaker.hosting.instances import Instance, Start, VariantPlan, stop_all
from localaws.sagemaker.hosting.serverless_configs import MAX_BODY, SERVERLESS
from localaws.sagemaker.hosting.worker import STOP_SECONDS, Worker

IDLE_SECONDS = 300.0  # until an instance without requests ends; AWS doesn't tell it
_SHORTEST_IDLE = 1.0  # however short waits have been made


class ThrottledError(Exception):
    """As many requests are being answered as MaxConcurrency allows."""


class ServerlessFleet(Deployment):
    """One generation of a serverless endpoint's only variant. Thread-safe."""

    def __init__(self, plan: VariantPlan, start: Start, idle_seconds: float = IDLE_SECONDS) -> None:
        super().__init__([replace(plan, instance_count=0)], start)
        config = plan.source[SERVERLESS]
        self._name = plan.name
        self._most, self._provisioned = config["MaxConcurrency"], config.get("ProvisionedConcurrency", 0)
        self._idle_seconds = max(idle_seconds, _SHORTEST_IDLE)
        self._idle_since: dict[Instance, float] = {}

    def start(self) -> None:
        """Start what is provisioned; without any, one instance, to see that it can be. FleetError."""
        first = self._new(self._plans[self._name], self._provisioned or 1)
        self._start_coming(first)
        with self._changed:
            self._instances[self._name] = first if self._provisioned else []
        if not self._provisioned:
            stop_all(first, STOP_SECONDS)
        threading.Thread(target=self._keep_healthy, name="serverless", daemon=True).start()

    def _keep_healthy(self) -> None:
        while not self._over.wait(min(instances.PING_EVERY_SECONDS, self._idle_seconds / 2)):
            for instance in self._all():
                instance.check()
            stop_all(self._taken_idle(), STOP_SECONDS)

    def _taken_idle(self) -> list[Instance]:
        """The instances that have been idle for long enough, which get no more requests."""
        since = time.monotonic() - self._idle_seconds
        with self._changed:
            there = self._instances[self._name]
            idle = [each for each in there if not each.in_flight and self._idle_since.get(each, since) < since]
            for instance in (leaving := idle[: max(0, len(there) - self._provisioned)]):
                self._leave(instance)
        return leaving

    def set_instance_count(self, variant: str, wanted: int) -> None:
        """Nothing: there are as many as requests need."""

    def let_go(self, variant: str, wanted: int) -> None:
        """Nothing, likewise."""

    def instance_counts(self) -> dict[str, int]:
        """One: the variant serves, however many instances that takes."""
        return {self._name: 1}

    # --- requests

    @contextmanager
    def lease(self, variant: str | None) -> Iterator[tuple[Instance, Worker]]:
        """An instance for one request, which nobody else has; started if there is none idle.

        RetiredError, NoVariantError, ThrottledError; FleetError where none can be started.
        """
        with super().lease(variant) as (instance, worker):
            worker.max_answer = MAX_BODY
            try:
                yield instance, worker
            finally:
                instance.setup_seconds = None
                self._idle_since[instance] = time.monotonic()
                if not instance.ready:  # whoever asked is told so by an error
                    self._let_go_of_ended(instance)

    def _acquire(self, variant: str | None) -> tuple[Instance, Worker]:
        with self._changed:
            if self._retired:
                raise RetiredError
            if variant not in {None, self._name}:
                raise NoVariantError(variant)
            there = self._instances[self._name]
            if sum(each.in_flight for each in there) >= self._most:
                raise ThrottledError
            idle = [each for each in there if each.ready and each.worker and not each.in_flight]
            chosen = max(idle, key=lambda each: self._idle_since.get(each, 0.0), default=None)
            if chosen is not None and chosen.worker is not None:
                chosen.in_flight = 1
                return chosen, chosen.worker
            chosen = self._new(self._plans[self._name], 1)[0]
            chosen.in_flight = 1
            there.append(chosen)
        return chosen, self._started(chosen)

    def _started(self, instance: Instance) -> Worker:
        """A cold start. FleetError."""
        started = time.monotonic()
        try:
            instance.start()
        except BaseException:
            stop_all([instance], 0.0)
            with self._changed:
                instance.in_flight = 0
                self._leave(instance)
                self._changed.notify_all()
            raise
        instance.setup_seconds = time.monotonic() - started
        if instance.worker is None:
            raise RuntimeError("an instance that has started has a worker")
        return instance.worker

    def _let_go_of_ended(self, instance: Instance) -> None:
        """Its container has ended: another request gets another instance. One that is provisioned starts again."""
        with self._changed:
            if len(self._instances[self._name]) <= self._provisioned:
                return
            self._leave(instance)
        stop_all([instance], 0.0)

    def _leave(self, instance: Instance) -> None:
        if instance in self._instances[self._name]:
            self._instances[self._name].remove(instance)
        self._idle_since.pop(instance, None)
