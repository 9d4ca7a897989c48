"""Model packages' documents, as pure functions: names, versions' changes, what lists and events show."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

from localaws.sagemaker.core import errors
from localaws.sagemaker.core.listing import summary
from localaws.sagemaker.core.request import Document

_SUMMARY = (
    "ModelPackageName", "ModelPackageGroupName", "ModelPackageVersion", "ModelPackageArn", "ModelPackageDescription",
    "CreationTime", "ModelPackageStatus", "ModelApprovalStatus", "ModelLifeCycle", "ModelPackageRegistrationType",
)  # fmt: skip
# UpdateModelPackage: what replaces the member of the same name.
_REPLACED = (
    "ModelApprovalStatus", "ApprovalDescription", "InferenceSpecification", "SourceUri", "ModelLifeCycle",
    "ModelPackageRegistrationType", "ModelCard",
)  # fmt: skip


def plain_name(name_or_arn: str) -> str:
    """`arn:aws:sagemaker:…:model-package/digits/3` or `digits/3` -> `digits/3`."""
    return name_or_arn.partition("/")[2] if name_or_arn.startswith("arn:") else name_or_arn


def check_card(request: Document) -> None:
    """A model card's content is a JSON object. Raises ValidationException."""
    content = request.get("ModelCard", {}).get("ModelCardContent", "{}")
    try:
        is_object = isinstance(json.loads(content), dict)
    except ValueError:
        is_object = False
    if not is_object:
        raise errors.validation("ModelCard.ModelCardContent must be a JSON object.")


def updated_fields(request: Document) -> list[str]:
    """The members that an UpdateModelPackage changes, as its event's UpdatedModelPackageFields names them."""
    members = {
        "CustomerMetadataPropertiesToRemove": "CustomerMetadataProperties",
        "AdditionalInferenceSpecificationsToAdd": "AdditionalInferenceSpecifications",
        "SourceUri": "sourceUri",  # AWS writes it so (developer guide, model package state change)
    }
    named = [members.get(key, key) for key in request if key not in {"ModelPackageArn", "ClientToken"}]
    return sorted(set(named))


def updated(document: Document, request: Document) -> Document:
    """The document after an UpdateModelPackage."""
    properties = document.get("CustomerMetadataProperties", {}) | request.get("CustomerMetadataProperties", {})
    for key in request.get("CustomerMetadataPropertiesToRemove", []):
        properties.pop(key, None)
    added = request.get("AdditionalInferenceSpecificationsToAdd", [])
    extra = [*document.get("AdditionalInferenceSpecifications", []), *added]
    return (
        document
        | {key: request[key] for key in _REPLACED if key in request}
        | ({"CustomerMetadataProperties": properties} if properties or "CustomerMetadataProperties" in document else {})
        | ({"AdditionalInferenceSpecifications": extra} if extra else {})
    )


def iso_times(document: Document) -> Document:
    """Times as model package events carry them, unlike other events: `2021-02-24T17:00:14Z`."""
    times = {key: document[key] for key in ("CreationTime", "LastModifiedTime") if key in document}
    return document | {
        key: datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for key, moment in times.items()
    }


def filter_of(request: Document) -> Callable[[Document], bool]:
    """The filter of ListModelPackages: unversioned packages, unless a group or a type is asked for (API reference)."""
    group = plain_name(request["ModelPackageGroupName"]) if "ModelPackageGroupName" in request else None
    kind = request.get("ModelPackageType", "Versioned" if group else "Unversioned")
    approval = request.get("ModelApprovalStatus")

    def wanted(document: Document) -> bool:
        its_kind = "Versioned" if "ModelPackageVersion" in document else "Unversioned"
        return (
            kind in {"Both", its_kind}
            and group in {None, document.get("ModelPackageGroupName")}
            and approval in {None, document.get("ModelApprovalStatus")}
        )

    return wanted


def summary_of(document: Document) -> Document:
    """A package's summary; a versioned one's has no ModelPackageName, since its ARN names it."""
    hidden = {"ModelPackageName"} if "ModelPackageVersion" in document else set()
    return without(summary(document, _SUMMARY), hidden)


def without(document: Document, members: set[str]) -> Document:
    """The document but for some members."""
    return {key: value for key, value in document.items() if key not in members}
