"""The deployments that serve, by endpoint, and those that are starting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from localaws.sagemaker.hosting.fleet import Deployment
from localaws.sagemaker.hosting.instances import FleetError
from localaws.sagemaker.hosting.split_traffic import Fleet

_CLOSE_GRACE_SECONDS = 1.0


class Serving:
    """All deployments of a server, in memory. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._serving: dict[str, Fleet] = {}
        self._starting: dict[str, Deployment] = {}
        self._closing = threading.Event()

    @property
    def is_closed(self) -> bool:
        """Whether the server is stopping."""
        return self._closing.is_set()

    def wait_closed(self, seconds: float) -> bool:
        """Wait, `seconds` at most, until the server stops; whether it does."""
        return self._closing.wait(seconds)

    def get(self, endpoint: str) -> Fleet | None:
        """What serves an endpoint now."""
        return self._serving.get(endpoint)

    def instances(self, endpoint: str, variant: str) -> int:
        """How many instances of a variant are up."""
        serving = self.get(endpoint)
        return serving.instance_counts().get(variant, 0) if serving else 0

    def start(self, endpoint: str, deployment: Deployment) -> None:
        """Start a deployment, which doesn't serve yet; a close ends it meanwhile. FleetError."""
        with self._changed:
            if self.is_closed:
                raise FleetError("the server is stopping")
            self._starting[endpoint] = deployment
        try:
            deployment.start()
        finally:
            with self._changed:
                self._starting.pop(endpoint, None)

    def swap(self, endpoint: str, deployment: Fleet) -> Fleet | None:
        """Let a deployment serve from now on; the one that did before."""
        with self._changed:
            old = self._serving.get(endpoint)
            self._serving[endpoint] = deployment
            self._changed.notify_all()
        return old

    def remove(self, endpoint: str) -> Fleet | None:
        """Let nothing serve an endpoint any more; what did."""
        with self._changed:
            return self._serving.pop(endpoint, None)

    def wait_for(self, endpoint: str, seconds: float, is_coming: Callable[[str], bool]) -> Fleet | None:
        """The deployment that serves; waits `seconds` at most while `is_coming` says that one will."""
        deployment = self._serving.get(endpoint)
        if deployment is not None:
            return deployment
        deadline = time.monotonic() + seconds
        with self._changed:
            while endpoint not in self._serving and is_coming(endpoint) and time.monotonic() < deadline:
                self._changed.wait(0.1)
            return self._serving.get(endpoint)

    def close(self) -> None:
        """End every instance."""
        with self._changed:
            self._closing.set()
            deployments: list[Fleet] = [*self._serving.values(), *self._starting.values()]
            self._serving.clear()
        with ThreadPoolExecutor(max(len(deployments), 1)) as pool:
            list(pool.map(lambda deployment: deployment.stop(_CLOSE_GRACE_SECONDS), deployments))
