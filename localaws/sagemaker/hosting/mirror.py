"""A shadow variant sees a copy of the production variant's requests, and nobody sees its answers but its own witnesses.

Copies are made once the caller's answer is there, and asked in threads of their own: a shadow that is slow, fails or
ends delays nobody. A shadow that can't keep up misses copies; how many is told in the server's log.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from localaws.sagemaker.hosting.fleet import Deployment, NoInstanceError, RetiredError
from localaws.sagemaker.hosting.invocation import RESPONSE_SECONDS, InvokeRequest, answer_of
from localaws.sagemaker.hosting.invocation_metrics import InvocationMetrics
from localaws.sagemaker.hosting.turns import Turns
from localaws.sagemaker.hosting.witnesses import Exchange, Witness

THREADS = 8  # copies that are with the shadow at once
MAX_COPIES = 256  # those that wait for a thread included
MAX_BYTES = 64 * 1024 * 1024  # of their bodies together

_log = logging.getLogger(__name__)


class Mirror:
    """Copies a share of what it sees to a fleet's shadow variant. Thread-safe."""

    def __init__(self, shadow: str, share: float, metrics: InvocationMetrics, witnesses: Sequence[Witness]) -> None:
        self._shadow, self._metrics, self._witnesses = shadow, metrics, witnesses
        self._fleet: Deployment | None = None
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._copies = self._bytes = self.missed = 0
        self._closed = False
        self.set_share(share)

    def of(self, fleet: Deployment) -> None:
        """Copy to this fleet's shadow variant."""
        self._fleet = fleet

    def set_share(self, share: float) -> None:
        """Copy this share of the requests from the next one on, each in its turn and none by lot."""
        with self._lock:
            self._turns = Turns({True: share, False: 1 - share})

    def saw(self, exchange: Exchange) -> None:
        """Have a copy asked, if it is its turn and there is room."""
        size = len(exchange.body)
        with self._lock:
            if self._closed or not self._turns.next():
                return
            if self._copies >= MAX_COPIES or self._bytes + size > MAX_BYTES:
                self._miss(exchange)
                return
            self._copies += 1
            self._bytes += size
            if self._threads is None:
                self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="shadow")
            self._threads.submit(self._ask_and_count, exchange)

    def close(self) -> None:
        """Ask no more copies; those that wait are dropped."""
        with self._lock:
            self._closed = True
            threads = self._threads
        if threads is not None:
            threads.shutdown(wait=True, cancel_futures=True)
        if self.missed:
            _log.warning("shadow variant %s missed %d copies in all", self._shadow, self.missed)
        for witness in self._witnesses:
            witness.close()

    def _miss(self, exchange: Exchange) -> None:
        self.missed += 1
        if self.missed == 1:
            _log.warning("%s: shadow variant %s doesn't keep up and misses copies", exchange.endpoint, self._shadow)

    def _ask_and_count(self, exchange: Exchange) -> None:
        try:
            self._ask(exchange)
        except NoInstanceError:
            with self._lock:
                self._miss(exchange)
        except RetiredError:  # the fleet ends: a copy of one of its last answers has nobody to go to
            return
        except Exception:  # noqa: BLE001 - nobody waits for it
            _log.exception("%s: a copy for shadow variant %s", exchange.endpoint, self._shadow)
        finally:
            with self._lock:
                self._copies -= 1
                self._bytes -= len(exchange.body)

    def _ask(self, exchange: Exchange) -> None:
        if self._fleet is None:
            raise RetiredError
        request = InvokeRequest(
            exchange.endpoint,
            exchange.body,
            exchange.content_type,
            exchange.accept,
            custom_attributes=exchange.custom_attributes,
        )
        asked = time.perf_counter()
        with self._fleet.lease_shadow(self._shadow) as (instance, worker):
            sent = time.perf_counter()
            answer = answer_of(instance, worker, request, RESPONSE_SECONDS)
            answered = time.perf_counter()
        source = (exchange.endpoint, self._shadow, instance.plan.config)
        self._metrics.record(source, answer.status, answered - sent, sent - asked)
        copied = replace(exchange, variant=self._shadow, answer=answer)
        for witness in self._witnesses:
            witness.saw(copied)
