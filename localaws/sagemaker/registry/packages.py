"""The model registry: model package groups, and model packages with versions and approvals.

What a package says (metrics, metadata, baselines) is kept and described; fields that would make AWS do something that
isn't done here are refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors, tags
from localaws.sagemaker.core.listing import page, summary
from localaws.sagemaker.core.request import Caller, Document, Handler

GROUP, PACKAGE, TOKEN = "model-package-group", "model-package", "model-package-token"

_GROUP_SUMMARY = (
    "ModelPackageGroupName", "ModelPackageGroupArn", "ModelPackageGroupDescription", "CreationTime",
    "ModelPackageGroupStatus",
)  # fmt: skip
_PACKAGE_SUMMARY = (
    "ModelPackageName", "ModelPackageGroupName", "ModelPackageVersion", "ModelPackageArn", "ModelPackageDescription",
    "CreationTime", "ModelPackageStatus", "ModelApprovalStatus", "ModelLifeCycle", "ModelPackageRegistrationType",
)  # fmt: skip
_NOT_STORED = {"Tags", "ClientToken", "ModelPackageName", "ModelPackageGroupName", "CertifyForMarketplace"}
_REFUSED = (
    "ValidationSpecification", "SourceAlgorithmSpecification", "ModelCard", "SecurityConfig", "ManagedStorageType",
)  # fmt: skip
# UpdateModelPackage: what replaces the member of the same name.
_REPLACED = (
    "ModelApprovalStatus", "ApprovalDescription", "InferenceSpecification", "SourceUri", "ModelLifeCycle",
    "ModelPackageRegistrationType",
)  # fmt: skip


def operations(context: Context) -> dict[str, Handler]:
    """Operation name to handler."""
    groups, packages = _Groups(context), _Packages(context)
    return {
        "CreateModelPackageGroup": groups.create,
        "DescribeModelPackageGroup": groups.describe,
        "ListModelPackageGroups": groups.list_,
        "DeleteModelPackageGroup": groups.delete,
        "CreateModelPackage": packages.create,
        "DescribeModelPackage": packages.describe,
        "ListModelPackages": packages.list_,
        "UpdateModelPackage": packages.update,
        "DeleteModelPackage": packages.delete,
    }


def plain_name(name_or_arn: str) -> str:
    """`arn:aws:sagemaker:…:model-package/digits/3` or `digits/3` -> `digits/3`."""
    return name_or_arn.partition("/")[2] if name_or_arn.startswith("arn:") else name_or_arn


def find_package(context: Context, name_or_arn: str) -> Document:
    """A model package's document. ValidationException when there is none."""
    name = plain_name(name_or_arn)
    document = context.store.get(PACKAGE, name)
    if document is None:
        raise errors.validation(f"ModelPackage {context.arn(PACKAGE, name)} does not exist.")
    return document


class _Groups:
    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, request: Document, _caller: Caller) -> Document:
        name = request["ModelPackageGroupName"]
        arn = self._context.arn(GROUP, name)
        if "ManagedConfiguration" in request:
            raise errors.not_supported("ManagedConfiguration of a model package group")
        document = {
            "ModelPackageGroupName": name,
            "ModelPackageGroupArn": arn,
            "CreationTime": self._context.clock(),
            "CreatedBy": {},
            "ModelPackageGroupStatus": "Completed",
            "LastVersion": 0,
        } | {key: request[key] for key in ("ModelPackageGroupDescription",) if key in request}
        with self._context.store.transaction():
            if not self._context.store.create(GROUP, name, document):
                raise errors.validation(f"Model Package Group already exists: {arn}")
            self._context.store.add_tags(arn, tags.as_map(request.get("Tags")))
        return {"ModelPackageGroupArn": arn}

    def find(self, name_or_arn: str) -> Document:
        name = plain_name(name_or_arn)
        document = self._context.store.get(GROUP, name)
        if document is None:
            raise errors.validation(f"ModelPackageGroup {self._context.arn(GROUP, name)} does not exist.")
        return document

    def describe(self, request: Document, _caller: Caller) -> Document:
        return _without(self.find(request["ModelPackageGroupName"]), {"LastVersion"})

    def list_(self, request: Document, _caller: Caller) -> Document:
        if request.get("CrossAccountFilterOption", "SameAccount") != "SameAccount":
            raise errors.not_supported("CrossAccountFilterOption=CrossAccount, since there is one account here")
        documents = self._context.store.list(GROUP)
        found, more = page(request, documents, name="ModelPackageGroupName")
        return {"ModelPackageGroupSummaryList": [summary(document, _GROUP_SUMMARY) for document in found], **more}

    def delete(self, request: Document, _caller: Caller) -> Document:
        store = self._context.store
        with store.transaction():
            group = self.find(request["ModelPackageGroupName"])
            name = group["ModelPackageGroupName"]
            if any(package.get("ModelPackageGroupName") == name for package in store.list(PACKAGE)):
                raise errors.conflict(
                    f"Model Package Group {group['ModelPackageGroupArn']} can't be deleted while it holds packages"
                )
            store.delete(GROUP, name)
            store.delete_tags(group["ModelPackageGroupArn"])
        return {}


class _Packages:
    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, request: Document, _caller: Caller) -> Document:
        _refuse_unsupported(request)
        store = self._context.store
        with store.transaction():
            made = store.get(TOKEN, request.get("ClientToken", ""))
            if made is not None:  # the same request again, as a client's retry sends it
                return {"ModelPackageArn": made["ModelPackageArn"]}
            document = self._new(request)
            name = plain_name(document["ModelPackageArn"])
            if not store.create(PACKAGE, name, document):
                raise errors.validation(f"Model Package already exists: {document['ModelPackageArn']}")
            store.add_tags(document["ModelPackageArn"], tags.as_map(request.get("Tags")))
            if "ClientToken" in request:
                store.create(TOKEN, request["ClientToken"], {"ModelPackageArn": document["ModelPackageArn"]})
        self._send_event(document, [])
        return {"ModelPackageArn": document["ModelPackageArn"]}

    def _new(self, request: Document) -> Document:
        group, name = request.get("ModelPackageGroupName"), request.get("ModelPackageName")
        if group and name:
            raise errors.validation(
                "Both ModelPackageName and ModelPackageGroupName are provided in the input. "
                "Cannot determine which one to use."
            )
        if not group and not name:
            raise errors.validation("Missing ARN.")
        identity = self._next_version(request, plain_name(group)) if group else {"ModelPackageName": name}
        path = f"{identity['ModelPackageName']}/{identity['ModelPackageVersion']}" if group else str(name)
        return {
            **_without(request, _NOT_STORED),
            **identity,
            "ModelPackageArn": self._context.arn(PACKAGE, path),
            "CreationTime": self._context.clock(),
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
            "CertifyForMarketplace": False,
        }

    def _next_version(self, request: Document, group: str) -> Document:
        if "Tags" in request:
            raise errors.validation(
                "Tags can't be given with ModelPackageGroupName: a versioned model package uses the group's."
            )
        after = self._context.store.update(GROUP, group, lambda old: old | {"LastVersion": old["LastVersion"] + 1})
        if after is None:
            raise errors.validation(f"ModelPackageGroup {self._context.arn(GROUP, group)} does not exist.")
        return {
            "ModelPackageGroupName": group,
            "ModelPackageName": group,
            "ModelPackageVersion": after["LastVersion"],
            "ModelApprovalStatus": request.get("ModelApprovalStatus", "PendingManualApproval"),
        }

    def describe(self, request: Document, _caller: Caller) -> Document:
        return find_package(self._context, request["ModelPackageName"])

    def list_(self, request: Document, _caller: Caller) -> Document:
        wanted = _filter_of(request)
        documents = [document for document in self._context.store.list(PACKAGE) if wanted(document)]
        found, more = page(request, documents, name="ModelPackageName", status="ModelPackageStatus")
        return {"ModelPackageSummaryList": [_summary(document) for document in found], **more}

    def update(self, request: Document, _caller: Caller) -> Document:
        if "ModelCard" in request:
            raise errors.not_supported("ModelCard of a model package")
        document = find_package(self._context, request["ModelPackageArn"])
        if "ModelApprovalStatus" in request and "ModelPackageVersion" not in document:
            raise errors.validation("ModelApprovalStatus can be updated on versioned model packages only.")
        changed = updated_fields(request)
        name = plain_name(request["ModelPackageArn"])
        now = self._context.clock()
        after = self._context.store.update(
            PACKAGE, name, lambda before: updated(before, request) | {"LastModifiedTime": now}
        )
        self._send_event(after or document, changed)
        return {"ModelPackageArn": document["ModelPackageArn"]}

    def delete(self, request: Document, _caller: Caller) -> Document:
        document = find_package(self._context, request["ModelPackageName"])
        self._context.store.delete(PACKAGE, plain_name(document["ModelPackageArn"]))
        self._context.store.delete_tags(document["ModelPackageArn"])
        return {}

    def _send_event(self, document: Document, changed: list[str]) -> None:
        arn = document["ModelPackageArn"]
        detail = {**iso_times(document), "UpdatedModelPackageFields": changed}
        self._context.events.state_change("Model Package", detail, arn, self._context.store.tags(arn))


def updated_fields(request: Document) -> list[str]:
    """What an UpdateModelPackage changes, as its event's UpdatedModelPackageFields names it."""
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


def _refuse_unsupported(request: Document) -> None:
    for member in _REFUSED:
        if member in request:
            raise errors.not_supported(f"{member} of a model package")
    if request.get("CertifyForMarketplace"):
        raise errors.not_supported("CertifyForMarketplace=true")


def _filter_of(request: Document) -> Callable[[Document], bool]:
    """ListModelPackages lists unversioned packages unless a group or a type is asked for (API reference)."""
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


def _summary(document: Document) -> Document:
    """A versioned package's summary has no ModelPackageName: its ARN names it."""
    hidden = {"ModelPackageName"} if "ModelPackageVersion" in document else set()
    return _without(summary(document, _PACKAGE_SUMMARY), hidden)


def _without(document: Document, members: set[str]) -> Document:
    return {key: value for key, value in document.items() if key not in members}
