"""Model package groups: each holds the versions of one model."""

from __future__ import annotations

from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors, tags
from localaws.sagemaker.core.listing import page, summary
from localaws.sagemaker.core.request import Caller, Document, Handler
from localaws.sagemaker.core.unsupported import always, refuse
from localaws.sagemaker.registry.package_documents import plain_name, without
from localaws.sagemaker.registry.packages import GROUP, PACKAGE

_REFUSED = {"ManagedConfiguration": always}
_SUMMARY = (
    "ModelPackageGroupName", "ModelPackageGroupArn", "ModelPackageGroupDescription", "CreationTime",
    "ModelPackageGroupStatus",
)  # fmt: skip


def operations(context: Context) -> dict[str, Handler]:
    """Operation name to handler."""
    groups = _Groups(context)
    return {
        "CreateModelPackageGroup": groups.create,
        "DescribeModelPackageGroup": groups.describe,
        "ListModelPackageGroups": groups.list_,
        "DeleteModelPackageGroup": groups.delete,
    }


def find_group(context: Context, name_or_arn: str) -> Document:
    """A model package group's document. ValidationException when there is none."""
    name = plain_name(name_or_arn)
    document = context.store.get(GROUP, name)
    if document is None:
        raise errors.validation(f"ModelPackageGroup {context.arn(GROUP, name)} does not exist.")
    return document


class _Groups:
    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, request: Document, _caller: Caller) -> Document:
        name = request["ModelPackageGroupName"]
        arn = self._context.arn(GROUP, name)
        refuse(request, _REFUSED, of="a model package group")
        document = {
            "ModelPackageGroupName": name,
            "ModelPackageGroupArn": arn,
            "CreationTime": self._context.clock.now(),
            "CreatedBy": {},
            "ModelPackageGroupStatus": "Completed",
            "LastVersion": 0,
        } | {key: request[key] for key in ("ModelPackageGroupDescription",) if key in request}
        with self._context.store.transaction():
            if not self._context.store.create(GROUP, name, document):
                raise errors.validation(f"Model Package Group already exists: {arn}")
            self._context.store.add_tags(arn, tags.as_map(request.get("Tags")))
        return {"ModelPackageGroupArn": arn}

    def describe(self, request: Document, _caller: Caller) -> Document:
        return without(find_group(self._context, request["ModelPackageGroupName"]), {"LastVersion"})

    def list_(self, request: Document, _caller: Caller) -> Document:
        if request.get("CrossAccountFilterOption", "SameAccount") != "SameAccount":
            raise errors.not_supported("CrossAccountFilterOption=CrossAccount, since there is one account here")
        documents = self._context.store.list(GROUP)
        found, more = page(request, documents, name="ModelPackageGroupName")
        return {"ModelPackageGroupSummaryList": [summary(document, _SUMMARY) for document in found], **more}

    def delete(self, request: Document, _caller: Caller) -> Document:
        store = self._context.store
        with store.transaction():
            group = find_group(self._context, request["ModelPackageGroupName"])
            name = group["ModelPackageGroupName"]
            if any(package.get("ModelPackageGroupName") == name for package in store.list(PACKAGE)):
                raise errors.conflict(
                    f"Model Package Group {group['ModelPackageGroupArn']} can't be deleted while it holds packages"
                )
            store.delete(GROUP, name)
            store.delete_tags(group["ModelPackageGroupArn"])
        return {}
