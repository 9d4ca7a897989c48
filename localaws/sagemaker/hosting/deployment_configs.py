"""DeploymentConfig: how an update's traffic goes from the old fleet to the new one, checked when it is asked for.

The limits are those that the SageMaker API reference gives for BlueGreenUpdatePolicy, TrafficRoutingConfig,
RollingUpdatePolicy and CapacitySize; what excludes what is told by the developer guide, "Deployment guardrails:
Exclusions". No source tells how AWS words its refusals: these say the reference's sentences. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.hosting.deployment_plans import ALL_AT_ONCE, CANARY, COUNT, LINEAR, of_config

# Where a size is, its smallest and largest share of the variant's instances in percent.
_LIMITS = {
    "CanarySize": (1, 50),
    "LinearStepSize": (10, 50),
    "MaximumBatchSize": (5, 50),
    "RollbackMaximumBatchSize": (1, 100),
}
_SIZES_OF_TYPE: Mapping[str, tuple[str, ...]] = {ALL_AT_ONCE: (), CANARY: ("CanarySize",), LINEAR: ("LinearStepSize",)}


def in_force(request: Document, last: Document | None) -> Document | None:
    """The DeploymentConfig that an UpdateEndpoint is to be made with; `last` is the endpoint's LastDeploymentConfig."""
    given: Document | None = request.get("DeploymentConfig")
    if not request.get("RetainDeploymentConfig"):
        return given
    if given:
        raise errors.validation("DeploymentConfig can't be given together with RetainDeploymentConfig=true.")
    return last


def check(config: Document, pending: Document) -> None:
    """Refuse what no deployment of a snapshot can follow. ValidationException."""
    policies = [name for name in ("BlueGreenUpdatePolicy", "RollingUpdatePolicy") if config.get(name)]
    if len(policies) > 1:
        raise errors.validation(
            "Only one update policy should be used in the deployment configuration; it has BlueGreenUpdatePolicy and "
            "RollingUpdatePolicy."
        )
    _check_alarms(config.get("AutoRollbackConfiguration", {}).get("Alarms", []))
    counts = {variant["VariantName"]: int(variant["InstanceCount"]) for variant in pending["Variants"]}
    if not all(counts.values()):  # an asynchronous endpoint that has been scaled to zero has nothing to shift
        return
    if "BlueGreenUpdatePolicy" in policies:
        _check_routing(config["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"], counts)
    if "RollingUpdatePolicy" in policies:
        _check_rolling(config["RollingUpdatePolicy"], counts)
    if policies:
        _check_time(config, policies[0], counts)


def check_variants(deployed: Document, pending: Document) -> None:
    """Refuse a deployment to a configuration with other variants. ValidationException."""
    old, new = ([variant["VariantName"] for variant in each["Variants"]] for each in (deployed, pending))
    if set(old) != set(new):
        raise errors.validation(
            "The new endpoint configuration must have the same variant name as the old endpoint configuration: "
            f"{', '.join(new)} instead of {', '.join(old)}."
        )


def _check_alarms(alarms: Sequence[Document]) -> None:
    names = [alarm.get("AlarmName") for alarm in alarms]
    if not all(names):
        raise errors.validation("AutoRollbackConfiguration has an alarm without AlarmName.")
    if len(set(names)) < len(names):
        raise errors.validation(
            f"AutoRollbackConfiguration names an alarm twice: {', '.join(sorted(map(str, names)))}."
        )


def _check_routing(routing: Document, counts: Mapping[str, int]) -> None:
    wanted = _SIZES_OF_TYPE[routing["Type"]]
    for size in ("CanarySize", "LinearStepSize"):
        if (size in routing) != (size in wanted):
            verb = "must be given" if size in wanted else "can't be given"
            raise errors.validation(f"{size} {verb} when the Type of TrafficRoutingConfiguration is {routing['Type']}.")
    for size in wanted:
        _check_size(size, routing[size], counts)


def _check_rolling(policy: Document, counts: Mapping[str, int]) -> None:
    if len(counts) > 1:
        raise errors.validation(
            f"RollingUpdatePolicy can't be used with multi-variant endpoints; this one has {', '.join(counts)}."
        )
    for size in ("MaximumBatchSize", "RollbackMaximumBatchSize"):
        if size in policy:
            _check_size(size, policy[size], counts)


def _check_size(name: str, size: Document, counts: Mapping[str, int]) -> None:
    least, most = _LIMITS[name]
    for variant, count in counts.items():
        percent = 100 * size["Value"] / count if size["Type"] == COUNT else size["Value"]
        if not least <= percent <= most:
            shown = f"{size['Value']} of {count} instance(s)" if size["Type"] == COUNT else f"{size['Value']}%"
            raise errors.validation(
                f"{name} must be {_range(least, most)} of the variant's total instance count; for variant {variant} "
                f"it is {shown}."
            )


def _range(least: int, most: int) -> str:
    return f"less than or equal to {most}%" if least == 1 else f"{least}-{most}%"


def _check_time(config: Document, policy: str, counts: Mapping[str, int]) -> None:
    """A deployment without any hitch waits so long, and a rollback of it must still be possible."""
    limit = config[policy].get("MaximumExecutionTimeoutInSeconds")
    waits = of_config(config, counts, counts).wait_seconds
    if limit is not None and limit <= waits:
        raise errors.validation(
            f"MaximumExecutionTimeoutInSeconds must be larger than the total waiting time specified in "
            f"{_waits_of(policy)}: it is {limit}, and they come to {waits} seconds."
        )


def _waits_of(policy: str) -> str:
    names: Iterable[str] = ("WaitIntervalInSeconds",)
    return " and ".join([*(["TerminationWaitInSeconds"] if policy.startswith("Blue") else []), *names])
