"""Models, endpoint configs, alarms and an endpoint that a pipeline no longer needs: found, and deleted."""

from __future__ import annotations

from typing import Any

from common.content_names import Needed, sweep
from common.deployment_alarms import sweep_alarms
from common.endpoints import MIXED, configs_of, described
from common.log import Log
from common.state import State

Document = dict[str, Any]

_AT_REST = ("InService", "OutOfService", MIXED)


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
        if endpoint and endpoint["EndpointStatus"] == MIXED:
            # Which configs it serves with isn't told: the run that repairs it clears away.
            self._log.warning("nothing tidied", endpoint=MIXED)
            return deleted
        if self._cloudwatch:
            pending = ((endpoint or {}).get("PendingDeploymentSummary") or {}).get("EndpointConfigName")
            deleted += sweep_alarms(self._client, self._cloudwatch, self._prefix, pending)
        deleted += sweep(self._client, self._prefix, self._with_endpoint(needed_by(state), endpoint))
        self._log.info("tidied", deleted=deleted)
        return deleted

    def _with_endpoint(self, needed: Needed, endpoint: Document | None) -> Needed:
        if endpoint is None:
            return needed
        configs = configs_of(endpoint)
        models: set[str] = set()
        for config in configs - needed.endpoint_configs:
            described = self._client.describe_endpoint_config(EndpointConfigName=config)
            variants = [*described["ProductionVariants"], *described.get("ShadowProductionVariants", [])]
            models |= {variant["ModelName"] for variant in variants}
        return Needed(needed.models | models, needed.endpoint_configs | configs)
