"""Models that hang, trickle or say too much, and endpoints that wait only for their own: no processes, see
test_hosting_fleet.py."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from test_hosting_fleet import ThreadedContainer, plan, starter
from waiting import WAIT_SECONDS, until

from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.hosting import fleet, instances, invocation, lanes, worker
from localaws.sagemaker.hosting.connection import AnswerTooLargeError, Connection, NotHttpError
from localaws.sagemaker.hosting.fleet import Deployment
from localaws.sagemaker.hosting.invocation import Invoker, InvokeRequest, ModelError
from localaws.sagemaker.hosting.worker import ControlDoor, Worker, WorkerTimeoutError, start_worker


def invoker(deployments: dict[str, Deployment]) -> Invoker:
    serving: Any = SimpleNamespace(get=deployments.get, wait_for=lambda name, *_: deployments.get(name))
    records: Any = SimpleNamespace(is_coming_back=lambda _name: False)
    metrics: Any = SimpleNamespace(record=lambda *_: None)
    platform: Any = SimpleNamespace(region="us-east-1", account="000000000000")
    return Invoker(records, serving, metrics, platform)


@pytest.mark.fidelity(
    "Endpoints",
    "A model without an answer for 60 s: ModelError (0) from primary, Your invocation timed out while waiting.",
    "aws-samples/host-yolov8-on-sagemaker-endpoint#21; RamVegiraju/SageMaker-Deployment#3",
)
def test_a_worker_that_hangs_is_replaced_after_the_request_that_it_left_unanswered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(invocation, "RESPONSE_SECONDS", 0.2)
    started: list[Worker] = []
    released = threading.Event()
    deployment = Deployment(
        [plan()], starter({"A": lambda: "yes" if len(started) > 1 else str(released.wait(WAIT_SECONDS))}, started)
    )
    deployment.start()
    ask = invoker({"e": deployment}).invoke
    with pytest.raises(
        ModelError, match=r"server error \(0\) from primary.*timed out while waiting.*try again\.\"\. See"
    ):
        ask(InvokeRequest("e", b"1"))
    assert ask(InvokeRequest("e", b"1")).body == b'"yes"', "the next request waits for the new worker"
    assert len(started) == 2
    released.set()
    deployment.stop()


@pytest.mark.fidelity(
    "Endpoints",
    "A container of one's own that takes longer than 60 s goes on: its caller is told, nobody ends it while it answers "
    "/ping.",
    "SageMaker DG, Custom Inference Code with Hosting Services: How Your Container Should Respond to Inference "
    "Requests",
)
def test_a_container_of_ones_own_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invocation, "RESPONSE_SECONDS", 0.2)
    started: list[Worker] = []
    released = threading.Event()
    deployment = Deployment([plan()], starter({"A": lambda: str(released.wait(WAIT_SECONDS))}, started))
    deployment.start()
    monkeypatch.setattr(ControlDoor, "ends_when_hung", False)
    with pytest.raises(ModelError, match="timed out while waiting"):
        invoker({"e": deployment}).invoke(InvokeRequest("e", b"1"))
    released.set()
    monkeypatch.setattr(invocation, "RESPONSE_SECONDS", WAIT_SECONDS)
    assert invoker({"e": deployment}).invoke(InvokeRequest("e", b"1")).body == b'"True"', "the same container"
    assert len(started) == 1
    deployment.stop()


def test_a_worker_that_answers_others_meanwhile_is_slow_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Worker] = []
    deployment = Deployment([plan()], starter({"A": lambda: "yes"}, started))
    deployment.start()
    with deployment.lease(None) as (instance, serving):
        serving.answered_at = float("inf")  # another request was answered while this one waited
        monkeypatch.setattr(serving, "ask", lambda *_: (_ for _ in ()).throw(WorkerTimeoutError))
        assert invocation.answer_of(instance, serving, InvokeRequest("e", b"1"), 0.3).status == 0
        assert instance.ready
    assert len(started) == 1
    deployment.stop()


class Frozen(ThreadedContainer):
    """A container that stops answering anything, as a stopped process does."""

    frozen = False

    def _serve(self, connection: socket.socket) -> None:
        self._connections.append(connection)
        if not self.frozen:
            super()._serve(connection)


@pytest.mark.fidelity(
    "Endpoints",
    "SageMaker pings while it serves, and waits 2 s for an answer; a container that stays silent is started again.",
    "SageMaker DG, Custom Inference Code with Hosting Services: How Your Container Should Respond to Health Check "
    "(Ping) Requests",
)
def test_a_worker_that_answers_no_ping_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, seconds in ((fleet, "PING_EVERY_SECONDS", 0.02), (instances, "PING_SECONDS", 0.05)):
        monkeypatch.setattr(module, name, seconds)
    containers: list[Frozen] = []

    def spawn(descriptor: int) -> Frozen:
        containers.append(Frozen(os.dup(descriptor), lambda: "yes"))
        return containers[-1]

    deployment = Deployment([plan()], lambda *_: start_worker(spawn))
    deployment.start()
    containers[0].frozen = True
    with deployment.lease(None) as (_, serving):
        serving._pool._idle.clear()
    until(lambda: len(containers) == 2 and deployment.instance_counts() == {"A": 1}, "another worker")
    deployment.stop()


def finish(end: socket.socket) -> None:
    """Say no more, and listen until the other side has gone."""
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_WR)
        end.recv(1)


def speaking(said: bytes, then: Callable[[socket.socket], None] = finish) -> Connection:
    ours, theirs = socket.socketpair()

    def speak() -> None:
        theirs.sendall(said)
        then(theirs)

    threading.Thread(target=speak, daemon=True).start()
    return Connection(ours)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", AnswerTooLargeError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc", NotHttpError),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 5000, AnswerTooLargeError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", ConnectionResetError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n", NotHttpError),
    ],
)
def test_what_a_container_may_not_say(said: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        speaking(said).ask(b"", b"", WAIT_SECONDS)


def test_an_answer_that_trickles_ends_with_the_time_for_all_of_it() -> None:
    def trickle(end: socket.socket) -> None:
        try:
            while True:
                end.sendall(b"x")
                threading.Event().wait(0.02)
        except OSError:
            return

    connection = speaking(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", trickle)
    with pytest.raises(TimeoutError):
        connection.ask(b"", b"", 0.2)
    connection.close()


def test_an_answer_of_many_pieces_is_whole() -> None:
    body = os.urandom(3_000_000)
    said = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    assert speaking(said).ask(b"", b"", WAIT_SECONDS).body == body


def test_a_slow_endpoint_keeps_no_other_waiting_and_too_many_requests_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes, "THREADS", 2)
    monkeypatch.setattr(lanes, "MAX_REQUESTS", 4)
    release = threading.Event()
    slow = Deployment([plan()], starter({"A": lambda: str(release.wait(WAIT_SECONDS))}))
    fast = Deployment([plan()], starter({"A": lambda: "yes"}))
    slow.start()
    fast.start()
    submit = invoker({"slow": slow, "fast": fast}).submit
    waiting = [submit(InvokeRequest("slow", b"1")) for _ in range(4)]
    with pytest.raises(SageMakerError, match="4 requests with 4 bytes wait for the models already") as refused:
        submit(InvokeRequest("slow", b"1"))
    assert (refused.value.code, refused.value.http_status) == ("ServiceUnavailable", 503)
    assert submit(InvokeRequest("fast", b"1")).result(WAIT_SECONDS).body == b'"yes"'
    with pytest.raises(SageMakerError, match="not found"):
        submit(InvokeRequest("none", b"1")).result(WAIT_SECONDS)
    release.set()
    assert [answer.result(WAIT_SECONDS).body for answer in waiting] == [b'"True"'] * 4
    assert submit(InvokeRequest("slow", b"1")).result(WAIT_SECONDS).status == 200
    for deployment in (slow, fast):
        deployment.stop()


def test_bodies_that_wait_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "MAX_BYTES", 10)
    with pytest.raises(lanes.LaneFullError):
        lanes.Lanes(lambda _name: True).submit("e", 11, str)


def test_the_limit_of_an_answer_is_that_of_a_request() -> None:
    assert worker.MAX_ANSWER == invocation.MAX_BODY
