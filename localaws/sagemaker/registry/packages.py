"""Model packages: versions of a model with their approvals.

What a package says (metrics, metadata, baselines) is kept and described; members that would make AWS do something that
isn't done here are refused by name.
"""

from __future__ import annotations

from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors, tags
from localaws.sagemaker.core.listing import page
from localaws.sagemaker.core.request import Caller, Document, Handler
from localaws.sagemaker.core.unsupported import always, refuse
from localaws.sagemaker.registry.package_documents import (
    check_card,
    filter_of,
    iso_times,
    plain_name,
    summary_of,
    updated,
    updated_fields,
    without,
)

GROUP, PACKAGE, TOKEN = "model-package-group", "model-package", "model-package-token"

_NOT_STORED = {"Tags", "ClientToken", "ModelPackageName", "ModelPackageGroupName", "CertifyForMarketplace"}
_REFUSED = dict.fromkeys(
    ("ValidationSpecification", "SourceAlgorithmSpecification", "SecurityConfig", "ManagedStorageType"),
    always,
)


def operations(context: Context) -> dict[str, Handler]:
    """Operation name to handler."""
    packages = _Packages(context)
    return {
        "CreateModelPackage": packages.create,
        "DescribeModelPackage": packages.describe,
        "ListModelPackages": packages.list_,
        "UpdateModelPackage": packages.update,
        "DeleteModelPackage": packages.delete,
    }


def find_package(context: Context, name_or_arn: str) -> Document:
    """A model package's document. ValidationException when there is none."""
    name = plain_name(name_or_arn)
    document = context.store.get(PACKAGE, name)
    if document is None:
        raise errors.validation(f"ModelPackage {context.arn(PACKAGE, name)} does not exist.")
    return document


class _Packages:
    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, request: Document, _caller: Caller) -> Document:
        refuse(request, _REFUSED, of="a model package")
        check_card(request)
        if request.get("CertifyForMarketplace"):
            raise errors.not_supported("CertifyForMarketplace=true")
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
            **without(request, _NOT_STORED),
            **identity,
            "ModelPackageArn": self._context.arn(PACKAGE, path),
            "CreationTime": self._context.clock.now(),
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
        wanted = filter_of(request)
        documents = [document for document in self._context.store.list(PACKAGE) if wanted(document)]
        found, more = page(request, documents, name="ModelPackageName", status="ModelPackageStatus")
        return {"ModelPackageSummaryList": [summary_of(document) for document in found], **more}

    def update(self, request: Document, _caller: Caller) -> Document:
        check_card(request)
        document = find_package(self._context, request["ModelPackageArn"])
        if "ModelApprovalStatus" in request and "ModelPackageVersion" not in document:
            raise errors.validation("ModelApprovalStatus can be updated on versioned model packages only.")
        changed = updated_fields(request)
        name = plain_name(request["ModelPackageArn"])
        now = self._context.clock.now()
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
