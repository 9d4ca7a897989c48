"""Snapshots: all that a deployment of an endpoint needs, so that it depends on no other resource from then on."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.hosting import instance_pools
from localaws.sagemaker.hosting.endpoint_configs import find_config
from localaws.sagemaker.hosting.instances import VariantPlan
from localaws.sagemaker.hosting.model_data import model_data_uri
from localaws.sagemaker.hosting.models import container_of, find_model, resolve_package

_DEFAULT_STARTUP_SECONDS = 600.0  # the health check's own limit where none is given
_DEFAULT_DOWNLOAD_SECONDS = 3600.0


def snapshot(context: Context, config_name: str) -> Document:
    """The snapshot of an endpoint configuration and its models as they are now.

    ValidationException when the configuration or one of its models doesn't exist.
    """
    config = find_config(context, config_name)
    return {
        "Id": uuid.uuid4().hex[:12],
        "EndpointConfigName": config["EndpointConfigName"],
        "Variants": [
            _variant(context, variant, find_model(context, variant["ModelName"]))
            for variant in config["ProductionVariants"]
        ],
    }


def _variant(context: Context, variant: Document, model: Document) -> Document:
    variant = instance_pools.provisioned(variant, context.without_capacity)
    container = resolve_package(context, container_of(model))
    startup = variant.get("ContainerStartupHealthCheckTimeoutInSeconds", _DEFAULT_STARTUP_SECONDS)
    made = {
        "VariantName": variant["VariantName"],
        "Weight": float(variant["InitialVariantWeight"]),
        "InstanceCount": int(variant["InitialInstanceCount"]),
        "InstanceType": variant["InstanceType"],
        "StartupSeconds": float(startup),
        "DownloadSeconds": float(variant.get("ModelDataDownloadTimeoutInSeconds", _DEFAULT_DOWNLOAD_SECONDS)),
        "ModelName": model["ModelName"],
        "RoleArn": model["ExecutionRoleArn"],
        "Image": container["Image"],
        "Environment": container.get("Environment", {}),
        "ModelDataUri": model_data_uri(container),
        "ResolvedAt": context.clock.now(),
    }
    routing = {"RoutingConfig": variant["RoutingConfig"]} if "RoutingConfig" in variant else {}
    return made | routing | instance_pools.kept(variant)


def plans_of(snapshot: Document) -> list[VariantPlan]:
    """The fleet's view of a snapshot."""
    return [
        VariantPlan(
            name=variant["VariantName"],
            weight=variant["Weight"],
            instance_count=variant["InstanceCount"],
            source=variant,
            routing=variant.get("RoutingConfig", {}).get("RoutingStrategy", "RANDOM"),
            startup_seconds=variant["StartupSeconds"],
            config=snapshot["EndpointConfigName"],
        )
        for variant in snapshot["Variants"]
    ]


def counts_of(snapshot: Document) -> dict[str, int]:
    """The instance counts of a snapshot's variants."""
    return {variant["VariantName"]: variant["InstanceCount"] for variant in snapshot["Variants"]}


def of_size(snapshot: Document, counts: Mapping[str, int]) -> Document:
    """The snapshot with other instance counts."""
    variants = [variant | {"InstanceCount": counts.get(variant["VariantName"], 0)} for variant in snapshot["Variants"]]
    return snapshot | {"Variants": variants}


def with_retained_properties(pending: Document, deployed: Document, excluded: set[str]) -> Document:
    """RetainAllVariantProperties: weights and counts of the variants that are deployed, except the excluded kinds."""
    members = {"DesiredWeight": "Weight", "DesiredInstanceCount": "InstanceCount"}
    kept = [member for kind, member in members.items() if kind not in excluded]
    before = {variant["VariantName"]: variant for variant in deployed["Variants"]}
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
    unknown = sorted(set(changes) - {variant["VariantName"] for variant in deployed["Variants"]})
    if unknown:
        raise errors.validation(f"The endpoint has no production variant {unknown[0]}.")
    variants = [_reweighted(variant, changes.get(variant["VariantName"], {})) for variant in deployed["Variants"]]
    if sum(variant["Weight"] for variant in variants) <= 0:
        raise errors.validation("At least one production variant must have a weight above 0.")
    return deployed | {"Variants": variants}


def _reweighted(variant: Document, wanted: Document) -> Document:
    changed = {"Weight": variant["Weight"], "InstanceCount": variant["InstanceCount"]}
    if "DesiredWeight" in wanted:
        changed["Weight"] = wanted["DesiredWeight"]
    if "DesiredInstanceCount" in wanted:
        changed["InstanceCount"] = wanted["DesiredInstanceCount"]
    return variant | changed | {"Weight": float(changed["Weight"])}
