"""Fleets without processes: a worker is a thread behind the control socket that a real one has."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import WAIT_SECONDS as PATIENT_SECONDS
from waiting import until

from localaws.sagemaker.containers.limits import DISK, MEMORY, Exceeded, Limits, SharedMemory
from localaws.sagemaker.hosting import instances
from localaws.sagemaker.hosting.endpoint_logs import last_words
from localaws.sagemaker.hosting.fleet import Deployment, NoInstanceError, NoVariantError, RetiredError
from localaws.sagemaker.hosting.instances import FleetError, Start, VariantPlan
from localaws.sagemaker.hosting.model_server.desk import Desk
from localaws.sagemaker.hosting.model_server.flask_model import FlaskModel
from localaws.sagemaker.hosting.model_server.functions import Functions
from localaws.sagemaker.hosting.model_server.model import settings_of
from localaws.sagemaker.hosting.model_server.server import connections_of_control
from localaws.sagemaker.hosting.turns import Turns
from localaws.sagemaker.hosting.worker import UnhealthyError, Worker, WorkerGoneError, start_worker


class ThreadedContainer:
    """A model server in a thread; ends when it is told to, as a process does."""

    exceeded: Exceeded | None = None

    def __init__(self, descriptor: int, answer: Callable[[], str], *, healthy: bool = True) -> None:
        self._ended = threading.Event()
        self._connections: list[socket.socket] = []
        self._control = socket.socket(fileno=descriptor)
        functions = Functions(
            model_fn=lambda _directory: None,
            input_fn=lambda body, _type: body,
            predict_fn=lambda _data, _model: answer(),
            output_fn=lambda prediction, accept: (json.dumps(prediction), accept),
        )
        self._model = FlaskModel(functions, settings_of({}))
        self._healthy = healthy
        self._desk = Desk()
        threading.Thread(target=self._desk.run, args=(lambda: self._model,), daemon=True).start()
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        connections_of_control(self._control, self._serve)

    def _serve(self, connection: socket.socket) -> None:
        self._connections.append(connection)
        if self._healthy:
            self._desk.add(connection)

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("container", timeout or 0)
        return 0

    def stop(self) -> None:
        self._ended.set()
        for connection in (self._control, *self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    kill = stop


def starter(answers: dict[str, Callable[[], str]], started: list[Worker] | None = None) -> Start:
    """Starts workers that answer by variant; one without an answer never becomes healthy."""

    def start(plan: VariantPlan, _instance: str) -> Worker:
        answer = answers.get(plan.name)

        def spawn(descriptor: int) -> ThreadedContainer:
            return ThreadedContainer(os.dup(descriptor), answer or str, healthy=answer is not None)

        worker = start_worker(spawn)
        if started is not None:
            started.append(worker)
        return worker

    return start


def plan(name: str = "A", weight: float = 1.0, count: int = 1, **more: object) -> VariantPlan:
    return VariantPlan(name=name, weight=weight, instance_count=count, source={}, **more)  # type: ignore[arg-type]


def ask(deployment: Deployment, variant: str | None = None) -> str:
    with deployment.lease(variant) as (_, worker):
        answer = worker.ask("POST", "/invocations", {"Content-Type": "text/csv"}, b"1", PATIENT_SECONDS)
    return str(json.loads(answer.body))


def test_a_deployment_answers_once_it_is_started() -> None:
    deployment = Deployment([plan(count=2)], starter({"A": lambda: "yes"}))
    with pytest.raises(NoInstanceError):
        ask(deployment)
    deployment.start()
    assert deployment.instance_counts() == {"A": 2}
    assert ask(deployment) == ask(deployment, "A") == "yes"
    with pytest.raises(NoVariantError):
        ask(deployment, "B")
    deployment.stop()


@pytest.mark.fidelity(
    "Endpoints",
    "An instance that never answers /ping fails the deployment.",
    "SageMaker DG, Use Your Own Inference Code with Hosting Services",
)
def test_an_instance_that_never_answers_ping_ends_the_whole_start() -> None:
    started: list[Worker] = []
    plans = [plan("A"), plan("B", startup_seconds=0.1)]
    deployment = Deployment(plans, starter({"A": lambda: "yes"}, started))
    with pytest.raises(FleetError, match="production variant B did not pass the ping health check"):
        deployment.start()
    assert [worker.process.wait(PATIENT_SECONDS) for worker in started] == [0, 0], "the healthy one has ended too"


@pytest.mark.parametrize(
    ("exceeded", "told"),
    [(MEMORY, "The container ran out of memory."), (DISK, "The container filled its disk.")],
)
def test_a_container_that_a_limit_ends_while_it_loads_says_so(exceeded: Exceeded, told: str) -> None:
    def spawn(descriptor: int) -> ThreadedContainer:
        container = ThreadedContainer(os.dup(descriptor), str, healthy=False)
        container.exceeded = exceeded
        threading.Timer(0.05, container.stop).start()
        return container

    deployment = Deployment([plan("B")], lambda _plan, _instance: start_worker(spawn))
    with pytest.raises(FleetError) as caught:
        deployment.start()
    assert str(caught.value) == f"{instances.unhealthy_reason('B', UnhealthyError(''))} {told}"
    assert last_words(exceeded, Limits(memory=4 << 30, disk=1)).startswith(told)


def test_a_log_says_how_much_memory_a_container_may_have() -> None:
    assert "It may use 4.0 GiB, which" in last_words(MEMORY, Limits(memory=4 << 30, disk=1))
    shared = Limits(memory=4 << 30, disk=1, shared=SharedMemory())
    assert "It may use 4.0 GiB together with the instance's other containers, which" in last_words(MEMORY, shared)


def test_a_container_that_ends_again_and_again_is_started_ever_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances, "RESTART_PAUSES", (0.0, 0.1, 60.0))
    started: list[Worker] = []
    deployment = Deployment([plan()], starter({"A": lambda: "yes"}, started))
    deployment.start()
    for number in (1, 2, 3):
        until(lambda number=number: len(started) == number and deployment.instance_counts() == {"A": 1}, "it is up")
        started[-1].process.kill()
    assert not threading.Event().wait(0.5)
    assert (len(started), deployment.instance_counts()) == (3, {"A": 0}), "the fourth start is a minute away"
    deployment.stop()


def test_retiring_waits_for_what_is_in_flight_and_takes_nothing_new() -> None:
    working, finish = threading.Event(), threading.Event()

    def slow() -> str:
        working.set()
        finish.wait(PATIENT_SECONDS)
        return "done"

    deployment = Deployment([plan()], starter({"A": slow}))
    deployment.start()
    answers: list[str] = []
    request = threading.Thread(target=lambda: answers.append(ask(deployment)))
    request.start()
    assert working.wait(PATIENT_SECONDS)
    retiring = threading.Thread(target=deployment.retire)
    retiring.start()
    with pytest.raises(RetiredError):
        while True:
            with deployment.lease(None):
                pass
    assert retiring.is_alive(), "it waits for the request"
    finish.set()
    request.join(PATIENT_SECONDS)
    retiring.join(PATIENT_SECONDS)
    assert (answers, retiring.is_alive()) == (["done"], False)


def test_a_worker_that_ends_by_itself_is_replaced() -> None:
    started: list[Worker] = []
    deployment = Deployment([plan()], starter({"A": lambda: "yes"}, started))
    deployment.start()
    ended = started[0]
    ended.process.kill()
    with pytest.raises(WorkerGoneError):
        ended.ask("GET", "/ping", {}, b"", PATIENT_SECONDS)
    until(lambda: len(started) == 2 and deployment.instance_counts() == {"A": 1}, "another worker")
    assert ask(deployment) == "yes"
    deployment.stop()
    assert len(started) == 2, "an instance that was stopped isn't replaced"


class LateNews(ThreadedContainer):
    """A container whose end is noticed late by whoever waits for it, and at once by whoever looks."""

    def __init__(self, descriptor: int, noticed: threading.Event) -> None:
        super().__init__(descriptor, lambda: "yes")
        self._noticed = noticed

    def wait(self, timeout: float | None = None) -> int:
        if timeout is None:
            self._noticed.wait(PATIENT_SECONDS)
        return super().wait(timeout)


def test_nothing_more_goes_to_a_worker_that_a_request_found_gone() -> None:
    noticed = threading.Event()
    deployment = Deployment([plan()], lambda *_: start_worker(lambda file: LateNews(os.dup(file), noticed)))
    deployment.start()
    with deployment.lease(None) as (instance, worker):
        instance.lost(worker)
        assert instance.ready, "a worker that has closed a connection and lives is asked again"
        worker.process.kill()
        instance.lost(worker)
    with pytest.raises(NoInstanceError):
        ask(deployment)
    noticed.set()
    until(lambda: deployment.instance_counts() == {"A": 1}, "another worker")
    assert ask(deployment) == "yes"
    deployment.stop()


def test_capacity_and_weights_change_while_it_serves() -> None:
    deployment = Deployment([plan("A"), plan("B")], starter({"A": lambda: "a", "B": lambda: "b"}))
    deployment.start()
    deployment.set_instance_count("A", 3)
    assert deployment.instance_counts() == {"A": 3, "B": 1}
    deployment.set_instance_count("A", 1)
    assert deployment.instance_counts() == {"A": 1, "B": 1}
    deployment.set_weights({"A": 0.0})
    assert Counter(ask(deployment) for _ in range(20)) == {"b": 20}
    deployment.stop()


@pytest.mark.fidelity(
    "Endpoints",
    "RoutingStrategy LEAST_OUTSTANDING_REQUESTS chooses the instance with the fewest.",
    "SageMaker API, ProductionVariantRoutingConfig",
)
def test_least_outstanding_goes_where_the_fewest_requests_are() -> None:
    deployment = Deployment([plan(count=3, routing="LEAST_OUTSTANDING_REQUESTS")], starter({"A": lambda: "yes"}))
    deployment.start()
    with deployment.lease(None) as (one, _), deployment.lease(None) as (two, _), deployment.lease(None) as (three, _):
        assert len({one.id, two.id, three.id}) == 3
    deployment.stop()


WEIGHTS = st.dictionaries(st.sampled_from("ABCDE"), st.floats(0, 1000), min_size=1)


@pytest.mark.fidelity(
    "Endpoints",
    "A variant of weight 0 gets no traffic.",
    "SageMaker API, ProductionVariant: InitialVariantWeight",
)
@given(WEIGHTS.filter(lambda weights: sum(weights.values()) > 0))
def test_a_variant_without_weight_gets_no_traffic(weights: dict[str, float]) -> None:
    turns = Turns(weights)
    assert all(weights[turns.next()] > 0 for _ in range(50))


@given(WEIGHTS.filter(lambda weights: sum(weights.values()) > 1), st.integers(1, 300))
def test_shares_are_the_weights_after_any_number_of_requests(weights: dict[str, float], number: int) -> None:
    turns, total = Turns(weights), sum(weights.values())
    chosen = Counter(turns.next() for _ in range(number))
    assert all(abs(chosen[name] - number * weight / total) < len(weights) for name, weight in weights.items())


def test_turns_are_spread_evenly() -> None:
    turns = Turns({"old": 0.9, "new": 0.1})
    chosen = [turns.next() for _ in range(5000)]
    assert chosen.count("new") == 500
    assert all(chosen[start : start + 10].count("new") == 1 for start in range(0, 5000, 10))
