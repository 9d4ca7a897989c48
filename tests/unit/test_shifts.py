"""Updates of endpoints step by step, with fleets whose workers are threads: traffic, rollbacks, restarts."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from quiet_platform import QuietPlatform
from test_deployment_plans import alarms, blue_green, canary, instances, linear, percent, rolling
from test_hosting_fleet import ask, starter
from waiting import until

from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors
from localaws.sagemaker.hosting.deployment_guard import Alarms, Guard
from localaws.sagemaker.hosting.deployment_plans import Plan
from localaws.sagemaker.hosting.endpoint_documents import describe
from localaws.sagemaker.hosting.endpoint_records import EndpointRecords
from localaws.sagemaker.hosting.fleet import Deployment, NoInstanceError, NoVariantError
from localaws.sagemaker.hosting.instances import Start, StartError, VariantPlan
from localaws.sagemaker.hosting.serving import Serving
from localaws.sagemaker.hosting.shifts import Ground, Shift
from localaws.sagemaker.hosting.snapshots import plans_of
from localaws.sagemaker.hosting.split_traffic import SplitTraffic
from localaws.sagemaker.hosting.worker import Worker

SCALE = 1000.0
Document = dict[str, Any]


def variant(name: str, count: int) -> Document:
    return {"VariantName": name, "Weight": 1.0, "InstanceCount": count, "InstanceType": "ml.m5.large",
            "Image": "image", "ResolvedAt": 1.0, "StartupSeconds": 60.0, "RoleArn": "role"}  # fmt: skip


def snapshot(config: str, count: int) -> Document:
    return {"Id": config, "EndpointConfigName": config, "Variants": [variant("A", count)]}


class AlarmingPlatform(QuietPlatform):
    """An AWS whose alarms are as a test says; None where the role may not see them."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.states: dict[str, str] | None = {}

    def alarm_states(self, role_arn: str, names: Sequence[str], since: float) -> dict[str, str]:  # noqa: ARG002
        if self.states is None:
            raise errors.access_denied(f"{role_arn} is not authorized to perform: cloudwatch:DescribeAlarms")
        return {name: state for name, state in self.states.items() if name in names}


@dataclass
class World:
    """One endpoint, `e`, that serves "old", and what may be done with it."""

    platform: AlarmingPlatform
    records: EndpointRecords
    count: int = 1
    serving: Serving = field(default_factory=Serving)
    starts: dict[str, Start] = field(default_factory=dict)
    started: list[Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.starts |= {name: starter({"A": lambda name=name: name}, self.started) for name in ("old", "new")}
        self.ground = Ground(self.records, self.serving, self.fleet, self.guard, time.time)
        deployed = snapshot("old", self.count)
        self.records.create("e", "arn", deployed, {})
        old = self.fleet("e", deployed)
        old.start()
        self.serving.swap("e", old)
        self.records.settle("e", "InService", deployed, None)

    def fleet(self, _name: str, snapshot_: Document) -> Deployment:
        """Its instances start as `starts` says then, not now."""

        def start(plan: VariantPlan, instance: str) -> Worker:
            return self.starts[plan.config](plan, instance)

        return Deployment(plans_of(snapshot_), start)

    def guard(self, pending: Document, plan: Plan) -> Guard:
        watched = Alarms(self.platform, ["role"], plan.alarms, pending["StartTime"])
        used = pending.get("Progress", {}).get("Used", 0.0)
        return Guard(watched, plan.max_seconds, SCALE, self.serving.wait_closed, used)

    def begin(self, config: Document | None, new: str = "new") -> None:
        pending = snapshot(new, self.count) | ({"DeploymentConfig": config} if config else {})
        self.records.begin_update("e", pending)

    def run(self) -> None:
        old = self.serving.get("e")
        assert old is not None
        Shift("e", self.ground, old).run()

    def update(self, config: Document | None, new: str = "new") -> Document:
        self.begin(config, new)
        self.run()
        return self.records.find("e")

    def answers(self, number: int = 40) -> Counter[str]:
        return Counter(ask(self.serving.get("e")) for _ in range(number))  # type: ignore[arg-type]

    def in_background(self, config: Document) -> threading.Thread:
        self.begin(config)
        thread = threading.Thread(target=self.run)
        thread.start()
        return thread

    def status(self) -> tuple[str, str]:
        """The new fleet's first variant's."""
        shown = describe(self.records.find("e"), {})
        found = shown.get("PendingDeploymentSummary", {}).get("ProductionVariants", [{}])[0].get("VariantStatus", [{}])
        return found[0].get("Status", ""), found[0].get("StatusMessage", "")

    def told(self) -> list[str]:
        """The messages of the deployment's events, the new fleet's and the old one's."""
        details = [detail for kind, detail in self.platform.events if kind.endswith("Deployment State Change")]
        assert {detail["EndpointStatus"] for detail in details} <= {"UPDATING"}
        summaries = [[*d["ProductionVariants"], *d["PendingDeploymentSummary"]["ProductionVariants"]] for d in details]
        said = [v["VariantStatus"][0]["StatusMessage"] for s in summaries for v in s if "VariantStatus" in v]
        return [text for number, text in enumerate(said) if number == 0 or said[number - 1] != text]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    yield from a_world(tmp_path, 1)


@pytest.fixture
def four(tmp_path: Path) -> Iterator[World]:
    """Four instances."""
    yield from a_world(tmp_path, 4)


def a_world(root: Path, count: int) -> Iterator[World]:
    platform = AlarmingPlatform(root)
    context = Context.open(platform)
    made = World(platform, EndpointRecords(context), count)
    yield made
    made.serving.close()
    context.lifecycle.close()


def is_baking(world: World) -> bool:
    return world.status()[0] == "Baking"


@pytest.mark.fidelity(
    "Endpoints",
    "During a canary's bake the new fleet has its share; then all; the statuses say Creating, ActivatingTraffic, "
    "Baking, Deleting with their messages.",
    "SageMaker DG, Events that Amazon SageMaker AI sends to Amazon EventBridge",
)
def test_a_canary_gets_its_share_and_then_everything(four: World) -> None:
    wait, termination = 2400, 600
    thread = four.in_background(canary(percent(25), wait, TerminationWaitInSeconds=termination))
    until(lambda: is_baking(four), "the canary's bake")
    assert four.status()[1] == "Baking for 2400 seconds (WaitIntervalInSeconds) with traffic enabled on canary " \
                               "capacity of 1 instance(s)."  # fmt: skip
    assert four.answers() == {"old": 30, "new": 10}
    until(lambda: "TerminationWait" in four.status()[1], "the last bake")
    assert four.answers() == {"new": 40}
    thread.join()
    document = four.records.find("e")
    assert (document["EndpointStatus"], document["EndpointConfigName"]) == ("InService", "new")
    assert not {"Progress", "DeploymentConfig", "StartTime"} & set(document["Deployed"])
    assert four.told() == [
        "Launching 4 instance(s).",
        "Activating traffic on canary capacity of 1 instance(s).",
        "Baking for 2400 seconds (WaitIntervalInSeconds) with traffic enabled on canary capacity of 1 instance(s).",
        "Activating traffic on full capacity of 4 instance(s).",
        "Baking for 600 seconds (TerminationWaitInSeconds) with traffic enabled on full capacity of 4 instance(s).",
        "Terminating 4 instance(s).",
    ]


def test_a_rolling_deployment_never_has_more_than_a_batch_too_many(four: World) -> None:
    thread = four.in_background(rolling(percent(25), 400))
    most = 0
    while thread.is_alive():
        most = max(most, sum(_lives(worker) for worker in four.started))
        time.sleep(0.005)
    assert most <= 6, "a batch more than four, and one that is just ending"
    assert four.answers() == {"new": 40}
    assert four.records.find("e")["EndpointConfigName"] == "new"
    messages = four.told()
    assert [m for m in messages if m.startswith("Launching")] == ["Launching 1 instance(s)."] * 4
    assert messages.count("Terminating 1 instance(s).") == 4


def _lives(worker: Worker) -> bool:
    try:
        worker.process.wait(0)
    except subprocess.TimeoutExpired:
        return True
    return False


@pytest.mark.fidelity(
    "Endpoints",
    "An alarm during a bake gives all traffic back to the old fleet; the endpoint goes from Updating to InService on "
    "its old configuration.",
    "SageMaker DG, Canary Traffic Shifting; SageMaker API, DescribeEndpoint: EndpointStatus, RollingBack",
)
@pytest.mark.parametrize("config", [canary(percent(25), 3600), linear(percent(25), 3600), rolling(percent(25), 3600)])
def test_an_alarm_gives_everything_back(four: World, config: Document) -> None:
    four.platform.states = {"bad": "INSUFFICIENT_DATA", "other": "OK"}
    thread = four.in_background({**config, **alarms("bad", "other")})
    until(lambda: is_baking(four), "the first bake")
    assert four.answers() == {"old": 30, "new": 10}
    four.platform.states["bad"] = "ALARM"
    thread.join()
    assert four.answers() == {"old": 40}
    document = four.records.find("e")
    assert (document["EndpointStatus"], document["EndpointConfigName"]) == ("InService", "old")
    assert document["FailureReason"] == "Alarms of the auto-rollback configuration are in ALARM state: bad."
    statuses = [d["EndpointStatus"] for kind, d in four.platform.events if kind == "SageMaker Endpoint State Change"]
    assert statuses[-2:] == ["UPDATING", "IN_SERVICE"], "never ROLLING_BACK"
    assert four.serving.get("e").instance_counts() == {"A": 4}  # type: ignore[union-attr]


def test_an_alarm_late_in_a_rolling_deployment_brings_the_old_instances_back(four: World) -> None:
    four.platform.states = {"bad": "OK"}
    config = rolling(percent(50), 1500, RollbackMaximumBatchSize=instances(1))
    thread = four.in_background({**config, **alarms("bad")})
    until(lambda: four.status()[1].endswith("full capacity of 4 instance(s)."), "the last batch")
    assert four.serving.get("e").instance_counts() == {"A": 2}  # type: ignore[union-attr]
    four.platform.states["bad"] = "ALARM"
    thread.join()
    assert four.answers() == {"old": 40}
    assert four.serving.get("e").instance_counts() == {"A": 4}  # type: ignore[union-attr]


@pytest.mark.fidelity(
    "Endpoints",
    "The role that can't perform cloudwatch:DescribeAlarms lets no deployment be monitored: it is rolled back.",
    "SageMaker DG, Auto-Rollback Configuration and Monitoring",
)
@pytest.mark.parametrize(
    ("states", "reason"),
    [
        (None, "can't be monitored: role is not authorized to perform: cloudwatch:DescribeAlarms"),
        ({}, "don't exist: bad"),
        ({"bad": "ALARM"}, "are in ALARM state: bad"),
    ],
    ids=["denied", "gone", "alarming"],
)
def test_a_deployment_that_cant_be_watched_ends_before_and_while_it_bakes(
    world: World, states: dict[str, str] | None, reason: str
) -> None:
    world.platform.states = states
    before = world.update({**canary(percent(10), 3600), **alarms("bad")})
    assert reason in before["FailureReason"]
    assert len(world.started) == 1, "nothing was launched"
    world.platform.states = {"bad": "OK"}
    thread = world.in_background({**canary(percent(10), 3600), **alarms("bad")})
    until(lambda: is_baking(world), "the bake")
    world.platform.states = states
    thread.join()
    after = world.records.find("e")
    assert reason in after["FailureReason"]
    assert (after["EndpointConfigName"], world.answers()) == ("old", {"old": 40})


@pytest.mark.fidelity(
    "Endpoints",
    "A deployment that takes longer than MaximumExecutionTimeoutInSeconds is rolled back.",
    "SageMaker API, BlueGreenUpdatePolicy",
)
def test_a_deployment_has_so_much_time_and_bakes_count_in_full(world: World) -> None:
    limit = {"TerminationWaitInSeconds": 0, "MaximumExecutionTimeoutInSeconds": 600}
    config = canary(percent(10), 599, **limit)
    slow, told = threading.Event(), threading.Event()

    def start(plan: VariantPlan, instance: str) -> Worker:
        told.set()
        slow.wait(1.2)
        return starter({"A": lambda: "new"}, world.started)(plan, instance)

    world.starts["new"] = start
    document = world.update(config)
    assert told.is_set()
    assert document["FailureReason"] == "The deployment exceeded MaximumExecutionTimeoutInSeconds, 600 seconds."
    assert world.answers() == {"old": 40}


def test_a_start_is_cut_off_when_the_deployments_time_is_up(world: World) -> None:
    world.starts["new"] = starter({}, world.started)
    world.begin(blue_green("ALL_AT_ONCE", 0, MaximumExecutionTimeoutInSeconds=600))
    world.records.note("e", {}, Used=599.8)
    world.run()
    reason = world.records.find("e")["FailureReason"]
    assert reason == "The deployment exceeded MaximumExecutionTimeoutInSeconds, 600 seconds."


def test_an_alarm_while_a_batch_starts_is_seen_and_what_serves_meanwhile_answers_all(four: World) -> None:
    four.platform.states = {"bad": "OK"}
    healthy, number = four.starts["new"], iter(range(10))

    def only_one(plan: VariantPlan, instance: str) -> Worker:
        return (healthy if next(number) == 0 else starter({}))(plan, instance)

    four.starts["new"] = only_one
    thread = four.in_background({**rolling(percent(25), 100), **alarms("bad")})
    until(lambda: four.status()[1] == "Launching 1 instance(s)." and four.status()[0] == "Updating", "the second batch")
    assert four.answers() == {"old": 30, "new": 10}
    four.platform.states["bad"] = "ALARM"
    thread.join(30)
    assert not thread.is_alive(), "the instance that never answers isn't waited for"
    assert four.records.find("e")["FailureReason"].endswith("are in ALARM state: bad.")
    assert four.answers() == {"old": 40}


def test_a_mistake_of_ours_gives_the_traffic_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_self: Guard, _seconds: float) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(Guard, "bake", broken)
    document = world.update(canary(percent(50)))
    assert document["FailureReason"] == "Internal failure: 'oops'"
    assert (document["EndpointStatus"], world.answers()) == ("InService", {"old": 40})


@pytest.mark.fidelity(
    "Endpoints",
    "UpdateRollbackFailed: rolling deployment and rollback failed, old and new instances serve; UpdateEndpoint heals.",
    "SageMaker DG, Use rolling deployments: Failure handling",
)
def test_a_rollback_that_fails_too_leaves_a_mix_which_the_next_update_heals(four: World) -> None:
    four.platform.states = {"bad": "OK"}
    thread = four.in_background({**rolling(percent(50), 1500), **alarms("bad")})
    until(lambda: four.status()[1].endswith("full capacity of 4 instance(s)."), "the last batch")
    healthy = four.starts["old"]
    four.starts["old"] = four.starts["bad"] = no_start
    four.platform.states["bad"] = "ALARM"
    thread.join()
    mixed = four.records.find("e")
    assert mixed["EndpointStatus"] == "UpdateRollbackFailed"
    assert "bad. The rollback failed, too: no room" in mixed["FailureReason"]
    assert mixed["EndpointConfigName"] == "old"
    assert four.answers() == {"new": 40}
    four.starts["old"] = healthy
    four.platform.states = {"bad": "OK"}
    still = four.update(rolling(percent(50), 0), "bad")
    assert (still["EndpointStatus"], four.answers()) == ("UpdateRollbackFailed", {"new": 40})
    healed = four.update(rolling(percent(50), 0), "old")
    assert (healed["EndpointStatus"], four.answers()) == ("InService", {"old": 40})
    assert not {"Mixed", "FailureReason"} & set(healed)


def no_start(_plan: VariantPlan, _instance: str) -> Worker:
    raise StartError("no room")


def test_a_new_fleet_that_never_gets_healthy_never_gets_a_request(world: World) -> None:
    world.starts["new"] = starter({})
    pending = snapshot("new", 1) | {"DeploymentConfig": canary(percent(50))}
    pending["Variants"][0]["StartupSeconds"] = 0.05
    world.records.begin_update("e", pending)
    world.run()
    document = world.records.find("e")
    assert document["FailureReason"].startswith("The primary container for production variant A did not pass")
    assert (document["EndpointStatus"], world.answers()) == ("InService", {"old": 40})


def test_a_server_that_stops_leaves_the_deployment_where_it_is_and_the_next_goes_on(four: World) -> None:
    thread = four.in_background(linear(percent(25), 1200))
    until(lambda: "canary capacity of 2" in four.status()[1], "the second step")
    events = len(four.platform.events)
    four.serving.close()
    thread.join()
    kept = four.records.find("e")
    assert kept["EndpointStatus"] == "Updating"
    assert kept["Pending"]["Progress"]["Step"] == 1
    assert kept["Pending"]["Progress"]["Used"] >= 1200
    again = World.__new__(World)
    vars(again).update(vars(four), serving=Serving())
    again.ground = Ground(again.records, again.serving, again.fleet, again.guard, time.time)
    old = again.fleet("e", kept["Deployed"])
    old.start()
    again.serving.swap("e", old)
    again.run()
    assert again.answers() == {"new": 40}
    assert again.records.find("e")["EndpointConfigName"] == "new"
    said = [d for _, d in four.platform.events[events:] if "PendingDeploymentSummary" in d]
    first = said[0]["PendingDeploymentSummary"]["ProductionVariants"][0]["VariantStatus"][0]["StatusMessage"]
    assert first == "Launching 4 instance(s)."
    again.serving.close()


# --- two fleets


def fleets(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[Deployment, Deployment]:
    made = []
    for answers in (old, new):
        plans = [VariantPlan(name=name, weight=1.0, instance_count=1, source={}) for name in answers]
        made.append(Deployment(plans, starter({name: lambda text=text: text for name, text in answers.items()})))
        made[-1].start()
    return made[0], made[1]


def test_shares_hold_within_two_points_at_each_step_also_of_an_aimed_variant() -> None:
    old, new = fleets({"A": "oldA", "B": "oldB"}, {"A": "newA", "B": "newB"})
    split = SplitTraffic(old, new, {"A": 0.0, "B": 0.0})
    for share in (0.0, 0.1, 0.33, 0.75, 1.0):
        split.share({"A": share, "B": share})
        seen = Counter(ask(split) for _ in range(200))  # type: ignore[arg-type]
        assert abs(seen["newA"] + seen["newB"] - 200 * share) <= 2
        assert abs(seen["newA"] + seen["oldA"] - 100) <= 2
        aimed = Counter(ask(split, "B") for _ in range(100))  # type: ignore[arg-type]
        assert abs(aimed["newB"] / 100 - share) <= 0.01
        assert set(aimed) <= {"oldB", "newB"}
    with pytest.raises(NoVariantError):
        ask(split, "C")  # type: ignore[arg-type]
    split.stop()


def test_a_fleet_that_is_down_leaves_its_requests_to_the_other_but_never_to_one_without_a_share() -> None:
    old, new = fleets({"A": "old"}, {"A": "new"})
    split = SplitTraffic(old, new, {"A": 0.5})
    new.let_go("A", 0)
    assert Counter(ask(split) for _ in range(20)) == {"old": 20}  # type: ignore[arg-type]
    new.set_instance_count("A", 1)
    old.let_go("A", 0)
    assert Counter(ask(split) for _ in range(20)) == {"new": 20}  # type: ignore[arg-type]
    split.share({"A": 0.0})
    with pytest.raises(NoInstanceError):
        ask(split)  # type: ignore[arg-type]
    split.retire()
