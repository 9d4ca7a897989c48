"""Models and endpoint configs that nobody needs any more, and an endpoint that should not be: deleted.

It is found by listing, not by remembering: so what a crashed run left goes, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from common.log import Log
from common.state import State

Document = dict[str, Any]

CONTENT_HASH = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True)
class Needed:
    """Names that must stay."""

    models: frozenset[str]
    endpoint_configs: frozenset[str]


def needed_by(state: State) -> Needed:
    """What serves, what a rollback brings back, and the last promoted ones."""
    kept = [entry for entry in (state.champion, state.previous_champion, *state.retained) if entry]
    return Needed(
        frozenset(entry["model_name"] for entry in kept),
        frozenset(entry["endpoint_config_name"] for entry in kept),
    )


def configs_of(endpoint: Document) -> set[str]:
    """The configs that an endpoint is on, or on its way to (DescribeEndpoint)."""
    pending = endpoint.get("PendingDeploymentSummary") or {}
    return {name for name in (endpoint.get("EndpointConfigName"), pending.get("EndpointConfigName")) if name}


def should_not_be(endpoint: Document, state: State) -> bool:
    """Whether an endpoint is to be deleted: it never came up, or it serves though nothing was ever promoted."""
    return endpoint["EndpointStatus"] == "Failed" or (
        endpoint["EndpointStatus"] == "InService" and state.champion is None
    )


class Housekeeper:
    """`client` is a boto3 SageMaker client; `prefix` is what this pipeline's models and configs are called."""

    def __init__(self, client: Any, prefix: str, log: Log) -> None:
        self._client = client
        self._prefix = prefix
        self._log = log

    def tidy(self, endpoint_name: str, state: State) -> list[str]:
        """Deletes what isn't needed; returns its names. Safe to repeat."""
        deleted: list[str] = []
        endpoint = self._endpoint(endpoint_name)
        if endpoint and should_not_be(endpoint, state):
            self._client.delete_endpoint(EndpointName=endpoint_name)
            deleted.append(endpoint_name)
            endpoint = None
        needed = self._with_endpoint(needed_by(state), endpoint)
        for config in self._names("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"):
            if config not in needed.endpoint_configs:
                self._client.delete_endpoint_config(EndpointConfigName=config)
                deleted.append(config)
        for model in self._names("list_models", "Models", "ModelName"):
            if model not in needed.models:
                self._client.delete_model(ModelName=model)
                deleted.append(model)
        self._log.info("tidied", deleted=deleted)
        return deleted

    def _endpoint(self, name: str) -> Document | None:
        try:
            endpoint: Document = self._client.describe_endpoint(EndpointName=name)
        except self._client.exceptions.ClientError as error:
            # SageMaker has no modelled error for this (API reference, DescribeEndpoint).
            if "could not find" in str(error).lower():
                return None
            raise
        return endpoint

    def _with_endpoint(self, needed: Needed, endpoint: Document | None) -> Needed:
        if endpoint is None:
            return needed
        configs = configs_of(endpoint)
        models: set[str] = set()
        for config in configs - needed.endpoint_configs:
            described = self._client.describe_endpoint_config(EndpointConfigName=config)
            models |= {variant["ModelName"] for variant in described["ProductionVariants"]}
        return Needed(needed.models | models, needed.endpoint_configs | configs)

    def _names(self, operation: str, collection: str, field: str) -> Iterator[str]:
        """Names that this pipeline's content names could be: another pipeline's may begin with the same words."""
        pages = self._client.get_paginator(operation).paginate(NameContains=self._prefix)
        found = [entry[field] for page in pages for entry in page[collection]]
        for name in found:
            if name.startswith(self._prefix) and CONTENT_HASH.fullmatch(name.removeprefix(self._prefix)):
                yield name
