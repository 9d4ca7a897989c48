"""Target tracking: the alarms of a policy, and the capacity that it asks for. Pure.

"How target tracking scaling works" (user guide): it scales out in proportion to the metric, as fast as it can, and in
more gradually; several policies scale out where one of them asks for it, and in only where all do. What the text leaves
open: in takes a tenth of the instances at a time, one at least.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from localaws.autoscaling.requests import INVOCATIONS
from localaws.autoscaling.surroundings import Variant
from localaws.sagemaker.core.request import Document

COOLDOWN_SECONDS = 300  # of a variant, unless said (TargetTrackingScalingPolicyConfiguration)
PERIOD_SECONDS = 60
# So many minutes above the target, or below this share of it.
HIGH_PERIODS, LOW_PERIODS, LOW_SHARE = 3, 15, 0.9
_IN_AT_A_TIME = 0.1


@dataclass(frozen=True)
class Wish:
    """What one policy asks for: whether its alarms sound, and the metric's last value where one does."""

    target: float
    metric: float
    is_high: bool
    is_low: bool
    scales_in: bool = True


@dataclass(frozen=True)
class Cooling:
    """What holds scaling back. `out_from`: the instances before a scaling out whose cooldown goes on; `is_in`: whether
    that of a scaling in does."""

    out_from: int | None = None
    is_in: bool = False


@dataclass(frozen=True)
class Limits:
    low: int
    high: int

    def within(self, count: int) -> int:
        return max(self.low, min(self.high, count))


def next_capacity(now: int, wishes: Sequence[Wish], limits: Limits, cooling: Cooling) -> int:
    """The capacity to set; `now` where nothing is to be done.

    While the cooldown of a scaling out goes on, what it added counts as part of the next: only a metric that asks for
    more yet scales out again, and nothing scales in.
    """
    base = now if cooling.out_from is None else cooling.out_from
    out = [proportional(base, wish) for wish in wishes if wish.is_high]
    if out and limits.within(max(out)) > now:
        return limits.within(max(out))
    holds = cooling.is_in or cooling.out_from is not None
    if holds or not wishes or not all(wish.is_low and wish.scales_in for wish in wishes):
        return now
    wanted = max(proportional(now, wish) for wish in wishes)
    gradual = now - max(1, math.floor(now * _IN_AT_A_TIME))
    return min(now, limits.within(max(wanted, gradual)))


def proportional(now: int, wish: Wish) -> int:
    """So many instances have the metric at its target, if it falls as they grow."""
    return math.ceil(round(now * wish.metric / wish.target, 6))


# --------------------------------------------------------------------------------------------------------------- alarms


def alarms(variant: Variant, policy_arn: str, config: Document, names: Sequence[str]) -> list[Document]:
    """PutMetricAlarm's documents for a policy, by the names of the alarm above and, if it scales in, the one below."""
    target = config["TargetValue"]
    sides = [("GreaterThanThreshold", target, HIGH_PERIODS), ("LessThanThreshold", target * LOW_SHARE, LOW_PERIODS)]
    return [
        {
            "AlarmName": name,
            "AlarmDescription": f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy_arn}.",
            "ActionsEnabled": True,
            "AlarmActions": [policy_arn],
            **metric(variant, config),
            "Period": PERIOD_SECONDS,
            "EvaluationPeriods": periods,
            "Threshold": threshold,
            "ComparisonOperator": comparison,
        }
        for name, (comparison, threshold, periods) in zip(names, sides, strict=False)
    ]


def alarm_names(variant: Variant, config: Document, new_id: Sequence[str]) -> list[str]:
    """The name of the alarm above, and of the one below where the policy scales in."""
    sides = ["High"] if config.get("DisableScaleIn") else ["High", "Low"]
    return [f"TargetTracking-{variant.resource}-Alarm{side}-{each}" for side, each in zip(sides, new_id, strict=False)]


def metric(variant: Variant, config: Document) -> Document:
    """The metric that a policy tracks, as an alarm says it."""
    customized: Document | None = config.get("CustomizedMetricSpecification")
    if customized:
        return {key: value for key, value in customized.items() if value}
    return {
        "MetricName": "InvocationsPerInstance",
        "Namespace": "AWS/SageMaker",
        "Statistic": "Sum",
        "Dimensions": dimensions(variant),
    }


def dimensions(variant: Variant) -> list[Document]:
    return [{"Name": "EndpointName", "Value": variant.endpoint}, {"Name": "VariantName", "Value": variant.name}]


def no_invocation(variant: Variant) -> Document:
    """What SageMaker reports of a variant that nobody asks: a metric with a value of zero."""
    return {"MetricName": "InvocationsPerInstance", "Dimensions": dimensions(variant), "Unit": "None", "Value": 0.0}


def tracks_invocations(config: Document) -> bool:
    return bool(config.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType") == INVOCATIONS)
