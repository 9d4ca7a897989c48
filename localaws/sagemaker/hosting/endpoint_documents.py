"""Endpoint documents, as pure functions: snapshots of what to deploy, and what Describe and events show of them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence

from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.hosting.fleet import VariantPlan
from localaws.sagemaker.hosting.model_data import model_data_uri
from localaws.sagemaker.hosting.models import container_of, resolve_package

_PRIVATE = ("Deployed", "Pending")
_DEFAULT_STARTUP_SECONDS = 600.0  # the health check's own limit where none is given
_DEFAULT_DOWNLOAD_SECONDS = 3600.0


def snapshot_of(context: Context, config: Document, models: Mapping[str, Document]) -> Document:
    """Everything that a deployment of `config` needs, so that it depends on no other resource from here on."""
    return {
        "Id": uuid.uuid4().hex[:12],
        "EndpointConfigName": config["EndpointConfigName"],
        "Variants": [
            _variant_snapshot(context, variant, models[variant["ModelName"]])
            for variant in config["ProductionVariants"]
        ],
    }


def _variant_snapshot(context: Context, variant: Document, model: Document) -> Document:
    container = resolve_package(context, container_of(model))
    startup = variant.get("ContainerStartupHealthCheckTimeoutInSeconds", _DEFAULT_STARTUP_SECONDS)
    snapshot = {
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
        "ResolvedAt": context.clock(),
    }
    return snapshot | ({"RoutingConfig": variant["RoutingConfig"]} if "RoutingConfig" in variant else {})


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
        )
        for variant in snapshot["Variants"]
    ]


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
    variants = [
        variant
        | {
            "Weight": float(changes.get(variant["VariantName"], {}).get("DesiredWeight", variant["Weight"])),
            "InstanceCount": changes.get(variant["VariantName"], {}).get(
                "DesiredInstanceCount", variant["InstanceCount"]
            ),
        }
        for variant in deployed["Variants"]
    ]
    if sum(variant["Weight"] for variant in variants) <= 0:
        raise errors.validation("At least one production variant must have a weight above 0.")
    return deployed | {"Variants": variants}


def describe(document: Document, instance_counts: Mapping[str, int]) -> Document:
    """DescribeEndpoint's answer; `instance_counts` are those that are up now."""
    shown = {key: value for key, value in document.items() if key not in _PRIVATE}
    if "Deployed" in document:
        desired = document["Deployed"] | {"Variants": (_rescaling(document) or document["Deployed"])["Variants"]}
        shown["ProductionVariants"] = [
            _variant_summary(now, wanted, instance_counts.get(now["VariantName"], 0))
            for now, wanted in zip(document["Deployed"]["Variants"], desired["Variants"], strict=True)
        ]
    if "Pending" in document and "Deployed" in document and not _rescaling(document):
        shown["PendingDeploymentSummary"] = _pending(document["Pending"])
    return shown


def _rescaling(document: Document) -> Document | None:
    """The pending snapshot, when it is the deployed one with other weights and counts."""
    pending: Document | None = document.get("Pending")
    return pending if pending and pending["Id"] == document.get("Deployed", {}).get("Id") else None


def _variant_summary(now: Document, wanted: Document, up: int) -> Document:
    summary = {
        "VariantName": now["VariantName"],
        "DeployedImages": [_deployed_image(now)],
        "CurrentWeight": now["Weight"],
        "DesiredWeight": wanted["Weight"],
        "CurrentInstanceCount": up,
        "DesiredInstanceCount": wanted["InstanceCount"],
    }
    return summary | ({"RoutingConfig": now["RoutingConfig"]} if "RoutingConfig" in now else {})


def _deployed_image(variant: Document) -> Document:
    return {
        "SpecifiedImage": variant["Image"],
        "ResolvedImage": variant["Image"],
        "ResolutionTime": variant["ResolvedAt"],
    }


def _pending(snapshot: Document) -> Document:
    variants = [
        {
            "VariantName": variant["VariantName"],
            "DeployedImages": [_deployed_image(variant)],
            "DesiredWeight": variant["Weight"],
            "DesiredInstanceCount": variant["InstanceCount"],
        }
        for variant in snapshot["Variants"]
    ]
    return {
        "EndpointConfigName": snapshot["EndpointConfigName"],
        "ProductionVariants": variants,
        "StartTime": snapshot["StartTime"],
    }


def state_change_detail(document: Document) -> Document:
    """The detail of `SageMaker Endpoint State Change`; its status is in capitals, unlike Describe's
    (developer guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge")."""
    shown = {key: value for key, value in document.items() if key not in _PRIVATE}
    source = document.get("Pending") or document.get("Deployed") or {"Variants": []}
    status = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", document["EndpointStatus"]).upper()
    variants = [
        {
            "VariantName": variant["VariantName"],
            "DesiredWeight": variant["Weight"],
            "DesiredInstanceCount": variant["InstanceCount"],
        }
        for variant in source["Variants"]
    ]
    return shown | {"EndpointStatus": status, "ProductionVariants": variants}
