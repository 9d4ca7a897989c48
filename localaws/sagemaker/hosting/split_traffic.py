"""Two fleets behind one endpoint while its traffic goes from the one to the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Protocol

from localaws.sagemaker.hosting.fleet import NoInstanceError, NoVariantError
from localaws.sagemaker.hosting.instances import Instance
from localaws.sagemaker.hosting.turns import Turns
from localaws.sagemaker.hosting.worker import STOP_SECONDS, Worker

OLD, NEW = 0, 1


class Fleet(Protocol):
    """What serves an endpoint: a deployment, or two whose traffic is split."""

    def lease(self, variant: str | None) -> AbstractContextManager[tuple[Instance, Worker]]:
        """An instance for one request; RetiredError, NoVariantError, NoInstanceError."""

    def wait_until_up(self, variant: str, seconds: float) -> bool:
        """Wait for an instance that is being started again; whether a request may be tried anew."""

    def weights(self) -> dict[str, float]:
        """The variants and their weights."""

    def instance_counts(self) -> dict[str, int]:
        """How many instances of each variant are up."""

    def retire(self) -> None:
        """Take no more requests, and end when those in flight are answered."""

    def stop(self, grace: float = STOP_SECONDS) -> None:
        """End every instance now."""


class SplitTraffic:
    """An old and a new fleet with the same variants; the new one has a share of each variant's requests. Thread-safe.

    A fleet without an instance that is up leaves its requests to the other, as a load balancer does; the new one gets
    none before it has a share.
    """

    def __init__(self, old: Fleet, new: Fleet, shares: Mapping[str, float]) -> None:
        self._fleets = (old, new)
        self._lock = threading.Lock()
        self.share(shares)

    def share(self, shares: Mapping[str, float]) -> None:
        """Give the new fleet these shares of the variants' requests, from the next request on."""
        parts = {OLD: _parts(self._fleets[OLD]), NEW: _parts(self._fleets[NEW])}
        weights = {
            (side, name): part * (share if side == NEW else 1 - share)
            for side, named in parts.items()
            for name, part in named.items()
            for share in (shares.get(name, 0.0),)
        }
        aimed = {
            name: Turns({OLD: 1 - shares.get(name, 0.0), NEW: shares.get(name, 0.0)})
            for name in {**parts[OLD], **parts[NEW]}
        }
        with self._lock:
            self._turns, self._aimed = Turns(weights), aimed
            self._has_share = any(shares.values())

    @contextmanager
    def lease(self, variant: str | None) -> Iterator[tuple[Instance, Worker]]:
        """An instance of either fleet for one request."""
        with ExitStack() as stack:
            side, name = self._choose(variant)
            try:
                held = stack.enter_context(self._fleets[side].lease(name))
            except NoInstanceError:
                if side == OLD and not self._has_share:
                    raise
                held = stack.enter_context(self._fleets[1 - side].lease(name))
            yield held

    def _choose(self, variant: str | None) -> tuple[int, str]:
        with self._lock:
            if variant is None:
                return self._turns.next()
            if variant not in self._aimed:
                raise NoVariantError(variant)
            return self._aimed[variant].next(), variant

    def wait_until_up(self, variant: str, seconds: float) -> bool:
        """Wait for an instance of the old fleet, which is the one to be relied on."""
        return self._fleets[OLD].wait_until_up(variant, seconds)

    def weights(self) -> dict[str, float]:
        """The old fleet's."""
        return self._fleets[OLD].weights()

    def instance_counts(self) -> dict[str, int]:
        """The old fleet's."""
        return self._fleets[OLD].instance_counts()

    def retire(self) -> None:
        """Retire both, at the same time."""
        _at_once(*(fleet.retire for fleet in self._fleets))

    def stop(self, grace: float = STOP_SECONDS) -> None:
        """Stop both, at the same time."""
        _at_once(*(partial(fleet.stop, grace) for fleet in self._fleets))


def _at_once(*actions: Callable[[], None]) -> None:
    threads = [threading.Thread(target=action) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _parts(fleet: Fleet) -> dict[str, float]:
    """Each variant's part of a fleet's traffic."""
    weights = fleet.weights()
    total = sum(weights.values()) or 1.0
    return {name: weight / total for name, weight in weights.items()}
