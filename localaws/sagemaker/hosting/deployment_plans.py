"""The plan of a deployment: what a DeploymentConfig makes of two fleets, step by step. Pure.

"Deployment guardrails" (developer guide): a blue/green deployment launches the whole new fleet, turns traffic on for a
part of it, bakes, and ends the old fleet after the last bake; a rolling one launches a batch, gives it its part of the
traffic, bakes, and ends as many old instances.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from localaws.sagemaker.core.request import Document

ALL_AT_ONCE, CANARY, LINEAR = "ALL_AT_ONCE", "CANARY", "LINEAR"
COUNT = "INSTANCE_COUNT"
WAIT, TERMINATION = "WaitIntervalInSeconds", "TerminationWaitInSeconds"

Counts = Mapping[str, int]
Shares = Mapping[str, float]


@dataclass(frozen=True)
class Step:
    """A part of a deployment. `launched`, `active`, `kept`: instances by variant; of the new fleet that are up, of them
    with traffic, and of the old fleet that stay after the bake. `shares`: of each variant's traffic that the new fleet
    gets. `bake_of` is the member that says how long the bake is."""

    launched: Counts
    active: Counts
    shares: Shares
    kept: Counts
    bake_seconds: int = 0
    bake_of: str = WAIT

    @property
    def is_whole(self) -> bool:
        """Whether all traffic is the new fleet's."""
        return all(share >= 1.0 for share in self.shares.values())


@dataclass(frozen=True)
class Plan:
    """What is done, in this order; the alarms that end it, and the seconds that it may take."""

    steps: Sequence[Step]
    alarms: Sequence[str] = ()
    max_seconds: int | None = None

    @property
    def wait_seconds(self) -> int:
        """The seconds of all bakes."""
        return sum(step.bake_seconds for step in self.steps)


def of_config(config: Document | None, old: Counts, new: Counts) -> Plan:
    """The plan of a config that `deployment_configs.check` has let through, for fleets of these sizes."""
    config = config or {}
    alarms = tuple(alarm["AlarmName"] for alarm in config.get("AutoRollbackConfiguration", {}).get("Alarms", []))
    if not all(new.values()):  # an asynchronous endpoint that has been scaled to zero: nothing to shift, nor to watch
        policy, steps = {}, tuple(_blue_green({}, old, new))
    elif "RollingUpdatePolicy" in config:
        policy = config["RollingUpdatePolicy"]
        steps = tuple(_rolling(policy, old, new))
    else:
        policy = config.get("BlueGreenUpdatePolicy") or {}
        steps = tuple(_blue_green(policy, old, new))
    return Plan(steps, alarms, policy.get("MaximumExecutionTimeoutInSeconds"))


def extra_instances(plan: Plan, old: Counts, new: Counts) -> dict[str, int]:
    """How many instances by variant there are at most beside those that the old fleet has: all of a new fleet, or as
    many as a batch of a rolling deployment."""
    most, kept = dict.fromkeys(new, 0), old
    for step in plan.steps:
        for name, count in step.launched.items():
            most[name] = max(most[name], count + kept.get(name, 0) - old.get(name, 0))
        kept = step.kept
    return most


def without_guardrails(old: Counts, new: Counts) -> Plan:
    """What becomes of any config where deployment guardrails can't be used: all at once, without a bake."""
    return of_config(None, old, new)


def _blue_green(policy: Document, old: Counts, new: Counts) -> Iterator[Step]:
    routing = policy.get("TrafficRoutingConfiguration", {"Type": ALL_AT_ONCE})
    for shares in _partial_shares(routing, new):
        active = {name: max(1, math.ceil(round(share * new[name], 6))) for name, share in shares.items()}
        yield Step(new, active, shares, old, routing[WAIT])
    everything = dict.fromkeys(new, 1.0)
    yield Step(new, new, everything, dict.fromkeys(old, 0), policy.get(TERMINATION, 0), TERMINATION)


def _partial_shares(routing: Document, new: Counts) -> Iterator[Shares]:
    """The shares of the steps before the one that takes all."""
    size = routing.get("CanarySize") or routing.get("LinearStepSize")
    if size is None:
        return
    parts = {name: part_of(size, count) for name, count in new.items()}
    taken = 1
    while any(taken * part < 1.0 - 1e-9 for part in parts.values()):
        yield {name: min(1.0, taken * part) for name, part in parts.items()}
        if routing["Type"] == CANARY:
            return
        taken += 1


def part_of(size: Document, count: int) -> float:
    """The part of a variant of `count` instances that a CapacitySize is."""
    part = size["Value"] / count if size["Type"] == COUNT else size["Value"] / 100
    return float(min(1.0, part))


def _rolling(policy: Document, old: Counts, new: Counts) -> Iterator[Step]:
    batches = {name: batch_of(policy["MaximumBatchSize"], count) for name, count in new.items()}
    for number in range(1, max(math.ceil(new[name] / batches[name]) for name in new) + 1):
        up = {name: min(number * batches[name], count) for name, count in new.items()}
        shares = {name: up[name] / new[name] for name in new}
        kept = {name: math.ceil(round(count * (1 - shares.get(name, 1.0)), 6)) for name, count in old.items()}
        yield Step(up, up, shares, kept, policy[WAIT])


def batch_of(size: Document, count: int) -> int:
    """How many of a variant's `count` instances a batch has: no more than the CapacitySize, and one at least."""
    return max(1, math.floor(round(part_of(size, count) * count, 6)))


def rollback_of(config: Document | None, old: Counts, kept: Counts, launched: Counts, shares: Shares) -> list[Step]:
    """The way back from where a deployment is: `kept` of the old fleet's instances are up, `launched` new ones with
    `shares` of the traffic. RollbackMaximumBatchSize at a time for a rolling deployment, else at once; no bakes."""
    size = (config or {}).get("RollingUpdatePolicy", {}).get("RollbackMaximumBatchSize")
    steps = []
    up = dict(kept)
    while size is not None and any(up[name] < old[name] for name in old):
        up = {name: min(count, up[name] + batch_of(size, count)) for name, count in old.items()}
        left = {name: min(shares.get(name, 0.0), 1 - up[name] / old[name]) for name in old}
        new = {name: math.ceil(round(launched[name] * left.get(name, 0.0), 6)) for name in launched}
        steps.append(Step(new, new, left, up))
    return steps or [Step(dict.fromkeys(launched, 0), dict.fromkeys(launched, 0), dict.fromkeys(launched, 0.0), old)]
