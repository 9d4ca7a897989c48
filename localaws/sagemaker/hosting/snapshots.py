"""Snapshots: all that a deployment of an endpoint needs, so that it depends on no other resource from then on."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.hosting import instance_pools, own_models
from localaws.sagemaker.hosting.async_configs import ASYNC
from localaws.sagemaker.hosting.endpoint_configs import find_config
from localaws.sagemaker.hosting.fleet import LEAST_OUTSTANDING
from localaws.sagemaker.hosting.instances import VariantPlan
from localaws.sagemaker.hosting.model_data import model_data_uri
from localaws.sagemaker.hosting.model_request import is_direct
from localaws.sagemaker.hosting.models import find_model, resolved
from localaws.sagemaker.hosting.serverless_configs import (
    SERVERLESS,
    STARTUP_SECONDS,
    has_serverless,
    is_serverless,
)
from localaws.sagemaker.hosting.shadow_variants import SHADOW, share_of

CAPTURE = "DataCaptureConfig"
_DEFAULT_STARTUP_SECONDS = 600.0  # the health check's own limit where none is given
_DEFAULT_DOWNLOAD_SECONDS = 3600.0


def snapshot(context: Context, config_name: str) -> Document:
    """The snapshot of an endpoint configuration and its models as they are now.

    ValidationException when the configuration or one of its models doesn't exist.
    """
    config = find_config(context, config_name)
    kind = {ASYNC: config[ASYNC]} if ASYNC in config else {}
    return kind | {
        "Id": uuid.uuid4().hex[:12],
        "EndpointConfigName": config["EndpointConfigName"],
        "Variants": [
            _variant(context, variant, find_model(context, variant["ModelName"]))
            for variant in config["ProductionVariants"]
        ],
        "Shadows": [
            _variant(context, variant, find_model(context, variant["ModelName"])) for variant in config.get(SHADOW, [])
        ],
        **({CAPTURE: config[CAPTURE]} if CAPTURE in config else {}),
    }


def _variant(context: Context, variant: Document, model: Document) -> Document:
    variant = instance_pools.provisioned(variant, context.without_capacity)
    default = STARTUP_SECONDS if is_serverless(variant) else _DEFAULT_STARTUP_SECONDS
    startup = variant.get("ContainerStartupHealthCheckTimeoutInSeconds", default)
    made = {
        "VariantName": variant["VariantName"],
        "Weight": float(variant["InitialVariantWeight"]),
        **_capacity(variant),
        "StartupSeconds": float(startup),
        "DownloadSeconds": float(variant.get("ModelDataDownloadTimeoutInSeconds", _DEFAULT_DOWNLOAD_SECONDS)),
        "ModelName": model["ModelName"],
        "RoleArn": model["ExecutionRoleArn"],
        "ResolvedAt": context.clock.now(),
    } | served(context, model)
    routing = {"RoutingConfig": variant["RoutingConfig"]} if "RoutingConfig" in variant else {}
    return made | routing | instance_pools.kept(variant)


def _capacity(variant: Document) -> Document:
    """A serverless variant counts as one instance, whose size its ServerlessConfig says."""
    if is_serverless(variant):
        return {"InstanceCount": 1, SERVERLESS: variant[SERVERLESS]}
    return {"InstanceCount": int(variant["InitialInstanceCount"]), "InstanceType": variant["InstanceType"]}


def served(context: Context, model: Document, environment: Mapping[str, str] = MappingProxyType({})) -> Document:
    """What an instance of a model runs: one container's members, or `Links` with those of each.

    environment: further variables of every container. ValidationException, see `models.resolved`.
    """
    role, isolated = model["ExecutionRoleArn"], {"IsIsolated": model.get("EnableNetworkIsolation", False)}
    links = [
        _link(container, environment, own_models.resolved(context, container["Image"], role))
        for container in resolved(context, model)
    ]
    if len(links) == 1 and not is_direct(model):
        return isolated | {member: value for member, value in links[0].items() if member != "Hostname"}
    return isolated | {"Links": links, "IsDirect": is_direct(model)}


def _link(container: Document, environment: Mapping[str, str], image: str) -> Document:
    return {
        "Hostname": container["ContainerHostname"],
        "SpecifiedImage": container["Image"],
        "Image": image,
        "Environment": {**container.get("Environment", {}), **environment},
        "ModelDataUri": model_data_uri(container),
    }


def plans_of(snapshot: Document) -> list[VariantPlan]:
    """The fleet's view of a snapshot."""
    return [
        VariantPlan(
            name=variant["VariantName"],
            weight=variant["Weight"],
            instance_count=variant["InstanceCount"],
            source=variant,
            routing=_routing(snapshot, variant),
            startup_seconds=variant["StartupSeconds"],
            config=snapshot["EndpointConfigName"],
            is_async=ASYNC in snapshot,
            is_shadow=variant in shadows_of(snapshot),
        )
        for variant in all_variants(snapshot)
    ]


def _routing(snapshot: Document, variant: Document) -> str:
    """Of an asynchronous endpoint each instance gets as many requests at once as any other."""
    if ASYNC in snapshot:
        return LEAST_OUTSTANDING
    return str(variant.get("RoutingConfig", {}).get("RoutingStrategy", "RANDOM"))


def shadows_of(snapshot: Document) -> list[Document]:
    """The shadow variants of a snapshot: none, or one."""
    found: list[Document] = snapshot.get("Shadows", [])
    return found


def all_variants(snapshot: Document) -> list[Document]:
    """All variants that have instances."""
    return [*snapshot["Variants"], *shadows_of(snapshot)]


def copied_share(snapshot: Document) -> float:
    """The share of the production variant's requests that the shadow variant sees."""
    (production,), (shadow,) = snapshot["Variants"], shadows_of(snapshot)
    return share_of(production["Weight"], shadow["Weight"])


def counts_of(snapshot: Document) -> dict[str, int]:
    """The instance counts of a snapshot's production variants."""
    return {variant["VariantName"]: variant["InstanceCount"] for variant in snapshot["Variants"]}


def of_size(snapshot: Document, counts: Mapping[str, int]) -> Document:
    """The snapshot with other instance counts; a shadow variant's is as it was."""
    variants = [variant | {"InstanceCount": counts.get(variant["VariantName"], 0)} for variant in snapshot["Variants"]]
    return snapshot | {"Variants": variants}


def with_retained_properties(pending: Document, deployed: Document, excluded: set[str]) -> Document:
    """RetainAllVariantProperties: weights and counts of the variants that are deployed, except the excluded kinds."""
    members = {"DesiredWeight": "Weight", "DesiredInstanceCount": "InstanceCount"}
    kept = [member for kind, member in members.items() if kind not in excluded]
    before = {variant["VariantName"]: variant for variant in deployed["Variants"]}
    if has_serverless(pending) or has_serverless(deployed):
        kept = [member for member in kept if member != "InstanceCount"]
    variants = [
        variant | {member: before[variant["VariantName"]][member] for member in kept}
        if variant["VariantName"] in before
        else variant
        for variant in pending["Variants"]
    ]
    return pending | {"Variants": variants}


def reweighted(deployed: Document, wanted: Sequence[Document]) -> Document:
    """The snapshot with the weights and instance counts that UpdateEndpointWeightsAndCapacities asks for.

    ValidationException for a variant that isn't there, and when no weight is left.
    """
    changes = {item["VariantName"]: item for item in wanted}
    unknown = sorted(set(changes) - {variant["VariantName"] for variant in all_variants(deployed)})
    if unknown:
        raise errors.validation(f"The endpoint has no production variant {unknown[0]}.")
    variants, shadows = (
        [_reweighted(variant, changes.get(variant["VariantName"], {})) for variant in part]
        for part in (deployed["Variants"], shadows_of(deployed))
    )
    if sum(variant["Weight"] for variant in variants) <= 0:
        raise errors.validation("At least one production variant must have a weight above 0.")
    return deployed | {"Variants": variants, "Shadows": shadows}


def _reweighted(variant: Document, wanted: Document) -> Document:
    changed = {"Weight": variant["Weight"], "InstanceCount": variant["InstanceCount"]}
    if "DesiredWeight" in wanted:
        changed["Weight"] = wanted["DesiredWeight"]
    if "DesiredInstanceCount" in wanted:
        changed["InstanceCount"] = wanted["DesiredInstanceCount"]
    return variant | changed | {"Weight": float(changed["Weight"])}
