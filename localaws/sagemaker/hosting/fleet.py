"""The fleet behind an endpoint: traffic split by weight, a new deployment that serves only when it is healthy, and an
old one that ends only when it is idle."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from localaws.sagemaker.hosting.instances import (
    PING_EVERY_SECONDS,
    FleetError,
    Instance,
    Start,
    VariantPlan,
    start_all,
    stop_all,
)
from localaws.sagemaker.hosting.turns import Turns
from localaws.sagemaker.hosting.witnesses import Witness
from localaws.sagemaker.hosting.worker import STOP_SECONDS, Worker

LEAST_OUTSTANDING = "LEAST_OUTSTANDING_REQUESTS"
# An invocation may take 60 s (InvokeEndpoint, API reference); an asynchronous one that takes longer is asked anew.
DRAIN_SECONDS = 70.0


class NoInstanceError(Exception):
    """No instance of the variant is up at the moment."""


class NoVariantError(Exception):
    """The endpoint has no variant of that name."""


class RetiredError(Exception):
    """This deployment takes no more requests: another one does."""


class Deployment:
    """One generation of an endpoint's instances. Thread-safe."""

    def __init__(self, plans: Sequence[VariantPlan], start: Start) -> None:
        self._plans = {plan.name: plan for plan in plans}
        self._start = start
        self._changed = threading.Condition()
        self._instances = {plan.name: self._new(plan, plan.instance_count) for plan in plans}
        self._turns = self._new_turns()
        self._coming: list[Instance] = []
        self._retired = False
        self._over = threading.Event()

    def _new(self, plan: VariantPlan, number: int) -> list[Instance]:
        return [Instance(plan, self._start, self._changed) for _ in range(number)]

    def _new_turns(self) -> Turns[str]:
        return Turns(self.weights())

    # --- life

    def start(self) -> None:
        """Start every instance; return when all answer /ping. FleetError, with all of them ended, when one doesn't."""
        start_all(self._all())
        threading.Thread(target=self._keep_healthy, name="pings", daemon=True).start()

    def _keep_healthy(self) -> None:
        while not self._over.wait(PING_EVERY_SECONDS):
            for instance in self._all():
                instance.check()

    def retire(self) -> None:
        """Take no more requests, wait until those in flight are answered, then end every instance."""
        with self._changed:
            self._retired = True
        self._drain(self._all())
        self.stop()

    def stop(self, grace: float = STOP_SECONDS) -> None:
        """End every instance now."""
        with self._changed:
            self._retired = True
        self._over.set()
        stop_all(self._all(), grace)
        for witness in self.witnesses():
            witness.close()

    def give_up_starting(self) -> None:
        """End the instances that aren't up, now; those that are go on."""
        stop_all([instance for instance in self._all() if not instance.ready], 0.0)

    def _all(self) -> list[Instance]:
        with self._changed:
            return [instance for group in [*self._instances.values(), self._coming] for instance in group]

    def _drain(self, instances: Sequence[Instance]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not any(instance.in_flight for instance in instances), DRAIN_SECONDS)

    # --- capacity

    def set_weights(self, weights: Mapping[str, float]) -> None:
        """Split the traffic anew, from the next request on."""
        with self._changed:
            for name, weight in weights.items():
                self._plans[name] = replace(self._plans[name], weight=weight)
            self._turns = self._new_turns()

    def weights(self) -> dict[str, float]:
        """The variants that answer callers, and their weights."""
        return {name: plan.weight for name, plan in self._plans.items() if not plan.is_shadow}

    def witnesses(self) -> list[Witness]:
        """Those who see what the variants are asked."""
        return [witness for plan in self._plans.values() for witness in plan.witnesses]

    def set_instance_count(self, variant: str, wanted: int) -> None:
        """Start instances and let them serve when healthy, or let surplus ones finish and end them. FleetError."""
        plan = replace(self._plans[variant], instance_count=wanted)
        with self._changed:
            before = self._instances[variant]
            surplus = before[wanted:]
        added = self._new(plan, wanted - len(before))
        self._start_coming(added)
        with self._changed:
            self._instances[variant] = [*before[:wanted], *added]
            self._plans[variant] = replace(self._plans[variant], instance_count=wanted)
        self._end(surplus)

    def let_go(self, variant: str, wanted: int) -> None:
        """Take no more requests on all but `wanted` instances, at once; they end when theirs are answered."""
        with self._changed:
            before = self._instances[variant]
            self._instances[variant], surplus = before[:wanted], before[wanted:]
            self._plans[variant] = replace(self._plans[variant], instance_count=wanted)
        threading.Thread(target=self._end, args=(surplus,), name="surplus", daemon=True).start()

    def _end(self, surplus: Sequence[Instance]) -> None:
        self._drain(surplus)
        stop_all(surplus, STOP_SECONDS)

    def _start_coming(self, added: list[Instance]) -> None:
        """Start instances, which a stop ends meanwhile. FleetError."""
        with self._changed:
            if self._retired:
                raise FleetError("the fleet has been stopped")
            self._coming = added
        try:
            start_all(added)
        finally:
            with self._changed:
                self._coming = []

    def instance_counts(self) -> dict[str, int]:
        """How many instances of each variant are up."""
        with self._changed:
            return {name: sum(instance.ready for instance in instances) for name, instances in self._instances.items()}

    # --- requests

    def wait_until_up(self, variant: str, seconds: float) -> bool:
        """Wait for an instance that is being started again; whether a request may be tried anew."""
        with self._changed:
            up = self._changed.wait_for(
                lambda: self._retired or any(each.ready for each in self._instances.get(variant, ())), seconds
            )
        return bool(up)

    @contextmanager
    def lease(self, variant: str | None) -> Iterator[tuple[Instance, Worker]]:
        """An instance for one request, of the named variant or of one by weight; counted while it is held.

        RetiredError when another deployment took over, NoVariantError, NoInstanceError.
        """
        if variant in self._plans and self._plans[variant].is_shadow:
            raise NoVariantError(variant)
        with self._leased(variant) as held:
            yield held

    @contextmanager
    def lease_shadow(self, variant: str) -> Iterator[tuple[Instance, Worker]]:
        """An instance of a shadow variant for the copy of a request. RetiredError, NoInstanceError."""
        with self._leased(variant) as held:
            yield held

    @contextmanager
    def _leased(self, variant: str | None) -> Iterator[tuple[Instance, Worker]]:
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
            name = variant or self._turns.next()
            if name not in self._instances:
                raise NoVariantError(name)
            up = [
                (instance, instance.worker) for instance in self._instances[name] if instance.ready and instance.worker
            ]
            if not up:
                raise NoInstanceError(name)
            chosen, worker = _by_strategy(self._plans[name].routing, up)
            chosen.in_flight += 1
            return chosen, worker


def _by_strategy(routing: str, up: list[tuple[Instance, Worker]]) -> tuple[Instance, Worker]:
    if routing == LEAST_OUTSTANDING:
        return min(up, key=lambda pair: pair[0].in_flight)
    return up[0] if len(up) == 1 else random.choice(up)  # noqa: S311
