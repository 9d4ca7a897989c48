"""The containers of one instance that are more than one: an inference pipeline, or those of a multi-container endpoint.

An instance holds them as one `Worker`: it is healthy when all are, and one that ends is the end of all.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from mmap import mmap

from localaws.sagemaker.containers.limits import Exceeded
from localaws.sagemaker.hosting.connection import MAX_ANSWER, Answer, NoAnswerError
from localaws.sagemaker.hosting.model_server.flask_model import PASSED_ON
from localaws.sagemaker.hosting.worker import STOP_SECONDS, Process, UnhealthyError, Worker

MIB = 1024 * 1024
# "if the request payload (the response from the previous container) exceeds the limit of 5 MB" (developer guide,
# "Troubleshoot Inference Pipelines").
MAX_PASSED = 5 * MIB
INVOCATIONS = "/invocations"
_ANY = "*/*"
_CONTENT_TYPE, _ACCEPT = "Content-Type", "Accept"
_SAME_MOMENT_SECONDS = 0.05  # between containers whose time to get healthy is over


class PassedTooMuchError(NoAnswerError):
    """A container's answer is larger than the next one's request may be; the text is AWS's, without where to look."""


@dataclass(frozen=True)
class Link:
    """A container and the name that it goes by in logs, metrics and errors."""

    hostname: str
    worker: Worker

    def invoke(
        self, headers: Mapping[str, str], body: bytes | mmap, timeout: float, seconds: dict[str, float] | None = None
    ) -> Answer:
        """The container's own answer. NoAnswerError. How long it took is noted in `seconds`, by its name."""
        sent = time.perf_counter()
        try:
            answer = self.worker.ask("POST", INVOCATIONS, headers, body, max(timeout, 1e-3))
        except NoAnswerError as error:
            error.container = self.hostname
            raise
        finally:
            if seconds is not None:
                seconds[self.hostname] = time.perf_counter() - sent
        return replace(answer, container=self.hostname)


class Chain(Worker):
    """Containers as one worker: a request goes through all of them, each gets the answer of the one before.

    is_direct: whether every request names the container that it is for (InferenceExecutionConfig, Mode=Direct).
    """

    process: Process

    def __init__(self, links: Sequence[Link], *, is_direct: bool = False) -> None:
        self.links = tuple(links)
        self.is_direct = is_direct
        self.process = _Processes([link.worker.process for link in links])
        self.answered_at = 0.0
        self._max_answer, self._max_passed = MAX_ANSWER, MAX_PASSED

    @property
    def max_answer(self) -> int:
        """Bytes of the body of an answer, at most. Once it is set, it is what may be passed on, too."""
        return self._max_answer

    @max_answer.setter
    def max_answer(self, value: int) -> None:
        self._max_answer = self._max_passed = value
        for link in self.links:
            link.worker.max_answer = value

    def link(self, hostname: str) -> Link | None:
        """The container of that name."""
        return next((link for link in self.links if link.hostname == hostname), None)

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes | mmap, timeout: float) -> Answer:
        """An invocation through all containers; anything else is the first one's to answer. NoAnswerError."""
        if path != INVOCATIONS:
            return self.links[0].worker.ask(method, path, headers, body, timeout)
        return self.through(headers, body, timeout)

    def through(
        self, headers: Mapping[str, str], body: bytes | mmap, timeout: float, seconds: dict[str, float] | None = None
    ) -> Answer:
        """The last container's answer, or that of the first one that answers with an error. NoAnswerError.

        Only the last is told what the caller accepts: the others answer as SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT of
        their own says (amazon-sagemaker-examples#729). `timeout` is for all of it; `seconds`: see `Link.invoke`.
        """
        deadline = time.monotonic() + timeout
        accept = headers.get(_ACCEPT, _ANY)
        passed = {**headers, _ACCEPT: _ANY}
        for link, following in zip(self.links, self.links[1:], strict=False):
            answer = link.invoke({**passed, PASSED_ON: "1"}, body, deadline - time.monotonic(), seconds)
            if not 200 <= answer.status < 300:
                return answer
            self._check_size(link, following, answer)
            passed, body = _passed_on(passed, answer), answer.body
        return self.links[-1].invoke({**passed, _ACCEPT: accept}, body, deadline - time.monotonic(), seconds)

    def _check_size(self, link: Link, following: Link, answer: Answer) -> None:
        if len(answer.body) <= self._max_passed:
            return
        error = PassedTooMuchError(
            f"Received response from {link.hostname} with status code {answer.status}. However, the request payload "
            f"from {link.hostname} to {following.hostname} is {len(answer.body)} bytes, which has exceeded the maximum "
            f"limit of {self._max_passed // MIB} MB."
        )
        error.container = link.hostname
        raise error

    def ends_when_hung(self, container: str) -> bool:
        """Whether the one of them that hasn't answered is to be ended, and with it all."""
        link = self.link(container)
        return link is not None and link.worker.ends_when_hung(container)

    def pings(self, seconds: float) -> bool:
        """Whether all of them answer /ping with 200, each within `seconds`."""
        return all(link.worker.pings(seconds) for link in self.links)

    def wait_until_healthy(self, seconds: float) -> None:
        """Return when all of them are healthy; UnhealthyError, which names those that aren't."""
        pool = ThreadPoolExecutor(len(self.links), thread_name_prefix="health")
        healths = {pool.submit(link.worker.wait_until_healthy, seconds): link for link in self.links}
        pool.shutdown(wait=False)  # whoever is told that one has failed ends the others
        done, pending = wait(healths, return_when=FIRST_EXCEPTION)
        if pending:
            done |= wait(pending, _SAME_MOMENT_SECONDS).done
        found = [(link.hostname, error) for health, link in healths.items() if health in done
                 and (error := health.exception())]  # fmt: skip
        if found:
            raise _unhealthy(found) from found[0][1]

    def stop(self, grace: float = STOP_SECONDS) -> None:
        """End all of them at once; returns when they have ended."""
        threads = [threading.Thread(target=link.worker.stop, args=(grace,)) for link in self.links]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


class _Processes:
    """Processes as one, which has ended when the first of them has."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = tuple(processes)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._first: Process | None = None
        for process in processes:
            threading.Thread(target=self._follow, args=(process,), name="container-of-several", daemon=True).start()

    def _follow(self, process: Process) -> None:
        process.wait()
        with self._lock:
            self._first = self._first or process
        self._ended.set()

    @property
    def exceeded(self) -> Exceeded | None:
        return self._first.exceeded if self._first else None

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended.wait(timeout) or self._first is None:
            raise subprocess.TimeoutExpired("containers", timeout or 0.0)
        return self._first.wait()

    def stop(self) -> None:
        for process in self._processes:
            process.stop()

    def kill(self) -> None:
        for process in self._processes:
            process.kill()


def _passed_on(headers: Mapping[str, str], answer: Answer) -> dict[str, str]:
    """The next request's headers: as before, but what an answer is, the next request is."""
    kind = answer.headers.get(_CONTENT_TYPE.lower())
    kept = {name: value for name, value in headers.items() if name != _CONTENT_TYPE}
    return kept if kind is None else kept | {_CONTENT_TYPE: kind}


def _unhealthy(found: Sequence[tuple[str, BaseException]]) -> UnhealthyError:
    text = "; ".join(f"{hostname}: {error}" for hostname, error in found)
    known = [error for _, error in found if isinstance(error, UnhealthyError)]
    exceeded = next((error.exceeded for error in known), None)
    have_started = all(error.has_started for error in known)
    return UnhealthyError(text, exceeded, ", ".join(hostname for hostname, _ in found), has_started=have_started)
