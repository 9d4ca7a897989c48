"""Serverless fleets without processes: who gets an instance, what is kept, and what becomes of a start that fails."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from test_hosting_fleet import ask, starter
from waiting import until

from localaws.sagemaker.hosting import instances
from localaws.sagemaker.hosting.fleet import RetiredError
from localaws.sagemaker.hosting.instances import FleetError, VariantPlan
from localaws.sagemaker.hosting.serverless_fleet import ServerlessFleet, ThrottledError
from localaws.sagemaker.hosting.worker import Worker

PROVISIONED = {"MemorySizeInMB": 1024, "MaxConcurrency": 2, "ProvisionedConcurrency": 1}
ON_DEMAND = {"MemorySizeInMB": 1024, "MaxConcurrency": 2}


def plan(config: dict[str, int], startup_seconds: float = 60.0) -> VariantPlan:
    return VariantPlan("A", 1.0, 1, {"ServerlessConfig": config}, startup_seconds=startup_seconds)


def test_what_is_provisioned_stays_and_what_was_needed_beside_it_goes() -> None:
    started: list[Worker] = []
    fleet = ServerlessFleet(plan(PROVISIONED), starter({"A": lambda: "yes"}, started), idle_seconds=0.1)
    fleet.start()
    assert (ask(fleet), len(started)) == ("yes", 1)
    with ExitStack() as held:
        warm, _ = held.enter_context(fleet.lease(None))
        cold, _ = held.enter_context(fleet.lease("A"))
        assert (warm.setup_seconds, len(started)) == (None, 2)
        assert cold.setup_seconds is not None
        with pytest.raises(ThrottledError):
            ask(fleet)
    until(lambda: len(fleet._all()) == 1, "the second one has idled")
    assert (ask(fleet), len(started)) == ("yes", 2)
    fleet.retire()
    with pytest.raises(RetiredError):
        ask(fleet)


@pytest.mark.parametrize(("config", "left"), [(PROVISIONED, 1), (ON_DEMAND, 0)])
def test_what_is_provisioned_starts_again_when_it_has_ended(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, int], left: int
) -> None:
    monkeypatch.setattr(instances, "RESTART_PAUSES", (0.0,))
    answers = {"A": lambda: "yes"}
    fleet = ServerlessFleet(plan(config, 0.2), starter(answers))
    fleet.start()
    with pytest.raises(LookupError), fleet.lease(None) as (instance, worker):
        del answers["A"]  # so that it is down still when the request has its answer
        worker.process.kill()
        instance.lost(worker)
        raise LookupError("as ModelError")
    assert len(fleet._all()) == left
    answers["A"] = lambda: "again"
    until(lambda: [each.ready for each in fleet._all()] == [True] * left, "as many as are provisioned are up")
    assert ask(fleet) == "again"
    fleet.stop()


def test_a_start_that_fails_takes_no_place() -> None:
    answers = {"A": lambda: "yes"}
    fleet = ServerlessFleet(plan(ON_DEMAND, 0.2), starter(answers))
    fleet.start()
    del answers["A"]
    for _ in range(3):
        with pytest.raises(FleetError, match="did not pass the ping health check"):
            ask(fleet)
    answers["A"] = lambda: "again"
    assert ask(fleet) == "again"
    fleet.stop()


def test_a_model_that_never_gets_healthy_is_found_at_the_deployment() -> None:
    with pytest.raises(FleetError, match="did not pass the ping health check"):
        ServerlessFleet(plan(ON_DEMAND, 0.2), starter({})).start()
