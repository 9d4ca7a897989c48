"""Target tracking's arithmetic, and when scheduled actions are due."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from localaws.autoscaling.schedules import Schedule, ScheduleError
from localaws.autoscaling.surroundings import Variant
from localaws.autoscaling.tracking import Cooling, Limits, Wish, alarm_names, alarms, next_capacity

LIMITS = Limits(1, 10)


def high(metric: float, target: float = 100.0) -> Wish:
    return Wish(target, metric, is_high=True, is_low=False)


def low(metric: float, target: float = 100.0, *, scales_in: bool = True) -> Wish:
    return Wish(target, metric, is_high=False, is_low=True, scales_in=scales_in)


QUIET = Wish(100.0, 95.0, is_high=False, is_low=False)


@pytest.mark.fidelity(
    "Endpoints",
    "Target tracking scales out in proportion to the metric, and in more gradually; of several policies one is enough "
    "to scale out, and all are needed to scale in.",
    "Application Auto Scaling user guide, How target tracking scaling works for Application Auto Scaling",
)
@pytest.mark.parametrize(
    ("now", "wishes", "wanted"),
    [
        (1, [high(101)], 2),
        (2, [high(250)], 5),
        (3, [high(100.1)], 4),
        (2, [high(10_000)], 10),
        (2, [high(90)], 2),  # its alarm still sounds; the metric is fine again
        (4, [low(0)], 3),
        (4, [low(89)], 4),  # three would have 119 each
        (10, [low(0)], 9),
        (1, [low(0)], 1),
        (4, [low(0, scales_in=False)], 4),
        (4, [low(0), QUIET], 4),
        (4, [low(0), low(10)], 3),
        (4, [low(0), high(150)], 6),
        (4, [QUIET], 4),
        (4, [], 4),
    ],
)
def test_capacity_by_policies(now: int, wishes: list[Wish], wanted: int) -> None:
    assert next_capacity(now, wishes, LIMITS, Cooling()) == wanted


def test_limits_hold_whatever_a_policy_asks_for() -> None:
    assert next_capacity(2, [high(10_000)], Limits(1, 4), Cooling()) == 4
    assert next_capacity(30, [low(0)], Limits(29, 40), Cooling()) == 29
    assert next_capacity(50, [low(0)], Limits(1, 100), Cooling()) == 45, "a tenth at a time"


@pytest.mark.fidelity(
    "Endpoints",
    "While the cooldown of a scaling out goes on, what it added counts as part of the next one; that of a scaling in "
    "holds back another, and no scaling out.",
    "PutScalingPolicy, API reference: TargetTrackingScalingPolicyConfiguration, ScaleOutCooldown, ScaleInCooldown",
)
def test_cooldowns() -> None:
    out = Cooling(out_from=1)
    assert next_capacity(3, [high(300)], LIMITS, out) == 3, "asks for the three that there are"
    assert next_capacity(3, [high(500)], LIMITS, out) == 5
    assert next_capacity(3, [low(0)], LIMITS, out) == 3
    assert next_capacity(3, [low(0)], LIMITS, Cooling(is_in=True)) == 3
    assert next_capacity(3, [high(200)], LIMITS, Cooling(is_in=True)) == 6


def test_a_policy_that_never_scales_in_has_one_alarm() -> None:
    variant = Variant("e", "v")
    predefined = {"PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}}
    config = {"TargetValue": 70.0, "DisableScaleIn": True, **predefined}
    names = alarm_names(variant, config, ["1", "2"])
    [only] = alarms(variant, "arn:policy", config, names)
    assert only["AlarmName"] == "TargetTracking-endpoint/e/variant/v-AlarmHigh-1"
    assert (only["MetricName"], only["Statistic"], only["Threshold"]) == ("InvocationsPerInstance", "Sum", 70.0)
    own = {
        "MetricName": "Busy",
        "Namespace": "Mine",
        "Statistic": "Average",
        "Dimensions": [{"Name": "a", "Value": "b"}],
    }
    custom = {"TargetValue": 50.0, "CustomizedMetricSpecification": own}
    above, below = alarms(variant, "arn:policy", custom, alarm_names(variant, custom, ["1", "2"]))
    assert (above["MetricName"], below["Threshold"], below["ComparisonOperator"]) == ("Busy", 45.0, "LessThanThreshold")


# ------------------------------------------------------------------------------------------------------------ schedules


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


NOW = "2026-11-27T10:30:00"  # a Friday


@pytest.mark.fidelity(
    "Endpoints",
    "A scheduled action's schedule is at(), rate() or cron() of six fields, in its own time zone.",
    "PutScheduledAction, API reference; Schedule recurring scaling actions using cron expressions",
)
@pytest.mark.parametrize(
    ("expression", "zone", "due"),
    [
        ("at(2026-11-27T10:31:00)", "UTC", "2026-11-27T10:31:00"),
        ("at(2026-11-27T12:00:00)", "Europe/Berlin", "2026-11-27T11:00:00"),
        ("rate(5 minutes)", "UTC", "2026-11-27T10:35:00"),
        ("cron(0 8 * * ? *)", "UTC", "2026-11-28T08:00:00"),
        ("cron(0 8 ? * MON-FRI *)", "America/New_York", "2026-11-27T13:00:00"),
        ("cron(0/15 10 ? * 6 *)", "UTC", "2026-11-27T10:45:00"),
        ("cron(0 0 L * ? *)", "UTC", "2026-11-30T00:00:00"),
        ("cron(0 0 ? * 2#1 *)", "UTC", "2026-12-07T00:00:00"),
        ("cron(0 0 ? * 6L *)", "UTC", "2026-12-25T00:00:00"),
        ("cron(0 0 29 2 ? *)", "UTC", "2028-02-29T00:00:00"),
        ("cron(0 0 ? JAN SAT,SUN 2027)", "UTC", "2027-01-02T00:00:00"),
    ],
)
def test_when_a_schedule_is_due(expression: str, zone: str, due: str) -> None:
    assert Schedule.of(expression, zone).next_after(at(NOW), started=at(NOW)) == at(due)


def test_what_has_passed_never_comes() -> None:
    assert Schedule.of("at(2026-11-27T10:30:00)", "UTC").next_after(at(NOW), started=at(NOW)) is None
    assert Schedule.of("cron(0 0 1 1 ? 2020)", "UTC").next_after(at(NOW), started=at(NOW)) is None


def test_a_rate_counts_from_its_beginning() -> None:
    hourly = Schedule.of("rate(1 hour)", "UTC")
    assert hourly.next_after(at("2026-11-27T13:15:00"), started=at(NOW)) == at("2026-11-27T13:30:00")


@pytest.mark.parametrize(
    "expression",
    [
        "every day", "rate(0 minutes)", "rate(1 week)", "cron(0 8 * * *)", "cron(0 8 * * * *)", "cron(60 8 * * ? *)",
        "cron(0 8 ? * FUNDAY *)", "at(2026-13-01T00:00:00)", "at(tomorrow)", "cron(0 8 15W * ? *)",
    ],
)  # fmt: skip
def test_what_is_no_schedule_is_refused(expression: str) -> None:
    with pytest.raises(ScheduleError, match=r"schedule|rate"):
        Schedule.of(expression, "UTC")
