"""Shadow variants of an endpoint configuration, checked when it is made. Pure.

Sources: CreateEndpointConfig and ShadowModelVariantConfig (API reference); developer guide, "Testing models with shadow
variants", "Create a shadow test", "Shadow tests: Exclusions".
"""

from __future__ import annotations

from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.hosting import instance_pools

PRODUCTION, SHADOW = "ProductionVariants", "ShadowProductionVariants"


def check_shadows(request: Document) -> None:
    """Refuse what AWS excludes with a shadow variant. ValidationException."""
    shadows = request.get(SHADOW)
    if not shadows:
        return
    if len(shadows) > 1 or len(request[PRODUCTION]) > 1:
        raise errors.validation(
            f"An endpoint configuration with {SHADOW} can have only one variant in {PRODUCTION} and one variant in "
            f"{SHADOW}; it has {len(request[PRODUCTION])} and {len(shadows)}."
        )
    production, shadow = request[PRODUCTION][0], shadows[0]
    if production["VariantName"] == shadow["VariantName"]:
        raise errors.validation(
            f"The names of production and shadow variants must be unique: {shadow['VariantName']} is both."
        )
    if "AsyncInferenceConfig" in request:
        raise errors.validation(f"{SHADOW} can't be used with AsyncInferenceConfig.")
    for variant in (production, shadow):
        if "ServerlessConfig" in variant:
            raise errors.validation(f"{SHADOW} can't be used with ServerlessConfig, as {variant['VariantName']} has.")
        if any(one.startswith("ml.inf1.") for one in instance_pools.types_of(variant)):
            raise errors.validation(f"{SHADOW} can't be used with Inf1 instances, as {variant['VariantName']} has.")


def check_containers(request: Document, model_name: str, containers: int) -> None:
    """Refuse a model of several containers, which neither a shadow nor a variant beside one may have.
    ValidationException."""
    if request.get(SHADOW) and containers > 1:
        raise errors.validation(
            f"{SHADOW} can't be used with multi-container endpoints: model {model_name} has {containers} containers."
        )


def share_of(production_weight: float, shadow_weight: float) -> float:
    """The share of the requests that is copied: the shadow's weight over the production variant's, 1 at most."""
    return min(1.0, shadow_weight / production_weight) if production_weight > 0 else 0.0
