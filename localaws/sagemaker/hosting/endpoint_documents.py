"""Endpoint documents, as pure functions: what Describe and events show of them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from localaws.sagemaker.core.request import Document
from localaws.sagemaker.hosting import instance_pools
from localaws.sagemaker.hosting.async_configs import ASYNC, of_snapshot
from localaws.sagemaker.hosting.serverless_configs import SERVERLESS, is_serverless

_OF_INSTANCES = ("CurrentInstanceCount", "DesiredInstanceCount", "InstanceType")
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
        kind = of_snapshot(document["Deployed"])
        shown |= {ASYNC: kind} if kind is not None else {}
        shown |= _shadows_and_capture(document, instance_counts)
    if "Pending" in document and not _rescaling(document):
        shown["PendingDeploymentSummary"] = _pending(document["Pending"])
    return shown


def _shadows_and_capture(document: Document, instance_counts: Mapping[str, int]) -> Document:
    deployed = document["Deployed"]
    desired = (_rescaling(document) or deployed).get("Shadows", [])
    shadows = [
        _variant_summary(now, wanted, instance_counts.get(now["VariantName"], 0))
        for now, wanted in zip(deployed.get("Shadows", []), desired, strict=True)
    ]
    capture = deployed.get("DataCaptureConfig")
    return ({"ShadowProductionVariants": shadows} if shadows else {}) | (
        {"DataCaptureConfig": _capture_summary(capture)} if capture else {}
    )


def _capture_summary(config: Document) -> Document:
    is_on = config.get("EnableCapture", True)
    return {
        "EnableCapture": is_on,
        "CaptureStatus": "Started" if is_on else "Stopped",
        "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
        "DestinationS3Uri": config["DestinationS3Uri"],
        "KmsKeyId": config.get("KmsKeyId", ""),
    }


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
        "DeployedImages": _deployed_images(now),
        "CurrentWeight": now["Weight"],
        "DesiredWeight": wanted["Weight"],
        "CurrentInstanceCount": up,
        "DesiredInstanceCount": wanted["InstanceCount"],
    }
    routing = {"RoutingConfig": now["RoutingConfig"]} if "RoutingConfig" in now else {}
    return _of_kind(summary | routing | instance_pools.summary(now, up), now)


def _of_kind(summary: Document, variant: Document) -> Document:
    """The summary of a variant, which has instances or a ServerlessConfig."""
    if not is_serverless(variant):
        return summary
    config = variant[SERVERLESS]
    kept = {key: value for key, value in summary.items() if key not in _OF_INSTANCES}
    return kept | {f"Current{SERVERLESS}": config, f"Desired{SERVERLESS}": config}


def _deployed_images(variant: Document) -> list[Document]:
    images = [(link.get("SpecifiedImage", link["Image"]), link["Image"]) for link in variant.get("Links", [variant])]
    at = variant["ResolvedAt"]
    return [{"SpecifiedImage": said, "ResolvedImage": image, "ResolutionTime": at} for said, image in images]


def _pending(snapshot: Document) -> Document:
    """PendingDeploymentSummary; the instances that count are those with traffic, as in the guide's event."""
    progress = snapshot.get("Progress", {})
    shadows = [_coming(variant, progress) for variant in snapshot.get("Shadows", [])]
    return {
        "EndpointConfigName": snapshot["EndpointConfigName"],
        "ProductionVariants": [_coming(variant, progress) for variant in snapshot["Variants"]],
        **({"ShadowProductionVariants": shadows} if shadows else {}),
        "StartTime": snapshot["StartTime"],
    }


def _coming(variant: Document, progress: Document) -> Document:
    name = variant["VariantName"]
    summary = {
        "VariantName": name,
        "DeployedImages": _deployed_images(variant),
        "CurrentWeight": variant["Weight"],
        "DesiredWeight": variant["Weight"],
        "CurrentInstanceCount": progress.get("Active", {}).get(name, 0),
        "DesiredInstanceCount": variant["InstanceCount"],
        "InstanceType": variant.get("InstanceType"),
    }
    return _of_kind(summary, variant) | _status(progress.get("Statuses", {}), name)


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
