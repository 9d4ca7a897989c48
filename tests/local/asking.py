"""Who asks an endpoint all the time, while something is done with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from deployed import Pipeline

from bench.load import Failure, requests_of

THREADS, PAUSE_SECONDS = 2, 0.02


@dataclass
class Asked:
    """What hasn't been answered with 200, and the different answers otherwise."""

    failures: list[Failure] = field(default_factory=list)
    answers: set[bytes] = field(default_factory=set)


@contextmanager
def asked_without_pause(pipeline: Pipeline) -> Iterator[Asked]:
    """Threads that ask the pipeline's endpoint. A request that fails in any way is a failure, and asking goes on."""
    send, over, found = requests_of(pipeline.aws.server, pipeline.own["EndpointName"]), threading.Event(), Asked()

    def ask() -> None:
        while not over.wait(PAUSE_SECONDS):
            try:
                status, body = send()
            except Exception as error:  # noqa: BLE001 - any failure at all is what this is about
                status, body = 0, repr(error).encode()
            if status == 200:
                found.answers.add(body.strip())
            else:
                found.failures.append(Failure(time.time(), status, body))

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert found.answers, "the endpoint was asked and never answered"
