"""Endpoints after a restart of the server in the middle of a deployment, with fleets whose workers are threads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from quiet_platform import QuietPlatform
from test_deployment_plans import percent, rolling
from test_hosting_fleet import ask, starter
from test_shifts import snapshot
from waiting import until

from localaws.sagemaker.context import Context
from localaws.sagemaker.hosting.deployments import Deployments
from localaws.sagemaker.hosting.endpoint_records import EndpointRecords
from localaws.sagemaker.hosting.instances import VariantPlan
from localaws.sagemaker.hosting.invocation_metrics import InvocationMetrics
from localaws.sagemaker.hosting.serving import Serving
from localaws.sagemaker.hosting.snapshots import of_size
from localaws.sagemaker.hosting.worker import Worker


class Restarted:
    """A server's endpoints: records that are there, and nothing yet that serves. `started`: instances by config."""

    def __init__(self, root: Path) -> None:
        self.platform = QuietPlatform(root)
        self.context = Context.open(self.platform)
        self.records, self.serving = EndpointRecords(self.context), Serving()
        self.started: Counter[str] = Counter()
        self.deployments = Deployments(
            self.context, self.records, self.serving, InvocationMetrics(self.platform, self.context.clock.now)
        )
        self.deployments._starter = SimpleNamespace(start=self.start)  # type: ignore[assignment]
        self.records.create("e", "arn", snapshot("old", 4), {})
        self.records.settle("e", "InService", snapshot("old", 4), None)

    def start(self, _endpoint: str, _directory: Path, plan: VariantPlan, instance: str) -> Worker:
        self.started[plan.config] += 1
        return starter({"A": lambda: plan.config})(plan, instance)

    def recovered(self, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        self.deployments.recover()
        until(lambda: is_so(self.records.find("e")), "the endpoint has come back")
        return self.records.find("e")

    def answers(self) -> Counter[str]:
        return Counter(ask(self.serving.get("e")) for _ in range(100))  # type: ignore[arg-type]


@pytest.fixture
def restarted(tmp_path: Path) -> Iterator[Restarted]:
    made = Restarted(tmp_path)
    yield made
    made.serving.close()
    made.context.lifecycle.close()


def test_a_rollback_that_had_begun_is_brought_to_its_end(restarted: Restarted) -> None:
    restarted.records.begin_update("e", snapshot("new", 4) | {"DeploymentConfig": rolling(percent(50))})
    restarted.records.note("e", {}, Step=1, Kept={"A": 2}, RollingBack="an alarm")
    found = restarted.recovered(lambda document: document["EndpointStatus"] == "InService")
    assert (found["EndpointConfigName"], found["FailureReason"]) == ("old", "an alarm")
    assert "Pending" not in found
    assert (restarted.started, restarted.answers()) == ({"old": 4}, {"old": 100})


def test_a_rolling_deployment_goes_on_with_the_instances_that_it_had_left(restarted: Restarted) -> None:
    config = rolling(percent(50), 0)
    restarted.records.begin_update("e", snapshot("new", 4) | {"DeploymentConfig": config})
    stale = {"A": {"Status": "Baking", "StatusMessage": "of the server before", "StartTime": 1.0}}
    restarted.records.note("e", {}, Step=1, Kept={"A": 2}, Statuses=stale)
    found = restarted.recovered(lambda document: document["EndpointConfigName"] == "new")
    assert found["EndpointStatus"] == "InService"
    assert (restarted.started, restarted.answers()) == ({"old": 2, "new": 4}, {"new": 100})
    details = [detail for kind, detail in restarted.platform.events if kind.endswith("Deployment State Change")]
    assert "of the server before" in str(details[0])
    assert "of the server before" not in str(details[1:])


def test_a_mix_after_a_failed_rollback_serves_again_as_a_mix(restarted: Restarted) -> None:
    mixed = {"Snapshot": of_size(snapshot("new", 4), {"A": 3}), "Shares": {"A": 0.75}, "Kept": {"A": 1}}
    restarted.records.begin_update("e", snapshot("new", 4))
    restarted.records.settle_mixed("e", mixed, "both failed")
    found = restarted.recovered(lambda document: document["EndpointStatus"] == "UpdateRollbackFailed")
    assert (found["EndpointConfigName"], found["FailureReason"]) == ("old", "both failed")
    assert (restarted.started, restarted.answers()) == ({"old": 1, "new": 3}, {"old": 25, "new": 75})


def test_instances_that_serve_are_kept_where_no_others_are_to_be_had(restarted: Restarted) -> None:
    object.__setattr__(restarted.context, "without_capacity", ["ml.m5.large"])
    restarted.recovered(lambda document: document["EndpointStatus"] == "InService")
    assert (restarted.started, restarted.answers()) == ({"old": 4}, {"old": 100})
    (instance, *_) = restarted.serving.get("e")._all()  # type: ignore[union-attr]
    assert instance.worker is not None
    instance.worker.process.kill()
    until(lambda: restarted.started["old"] == 5, "one that has ended is started again")
    restarted.records.begin_update("e", of_size(restarted.records.find("e")["Deployed"], {"A": 5}))
    restarted.deployments.rescale("e")
    found = until(lambda: (found := restarted.records.find("e")).get("FailureReason") and found, "more aren't there")
    assert "InsufficientInstanceCapacity" in found["FailureReason"]


@pytest.mark.fidelity(
    "EventBridge",
    "More instances of what serves: SageMaker Endpoint Deployment State Change, Scaling out desired instance count to "
    "6, in ProductionVariants.",
    "SageMaker DG, Events that Amazon SageMaker AI sends to Amazon EventBridge",
)
def test_more_instances_are_told_of_as_a_deployment(restarted: Restarted) -> None:
    restarted.recovered(lambda document: document["EndpointStatus"] == "InService")
    pending = restarted.records.find("e")["Deployed"]
    restarted.records.begin_update("e", of_size(pending, {"A": 6}))
    restarted.deployments.rescale("e")
    until(lambda: restarted.records.find("e")["EndpointStatus"] == "InService", "six instances")
    (detail,) = [d for kind, d in restarted.platform.events if kind == "SageMaker Endpoint Deployment State Change"]
    (variant,) = detail["ProductionVariants"]
    assert variant["VariantStatus"][0]["Status"] == "Updating"
    assert variant["VariantStatus"][0]["StatusMessage"] == "Scaling out desired instance count to 6."
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (4, 6)
    assert (detail["EndpointStatus"], "PendingDeploymentSummary" in detail) == ("UPDATING", False)
