"""Application Auto Scaling with a clock that only the test moves, and an endpoint that does as it is told, or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from localaws.autoscaling.service import OPERATIONS, AutoScaling
from localaws.autoscaling.surroundings import Capacity, Variant
from localaws.sagemaker.core.errors import SageMakerError, resource_limit_exceeded
from localaws.sagemaker.core.request import Caller, Document

CALLER = Caller("arn:aws:iam::000000000000:root", "000000000000", "us-east-1")
VARIANT = Variant("e", "v")
NAMED = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": VARIANT.resource,
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
TRACKING = {
    "TargetValue": 100.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
}


class Around:
    """The services around it; `metric` is what the alarms look at."""

    account, region, clock_scale = "000000000000", "us-east-1", 1.0

    def __init__(self) -> None:
        self.time, self.metric = 1000.0, 95.0
        self.instances, self.status, self.reason = 1, "InService", ""
        self.alarms: dict[str, Document] = {}
        self.refuses: SageMakerError | None = None
        self.told: list[float] = []
        self.is_silent = False

    def now(self) -> float:
        return self.time

    def capacity(self, variant: Variant) -> Capacity | None:
        return Capacity("ml.m5.large", self.instances, self.status, self.reason) if variant == VARIANT else None

    def set_capacity(self, variant: Variant, count: int) -> None:  # noqa: ARG002
        if self.refuses:
            raise self.refuses
        self.instances = count

    def put_alarms(self, alarms: Sequence[Document]) -> None:
        self.alarms |= {alarm["AlarmName"]: alarm for alarm in alarms}

    def delete_alarms(self, names: Sequence[str]) -> None:
        for name in names:
            self.alarms.pop(name, None)

    def sounding(self, names: Sequence[str]) -> Mapping[str, float | None]:
        above = [name for name in names if "-AlarmHigh-" in name and self.metric > self.alarms[name]["Threshold"]]
        below = [name for name in names if "-AlarmLow-" in name and self.metric < self.alarms[name]["Threshold"]]
        return dict.fromkeys([*above, *below], self.metric)

    def put_metric(self, namespace: str, datum: Document) -> None:  # noqa: ARG002
        self.told.append(datum["Value"])

    def has_metric(self, alarm: str) -> bool:
        return alarm in self.alarms and not self.is_silent

    def make_role(self, caller: Caller) -> str:  # noqa: ARG002
        return "arn:role"

    def authorize(self, caller: Caller, actions: Sequence[str], resource: str) -> None:
        """Everybody may do everything."""


class Scaled:
    """A service whose thread doesn't run: a test looks itself."""

    def __init__(self, path: Path) -> None:
        self.around = Around()
        self.service = AutoScaling(self.around, path / "autoscaling.sqlite")

    def ask(self, operation: str, **more: Any) -> Document:
        return self.service.handle(operation, {**NAMED, **more}, CALLER)

    def register(self, low: int = 1, high: int = 10, **more: Any) -> None:
        self.ask("RegisterScalableTarget", MinCapacity=low, MaxCapacity=high, **more)

    def track(self, **more: Any) -> None:
        config = {**TRACKING, **more}
        policy = {"PolicyName": "p", "PolicyType": "TargetTrackingScaling"}
        self.ask("PutScalingPolicy", **policy, TargetTrackingScalingPolicyConfiguration=config)

    def look(self, after: float = 0.0) -> int:
        """The instances after a look."""
        self.around.time += after
        self.service._scaler.look(VARIANT.resource)
        return self.around.instances

    def activities(self) -> list[Document]:
        return list(self.ask("DescribeScalingActivities")["ScalingActivities"])


@pytest.fixture
def scaled(tmp_path: Path) -> Scaled:
    return Scaled(tmp_path)


def test_what_is_said_to_be_here_is(scaled: Scaled) -> None:
    for operation in OPERATIONS:
        with pytest.raises(SageMakerError) as caught:
            scaled.service.handle(operation, {}, CALLER)
        assert "Member must not be null" in caught.value.message
    with pytest.raises(SageMakerError, match="not implemented here: GetPredictiveScalingForecast"):
        scaled.service.handle("GetPredictiveScalingForecast", {}, CALLER)


def test_a_cooldown_holds_back_what_isnt_more_and_then_scales_in(scaled: Scaled) -> None:
    scaled.register()
    scaled.track()
    scaled.around.metric = 300.0
    assert scaled.look() == 3
    assert scaled.look(10) == 3, "done, as asked; its cooldown begins"
    scaled.around.metric = 500.0
    assert scaled.look(10) == 5, "more is asked for yet: five, counted from the one that there was"
    scaled.around.metric = 0.0
    assert scaled.look(10) == 5 and scaled.look(200) == 5, "the cooldown of five minutes"
    assert scaled.look(100) == 4
    assert scaled.look(10) == 4 and scaled.look(290) == 4, "and that of scaling in"
    assert scaled.look(20) == 3
    told = [activity["Description"] for activity in reversed(scaled.activities())]
    assert told == [f"Setting desired instance count to {count}." for count in (3, 5, 4, 3)]


def test_what_sagemaker_refuses_is_told_and_tried_again_a_minute_later(scaled: Scaled) -> None:
    scaled.register()
    scaled.track()
    scaled.around.metric, scaled.around.refuses = 300.0, resource_limit_exceeded("The account-level service limit …")
    assert scaled.look() == 1 and scaled.look(30) == 1
    [activity] = scaled.activities()
    assert (activity["StatusCode"], activity["StatusMessage"]) == (
        "Failed",
        "Failed to set desired instance count to 3. Reason: The account-level service limit …",
    )
    scaled.around.refuses = None
    assert scaled.look(31) == 3


def test_limits_that_sagemaker_refuses_to_hold_are_tried_again_until_they_do(scaled: Scaled) -> None:
    scaled.around.refuses = resource_limit_exceeded("The account-level service limit …")
    scaled.register(low=3)
    assert scaled.look() == 1 and scaled.look(61) == 1
    assert [activity["StatusCode"] for activity in scaled.activities()] == ["Failed", "Failed"]
    scaled.around.refuses = None
    assert scaled.look(30) == 1 and scaled.look(31) == 3
    scaled.around.instances, scaled.around.reason = 1, "the health check"
    assert scaled.look(10) == 1 and scaled.look(61) == 3, "instances that didn't come up, too"
    scaled.around.refuses = resource_limit_exceeded("The account-level service limit …")
    scaled.register(low=4)
    scaled.look(5)
    scaled.around.refuses = None
    scaled.register(low=5)
    assert scaled.look(5) == 5, "other limits are tried at once"


def test_who_would_scale_to_nothing_is_told_why_not(scaled: Scaled) -> None:
    with pytest.raises(SageMakerError, match="an asynchronous endpoint's may be 0; here no StepScaling"):
        scaled.register(low=0)


def test_instances_that_dont_come_up_are_told(scaled: Scaled) -> None:
    scaled.register()
    scaled.track()
    scaled.around.metric = 300.0
    assert scaled.look() == 3
    scaled.around.instances, scaled.around.reason = 1, "the health check"
    assert scaled.look(10) == 1
    assert scaled.activities()[0]["StatusMessage"].endswith("Reason: the health check")


@pytest.mark.fidelity(
    "Endpoints",
    "An endpoint that is being updated isn't scaled; what a scheduled action sets meanwhile is done afterwards.",
    "SageMaker DG, Update endpoints that use auto scaling: automatic scaling is blocked meanwhile",
)
def test_an_endpoint_that_is_updated_isnt_scaled(scaled: Scaled) -> None:
    scaled.register()
    scaled.track()
    action = {"ScheduledActionName": "a", "Schedule": "rate(1 minute)", "ScalableTargetAction": {"MinCapacity": 2}}
    scaled.ask("PutScheduledAction", **action)
    scaled.around.status, scaled.around.metric = "Updating", 300.0
    assert scaled.look(61) == 1
    scaled.around.status = "InService"
    assert scaled.look() == 2, "within the limits first"
    scaled.look(1)
    assert scaled.look(1) == 6, "two that have 300 each"


@pytest.mark.fidelity(
    "Endpoints",
    "SuspendedState holds back scaling in, scaling out and scheduled actions, each by itself.",
    "RegisterScalableTarget, API reference: SuspendedState; Suspending and resuming scaling",
)
def test_what_is_suspended_isnt_done(scaled: Scaled) -> None:
    scaled.around.instances = 4
    scaled.register(SuspendedState={"DynamicScalingOutSuspended": True, "ScheduledScalingSuspended": True})
    scaled.track()
    action = {"ScheduledActionName": "a", "Schedule": "rate(1 minute)", "ScalableTargetAction": {"MinCapacity": 8}}
    scaled.ask("PutScheduledAction", **action)
    scaled.around.metric = 300.0
    assert scaled.look(61) == 4
    scaled.around.metric = 0.0
    assert scaled.look(61) == 3
    scaled.ask("RegisterScalableTarget", SuspendedState={"DynamicScalingInSuspended": True})
    scaled.look(1)
    assert scaled.look(400) == 3
    found = scaled.service.handle("DescribeScalableTargets", {"ServiceNamespace": "sagemaker"}, CALLER)
    [target] = found["ScalableTargets"]
    assert target["SuspendedState"] == dict.fromkeys(target["SuspendedState"], True)


@pytest.mark.fidelity(
    "CloudWatch",
    "Of a variant that nobody asks InvocationsPerInstance is zero, so that it is scaled in.",
    "SageMaker DG, Edit a scaling policy, Scale-in: SageMaker emits metrics with a value of zero",
)
def test_silence_is_reported_where_a_policy_tracks_requests(scaled: Scaled) -> None:
    scaled.register()
    scaled.look()
    assert scaled.around.told == []
    scaled.track()
    scaled.look()
    assert scaled.around.told == [], "there are requests"
    scaled.around.is_silent = True
    scaled.look()
    assert scaled.around.told == [0.0]


def test_a_policy_that_is_put_again_keeps_its_alarms_and_one_that_goes_takes_them_along(scaled: Scaled) -> None:
    scaled.register()
    scaled.track()
    before = dict(scaled.around.alarms)
    scaled.track(TargetValue=50.0)
    assert scaled.around.alarms.keys() == before.keys()
    assert sorted(alarm["Threshold"] for alarm in scaled.around.alarms.values()) == [45.0, 50.0]
    scaled.track(DisableScaleIn=True)
    assert [name for name in scaled.around.alarms if "AlarmLow" in name] == []
    scaled.ask("DeregisterScalableTarget")
    assert scaled.around.alarms == {}
    with pytest.raises(SageMakerError, match="No scalable target registered for service namespace: sagemaker"):
        scaled.track()
    assert scaled.ask("DescribeScalingPolicies")["ScalingPolicies"] == []


def test_lists_come_in_pages(scaled: Scaled) -> None:
    scaled.register()
    for number in range(5):
        action = {"ScheduledActionName": f"a{number}", "Schedule": "rate(1 day)"}
        scaled.ask("PutScheduledAction", **action, ScalableTargetAction={"MinCapacity": 1})
    first = scaled.ask("DescribeScheduledActions", MaxResults=3)
    rest = scaled.ask("DescribeScheduledActions", MaxResults=3, NextToken=first["NextToken"])
    names = [action["ScheduledActionName"] for action in first["ScheduledActions"] + rest["ScheduledActions"]]
    assert names == [f"a{number}" for number in range(5)] and "NextToken" not in rest
    assert "Next" not in first["ScheduledActions"][0], "its own notes aren't shown"
    with pytest.raises(SageMakerError, match="The next token is invalid"):
        scaled.ask("DescribeScheduledActions", NextToken="other")
