"""AddTags, ListTags and DeleteTags, for every resource that has an ARN."""

from __future__ import annotations

from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Caller, Document, Handler
from localaws.sagemaker.core.store import Store

_MAX_TAGS = 50  # a resource's quota (API reference, Tag)


def operations(store: Store) -> dict[str, Handler]:
    """Operation name to handler."""

    def add(request: Document, _caller: Caller) -> Document:
        arn = request["ResourceArn"]
        wanted = as_map(request["Tags"])
        with store.transaction():
            if len(store.tags(arn) | wanted) > _MAX_TAGS:
                raise errors.resource_limit_exceeded(f"A resource has at most {_MAX_TAGS} tags: {arn}")
            store.add_tags(arn, wanted)
        return {"Tags": as_list(store.tags(arn))}

    def list_(request: Document, _caller: Caller) -> Document:
        return {"Tags": as_list(store.tags(request["ResourceArn"]))}

    def delete(request: Document, _caller: Caller) -> Document:
        store.delete_tags(request["ResourceArn"], request["TagKeys"])
        return {}

    return {"AddTags": add, "ListTags": list_, "DeleteTags": delete}


def as_map(tags: list[Document] | None) -> dict[str, str]:
    """Tags of a request by key. Raises a ValidationException for a key given twice, as AWS does."""
    keys = [tag["Key"] for tag in tags or []]
    duplicates = sorted({key for key in keys if keys.count(key) > 1})
    if duplicates:
        raise errors.validation(
            f"Duplicate tag keys found. Please note that Tag keys are case insensitive: {duplicates}"
        )
    return {tag["Key"]: tag["Value"] for tag in tags or []}


def as_list(tags: dict[str, str]) -> list[Document]:
    """Tags as responses carry them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
