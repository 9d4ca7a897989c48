"""Execution environments that nobody invokes end after a while, as Lambda's do.

Lambda keeps one "for some time in anticipation of another function invocation" and doesn't say for how long; without
extensions it ends unasked ("Lambda execution environment lifecycle", Lambda Developer Guide). Here `idle_functions` of
settings.json says for how long, and how many there are at most: each holds some 20 MB.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from localaws.settings import IdleFunctions

logger = logging.getLogger(__name__)


class Environment(Protocol):
    """An execution environment, as far as its end is concerned; `last_used`: when its last invocation ended (epoch)."""

    func_name: str
    in_use: bool
    last_used: float
    is_given_up: bool

    def kill(self) -> None:
        """End its process, without waiting for that."""

    def retire(self) -> None:
        """End it for good."""


class IdleEnvironments:
    """Those of MiniStack's pools that no invocation uses. All methods may be called from any thread.

    provisioned: how many environments of a function, by its name, are kept however long (provisioned concurrency).
    """

    def __init__(self, kept: IdleFunctions, provisioned: Callable[[str], int]) -> None:
        self._kept = kept
        self._provisioned = provisioned
        self._released = threading.Event()
        threading.Thread(target=self._work, name="lambda-idle", daemon=True).start()

    def release(self, environment: Environment) -> None:
        """Its invocation is over. In the place of MiniStack's `release_worker`."""
        from ministack.core import lambda_runtime

        with lambda_runtime._lock:
            environment.in_use = False
            environment.last_used = time.time()
        if environment.is_given_up:
            environment.retire()
        else:
            self._released.set()

    def give_up(self, environments: Iterable[Environment]) -> None:
        """End those that have been taken out of their pools, each after the invocation that it has, if any.

        In the place of MiniStack's `kill_workers`, by which an update or a deletion ends invocations that have begun.
        """
        from ministack.core import lambda_runtime

        with lambda_runtime._lock:
            idle = []
            for environment in environments:
                environment.is_given_up = True
                if not environment.in_use:
                    idle.append(environment)
        _retire(idle)

    def close(self) -> None:
        """End all of them, those that are in an invocation too."""
        from ministack.core import lambda_runtime

        with lambda_runtime._lock:
            environments: list[Environment] = [each for pool in lambda_runtime._workers.values() for each in pool]
            lambda_runtime._workers.clear()
        for environment in environments:
            environment.kill()
        self.give_up(environments)

    def _work(self) -> None:
        while True:
            left: float | None = None
            try:
                left = self._look()
            except Exception:
                logger.exception("idle functions could not be ended")
            # A setting that means "never" may be longer than Python can wait.
            self._released.wait(None if left is None else min(left, threading.TIMEOUT_MAX))
            self._released.clear()

    def _look(self) -> float | None:
        """End what has been idle for too long, or is too many; seconds until there is more to do, None: never."""
        ended, left = self._taken_out()
        _retire(ended)
        return left

    def _taken_out(self) -> tuple[Sequence[Environment], float | None]:
        """Those to be ended, which nobody can be given any more; and seconds until the next one's end."""
        from ministack.core import lambda_runtime

        now = time.time()
        with lambda_runtime._lock:
            pools: dict[str, list[Environment]] = lambda_runtime._workers
            idle = self._unprovisioned(pools)
            ended = to_end(idle, self._kept, now)
            for key, pool in list(pools.items()):
                pools[key] = [environment for environment in pool if environment not in ended]
                if not pools[key]:
                    del pools[key]
        rest = [environment.last_used for environment in idle if environment not in ended]
        return ended, max(0.0, min(rest) + self._kept.seconds - now) if rest else None

    def _unprovisioned(self, pools: dict[str, list[Environment]]) -> list[Environment]:
        """The idle ones, without those that their function is to have at any time."""
        found: list[Environment] = []
        for pool in pools.values():
            idle = sorted((each for each in pool if not each.in_use), key=lambda each: each.last_used, reverse=True)
            found += idle[self._provisioned(idle[0].func_name) :] if idle else []
        return found


def _retire(environments: Sequence[Environment]) -> None:
    """End all of them, at once."""
    for environment in environments:
        environment.kill()
    for environment in environments:
        environment.retire()


def to_end(idle: Sequence[Environment], kept: IdleFunctions, now: float) -> Sequence[Environment]:
    """Of idle environments those that are kept no longer, the least recently used first. Pure."""
    by_use = sorted(idle, key=lambda environment: environment.last_used)
    too_many = len(by_use) - kept.most
    return [
        environment
        for turn, environment in enumerate(by_use)
        if turn < too_many or now - environment.last_used >= kept.seconds
    ]
