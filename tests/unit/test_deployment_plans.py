"""DeploymentConfig: what is refused, and the plan that is made of what isn't."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.hosting.deployment_configs import check, check_variants, in_force
from localaws.sagemaker.hosting.deployment_plans import Step, extra_instances, of_config, rollback_of

Config = dict[str, Any]


def percent(value: int) -> Config:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def instances(value: int) -> Config:
    return {"Type": "INSTANCE_COUNT", "Value": value}


def blue_green(kind: str, wait: int = 60, *, routing: Config | None = None, **more: Any) -> Config:
    traffic = {"Type": kind, "WaitIntervalInSeconds": wait, **(routing or {})}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": traffic, **more}}


def canary(size: Config, wait: int = 60, **more: Any) -> Config:
    return blue_green("CANARY", wait, routing={"CanarySize": size}, **more)


def linear(size: Config, wait: int = 60, **more: Any) -> Config:
    return blue_green("LINEAR", wait, routing={"LinearStepSize": size}, **more)


def rolling(size: Config, wait: int = 60, **more: Any) -> Config:
    return {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": wait, **more}}


def alarms(*names: str) -> Config:
    return {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} if name else {} for name in names]}}


def snapshot(**counts: int) -> Config:
    return {"Variants": [{"VariantName": name, "InstanceCount": count} for name, count in counts.items()]}


def shares(config: Config | None, count: int = 4) -> list[tuple[float, int, int, int]]:
    """By step: the new fleet's share, its instances with traffic, the old ones that stay, and the bake."""
    steps = of_config(config, {"A": count}, {"A": count}).steps
    return [(round(step.shares["A"], 3), step.active["A"], step.kept["A"], step.bake_seconds) for step in steps]


@pytest.mark.fidelity(
    "Endpoints",
    "A canary is baked, then all traffic shifts and the last bake (TerminationWaitInSeconds) begins, then the old "
    "fleet ends.",
    "SageMaker DG, Canary Traffic Shifting",
)
def test_a_canary_has_two_steps() -> None:
    config = canary(percent(30), 600, TerminationWaitInSeconds=120)
    assert shares(config, 3) == [(0.3, 1, 3, 600), (1.0, 3, 0, 120)]
    assert shares(canary(instances(2), 5), 4) == [(0.5, 2, 4, 5), (1.0, 4, 0, 0)]
    assert shares(canary(percent(10), 5), 1) == [(0.1, 1, 1, 5), (1.0, 1, 0, 0)]
    assert [step.bake_of for step in of_config(config, {"A": 3}, {"A": 3}).steps] == [
        "WaitIntervalInSeconds", "TerminationWaitInSeconds",
    ]  # fmt: skip


@pytest.mark.fidelity(
    "Endpoints",
    "Linear shifting takes as many equal steps as the step's size makes, each baked.",
    "SageMaker DG, Linear Traffic Shifting",
)
def test_a_linear_shift_takes_equal_steps() -> None:
    assert shares(linear(percent(25), 9)) == [(0.25, 1, 4, 9), (0.5, 2, 4, 9), (0.75, 3, 4, 9), (1.0, 4, 0, 0)]
    assert [step[0] for step in shares(linear(percent(40)))] == [0.4, 0.8, 1.0]
    assert [step[0] for step in shares(linear(percent(10)))] == [n / 10 for n in range(1, 11)]


@pytest.mark.fidelity(
    "Endpoints",
    "Without an update policy all traffic shifts at once.",
    "SageMaker API, DeploymentConfig: BlueGreenUpdatePolicy",
)
def test_all_at_once_is_one_step_with_the_last_bake() -> None:
    assert shares(None) == shares(alarms("a")) == [(1.0, 4, 0, 0)]
    assert shares(blue_green("ALL_AT_ONCE", TerminationWaitInSeconds=30)) == [(1.0, 4, 0, 30)]


@pytest.mark.fidelity(
    "Endpoints",
    "A rolling deployment launches a batch, shifts its part of the traffic, bakes and ends a batch of old instances.",
    "SageMaker DG, Use rolling deployments",
)
def test_a_rolling_deployment_goes_batch_by_batch() -> None:
    steps = of_config(rolling(percent(25), 7), {"A": 4}, {"A": 4}).steps
    assert [(step.launched["A"], step.shares["A"], step.kept["A"]) for step in steps] == [
        (1, 0.25, 3), (2, 0.5, 2), (3, 0.75, 1), (4, 1.0, 0),
    ]  # fmt: skip
    assert {step.bake_seconds for step in steps} == {7}
    assert shares(rolling(percent(50), 7), 1) == [(1.0, 1, 0, 7)], "one instance is a batch"
    assert [step.launched["A"] for step in of_config(rolling(instances(2)), {"A": 5}, {"A": 5}).steps] == [2, 4, 5]


@given(
    st.sampled_from([canary, linear, rolling]), st.integers(10, 50), st.integers(1, 40), st.integers(1, 40)
)  # fmt: skip
def test_any_plan_ends_with_all_of_the_new_fleet_and_nothing_of_the_old(
    kind: Any, size: int, old: int, new: int
) -> None:
    steps = of_config(kind(percent(size)), {"A": old}, {"A": new}).steps
    given_, kept = [step.shares["A"] for step in steps], [step.kept["A"] for step in steps]
    assert given_ == sorted(given_) and kept == sorted(kept, reverse=True)
    last = steps[-1]
    assert (last.shares["A"], last.launched["A"], last.active["A"], last.kept["A"]) == (1.0, new, new, 0)
    assert all(0 < step.active["A"] <= step.launched["A"] for step in steps)
    assert all(step.kept["A"] > 0 for step in steps[:-1]), "somebody takes the rest"


@pytest.mark.fidelity(
    "Endpoints",
    "RollbackMaximumBatchSize brings the old fleet back by so much at a time; without it, at once.",
    "SageMaker API, RollingUpdatePolicy",
)
def test_a_rollback_goes_back_at_once_or_by_batches() -> None:
    where = {"kept": {"A": 1}, "launched": {"A": 3}, "shares": {"A": 0.75}}
    at_once = rollback_of(rolling(percent(25)), {"A": 4}, **where)
    assert at_once == [Step({"A": 0}, {"A": 0}, {"A": 0.0}, {"A": 4})]
    assert rollback_of(canary(percent(25)), {"A": 4}, {"A": 4}, {"A": 4}, {"A": 0.25}) == at_once
    slowly = rollback_of(rolling(percent(25), RollbackMaximumBatchSize=instances(1)), {"A": 4}, **where)
    assert [(step.kept["A"], step.shares["A"], step.launched["A"]) for step in slowly] == [
        (2, 0.5, 2), (3, 0.25, 1), (4, 0.0, 0),
    ]  # fmt: skip


@pytest.mark.fidelity(
    "Endpoints",
    "The last DeploymentConfig is used again when RetainDeploymentConfig says so.",
    "SageMaker API, UpdateEndpoint: RetainDeploymentConfig",
)
def test_which_config_is_in_force() -> None:
    first, second = canary(percent(10)), linear(percent(10))
    assert in_force({}, first) is None
    assert in_force({"DeploymentConfig": second}, first) == second
    assert in_force({"RetainDeploymentConfig": True}, first) == first
    assert in_force({"RetainDeploymentConfig": True}, None) is None
    with pytest.raises(SageMakerError, match="can't be given together with RetainDeploymentConfig"):
        in_force({"DeploymentConfig": second, "RetainDeploymentConfig": True}, first)


REFUSED = [
    ({**canary(percent(10)), **rolling(percent(10))}, "Only one update policy should be used"),
    (canary(percent(60)), "CanarySize must be less than or equal to 50% .* for variant A it is 60%"),
    (canary(instances(3)), r"CanarySize must be less than or equal to 50% .* it is 3 of 4 instance\(s\)"),
    (linear(percent(5)), "LinearStepSize must be 10-50% of"),
    (linear(percent(51)), "LinearStepSize must be 10-50% of"),
    (blue_green("CANARY"), "CanarySize must be given when the Type of TrafficRoutingConfiguration is CANARY"),
    (blue_green("LINEAR"), "LinearStepSize must be given when"),
    (blue_green("ALL_AT_ONCE", routing={"CanarySize": percent(10)}), "CanarySize can't be given when"),
    (blue_green(
        "LINEAR", routing={"CanarySize": percent(10), "LinearStepSize": percent(10)}
    ), "CanarySize can't be given when the Type of TrafficRoutingConfiguration is LINEAR"),
    (rolling(percent(4)), "MaximumBatchSize must be 5-50% of"),
    (rolling(percent(51)), "MaximumBatchSize must be 5-50% of"),
    (rolling(percent(5), RollbackMaximumBatchSize=percent(101)), "RollbackMaximumBatchSize must be less than or equal"),
    (canary(percent(10), 600, TerminationWaitInSeconds=600, MaximumExecutionTimeoutInSeconds=1200),
     "MaximumExecutionTimeoutInSeconds must be larger than the total waiting time .* is 1200, .* come to 1200 seconds"),
    (linear(percent(10), 100, MaximumExecutionTimeoutInSeconds=900), "they come to 900 seconds"),
    (rolling(percent(25), 300, MaximumExecutionTimeoutInSeconds=1200), "specified in WaitIntervalInSeconds: it is"),
    (alarms("a", "a"), "names an alarm twice: a, a"),
    (alarms("a", ""), "has an alarm without AlarmName"),
]  # fmt: skip


@pytest.mark.fidelity(
    "Endpoints",
    "CanarySize is 50 % at most, LinearStepSize 10-50 %, MaximumBatchSize 5-50 %; MaximumExecutionTimeoutInSeconds is "
    "larger than all waits; one update policy only.",
    "SageMaker API, TrafficRoutingConfig, RollingUpdatePolicy, BlueGreenUpdatePolicy, DeploymentConfig",
)
@pytest.mark.parametrize(("config", "says"), REFUSED)
def test_what_no_deployment_can_follow_is_refused(config: Config, says: str) -> None:
    with pytest.raises(SageMakerError, match=says) as caught:
        check(config, snapshot(A=4))
    assert caught.value.code == "ValidationException"


@pytest.mark.fidelity(
    "Endpoints",
    "The new configuration must have the old one's variant names; a rolling deployment takes one variant only.",
    "SageMaker DG, Deployment guardrails: Exclusions",
)
def test_variants_that_exclude_a_deployment_are_refused() -> None:
    with pytest.raises(SageMakerError, match=r"must have the same variant name as the old .*: B instead of A"):
        check_variants(snapshot(A=1), snapshot(B=1))
    check_variants(snapshot(A=1, B=2), snapshot(B=1, A=1))
    with pytest.raises(SageMakerError, match="can't be used with multi-variant endpoints; this one has A, B"):
        check(rolling(percent(50)), snapshot(A=4, B=4))
    check(canary(percent(50)), snapshot(A=4, B=1))


def test_a_rolling_deployment_needs_a_batch_more_and_any_other_a_second_fleet() -> None:
    sizes = {"A": 4}
    for config, extra in ((None, 4), (canary(percent(25)), 4), (rolling(percent(25)), 1), (rolling(percent(50)), 2)):
        assert extra_instances(of_config(config, sizes, sizes), sizes, sizes) == {"A": extra}
    assert extra_instances(of_config(rolling(percent(25)), {"A": 1}, sizes), {"A": 1}, sizes) == {"A": 4}


@pytest.mark.parametrize(
    "config", [rolling(percent(50)), rolling(instances(1)), canary(instances(1)), linear(percent(25))]
)
def test_a_fleet_of_no_instances_has_nothing_to_shift(config: Config) -> None:
    """What RetainAllVariantProperties makes of an asynchronous endpoint that has been scaled to zero."""
    check(config, {"Variants": [{"VariantName": "A", "InstanceCount": 0}]})
    (step,) = of_config(config, {"A": 0}, {"A": 0}).steps
    assert (step.launched, step.kept, step.is_whole, step.bake_seconds) == ({"A": 0}, {"A": 0}, True, 0)
