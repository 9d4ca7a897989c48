"""Models, endpoint configs, alarms and an endpoint that a pipeline no longer needs: found, and deleted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from common.content_names import Needed, configs_with, sweep
from common.endpoints import configs_of, described
from common.log import Log
from common.state import State

from contract import names

Document = dict[str, Any]

# DescribeAlarms and DeleteAlarms, CloudWatch API reference.
_ALARMS_AT_A_TIME = 100
_AT_REST = ("InService", "OutOfService", "UpdateRollbackFailed")


def needed_by(state: State) -> Needed:
    """The names of the champion's, of the one that a rollback brings back, and of the last promoted ones."""
    kept = [entry for entry in (state.champion, state.previous_champion, *state.retained) if entry]
    return Needed(
        frozenset(entry["model_name"] for entry in kept),
        frozenset(entry["endpoint_config_name"] for entry in kept if "endpoint_config_name" in entry),
    )


def should_not_be(endpoint: Document, state: State, *, is_wanted: bool = True) -> bool:
    """Whether an endpoint is to be deleted: it never came up, or it is there though nothing was ever promoted, or
    though the pipeline is for batches now."""
    status = endpoint["EndpointStatus"]
    return status == "Failed" or (status in _AT_REST and (state.champion is None or not is_wanted))


class Housekeeper:
    """One pipeline's. `client` is a boto3 SageMaker client; `prefix` begins the names of its models and configs.

    cloudwatch: a boto3 CloudWatch client, where its deployments make alarms.
    """

    def __init__(self, client: Any, prefix: str, log: Log, cloudwatch: Any = None) -> None:
        self._client = client
        self._prefix = prefix
        self._log = log
        self._cloudwatch = cloudwatch

    def tidy(self, endpoint_name: str, state: State, *, has_endpoint: bool = True) -> list[str]:
        """Deletes what isn't needed; returns its names. Safe to repeat."""
        deleted: list[str] = []
        endpoint = described(self._client, endpoint_name)
        if endpoint and should_not_be(endpoint, state, is_wanted=has_endpoint):
            self._client.delete_endpoint(EndpointName=endpoint_name)
            deleted.append(endpoint_name)
            endpoint = None
        if self._cloudwatch:
            deleted += self._sweep_alarms(endpoint)
        deleted += sweep(self._client, self._prefix, self._with_endpoint(needed_by(state), endpoint))
        self._log.info("tidied", deleted=deleted)
        return deleted

    def _sweep_alarms(self, endpoint: Document | None) -> list[str]:
        """Deletes the alarms on all configs but one that is being deployed. Before the configs: they tell the names."""
        pending = ((endpoint or {}).get("PendingDeploymentSummary") or {}).get("EndpointConfigName")
        configs = [config for config in configs_with(self._client, self._prefix) if config != pending]
        deleted: list[str] = []
        for some in batched([alarm for config in configs for alarm in names.alarms(config)], _ALARMS_AT_A_TIME):
            found = self._cloudwatch.describe_alarms(AlarmNames=some)["MetricAlarms"]
            alarms = [alarm["AlarmName"] for alarm in found]
            if alarms:
                self._cloudwatch.delete_alarms(AlarmNames=alarms)
            deleted += alarms
        return deleted

    def _with_endpoint(self, needed: Needed, endpoint: Document | None) -> Needed:
        if endpoint is None:
            return needed
        configs = configs_of(endpoint)
        models: set[str] = set()
        for config in configs - needed.endpoint_configs:
            described = self._client.describe_endpoint_config(EndpointConfigName=config)
            models |= {variant["ModelName"] for variant in described["ProductionVariants"]}
        return Needed(needed.models | models, needed.endpoint_configs | configs)


def batched(texts: Sequence[str], size: int) -> Iterator[list[str]]:
    """The texts, so many at a time."""
    for start in range(0, len(texts), size):
        yield list(texts[start : start + size])
