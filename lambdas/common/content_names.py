"""A pipeline's models and endpoint configs, which are named by their content: deleted when nobody needs them.

They are found by listing, not by remembering: so what a crashed run left goes, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from contract import names


@dataclass(frozen=True)
class Needed:
    """Names that must stay."""

    models: frozenset[str] = frozenset()
    endpoint_configs: frozenset[str] = frozenset()


def sweep(sagemaker: Any, prefix: str, needed: Needed = Needed()) -> list[str]:
    """Deletes the pipeline's endpoint configs and models that nobody needs; returns their names. Safe to repeat.

    Configs go first, since they name models.

    Args:
        sagemaker: a boto3 SageMaker client.
        prefix: the beginning of the pipeline's content names.
    """
    configs = configs_with(sagemaker, prefix, needed.endpoint_configs)
    for config in configs:
        sagemaker.delete_endpoint_config(EndpointConfigName=config)
    models = _listed(sagemaker, "list_models", "Model", prefix, needed.models)
    for model in models:
        sagemaker.delete_model(ModelName=model)
    return [*configs, *models]


def configs_with(sagemaker: Any, prefix: str, but: frozenset[str] = frozenset()) -> list[str]:
    """The names of the pipeline's endpoint configs, without those in `but`."""
    return _listed(sagemaker, "list_endpoint_configs", "EndpointConfig", prefix, but)


def _listed(sagemaker: Any, operation: str, kind: str, prefix: str, needed: frozenset[str]) -> list[str]:
    pages = sagemaker.get_paginator(operation).paginate(NameContains=prefix)
    found = [entry[f"{kind}Name"] for page in pages for entry in page[f"{kind}s"]]
    return [name for name in found if names.is_content_name(name, prefix) and name not in needed]
