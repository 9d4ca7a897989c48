"""Endpoint documents, as pure functions: what Describe and events show of them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from localaws.sagemaker.core.request import Document
from localaws.sagemaker.hosting import instance_pools

_PRIVATE = ("Deployed", "Pending", "Mixed")


def describe(document: Document, instance_counts: Mapping[str, int]) -> Document:
    """DescribeEndpoint's answer; `instance_counts` are those that are up now."""
    shown = {key: value for key, value in document.items() if key not in _PRIVATE}
    if "Deployed" in document:
        desired = document["Deployed"] | {"Variants": (_rescaling(document) or document["Deployed"])["Variants"]}
        statuses = _progress(document).get("OldStatuses", {})
        shown["ProductionVariants"] = [
            _variant_summary(now, wanted, instance_counts.get(now["VariantName"], 0))
            | _status(statuses, now["VariantName"])
            for now, wanted in zip(document["Deployed"]["Variants"], desired["Variants"], strict=True)
        ]
    if "Pending" in document and not _rescaling(document):
        shown["PendingDeploymentSummary"] = _pending(document["Pending"])
    return shown


def _rescaling(document: Document) -> Document | None:
    """The pending snapshot, when it is the deployed one with other weights and counts."""
    pending: Document | None = document.get("Pending")
    return pending if pending and pending["Id"] == document.get("Deployed", {}).get("Id") else None


def _progress(document: Document) -> Document:
    found: Document = document.get("Pending", {}).get("Progress", {})
    return found


def _status(statuses: Document, variant: str) -> Document:
    return {"VariantStatus": [statuses[variant]]} if variant in statuses else {}


def _variant_summary(now: Document, wanted: Document, up: int) -> Document:
    summary = {
        "VariantName": now["VariantName"],
        "DeployedImages": [_deployed_image(now)],
        "CurrentWeight": now["Weight"],
        "DesiredWeight": wanted["Weight"],
        "CurrentInstanceCount": up,
        "DesiredInstanceCount": wanted["InstanceCount"],
    }
    routing = {"RoutingConfig": now["RoutingConfig"]} if "RoutingConfig" in now else {}
    return summary | routing | instance_pools.summary(now, up)


def _deployed_image(variant: Document) -> Document:
    return {
        "SpecifiedImage": variant["Image"],
        "ResolvedImage": variant["Image"],
        "ResolutionTime": variant["ResolvedAt"],
    }


def _pending(snapshot: Document) -> Document:
    """PendingDeploymentSummary; the instances that count are those with traffic, as in the guide's event."""
    progress = snapshot.get("Progress", {})
    variants = [
        {
            "VariantName": variant["VariantName"],
            "DeployedImages": [_deployed_image(variant)],
            "CurrentWeight": variant["Weight"],
            "DesiredWeight": variant["Weight"],
            "CurrentInstanceCount": progress.get("Active", {}).get(variant["VariantName"], 0),
            "DesiredInstanceCount": variant["InstanceCount"],
            "InstanceType": variant["InstanceType"],
        }
        | _status(progress.get("Statuses", {}), variant["VariantName"])
        for variant in snapshot["Variants"]
    ]
    return {
        "EndpointConfigName": snapshot["EndpointConfigName"],
        "ProductionVariants": variants,
        "StartTime": snapshot["StartTime"],
    }


def deployment_detail(document: Document, instance_counts: Mapping[str, int]) -> Document:
    """The detail of `SageMaker Endpoint Deployment State Change`: as Describe, its status in capitals."""
    shown = describe(document, instance_counts)
    return shown | {"EndpointStatus": in_capitals(document["EndpointStatus"])}


def in_capitals(status: str) -> str:
    """`IN_SERVICE` for `InService`, as events say it."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", status).upper()


def state_change_detail(document: Document) -> Document:
    """The detail of `SageMaker Endpoint State Change`; its status is in capitals, unlike Describe's
    (developer guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge")."""
    shown = {key: value for key, value in document.items() if key not in _PRIVATE}
    source = document.get("Pending") or document.get("Deployed") or {"Variants": []}
    status = in_capitals(document["EndpointStatus"])
    variants = [
        {
            "VariantName": variant["VariantName"],
            "DesiredWeight": variant["Weight"],
            "DesiredInstanceCount": variant["InstanceCount"],
        }
        for variant in source["Variants"]
    ]
    return shown | {"EndpointStatus": status, "ProductionVariants": variants}
