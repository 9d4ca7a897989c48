"""Emptying a bucket, so that it can be deleted."""

from __future__ import annotations

from typing import Any

from lifecycle.deadline import Deadline


class NotEmptiedError(Exception):
    """S3 refused to delete some objects."""


def empty(s3: Any, bucket: str, deadline: Deadline) -> int:
    """Deletes every version and delete marker of a bucket; returns how many. A bucket that is gone is empty.

    Raises:
        NotEmptiedError: some can't be deleted; the message names the first.
        TooLongError: there are more than fit into the time.
    """
    deleted = 0
    try:
        # A page holds at most 1,000 versions, which is what DeleteObjects takes.
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            objects = [{"Key": version["Key"], "VersionId": version["VersionId"]} for version in found]
            if objects:
                _delete(s3, bucket, objects)
                deleted += len(objects)
            deadline.check(f"emptying {bucket}")
    except s3.exceptions.NoSuchBucket:
        return deleted
    return deleted


def _delete(s3: Any, bucket: str, objects: list[dict[str, str]]) -> None:
    errors = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True}).get("Errors", [])
    if errors:
        first, more = errors[0], len(errors) - 1
        why = first.get("Message", first["Code"])
        raise NotEmptiedError(f"{first['Key']} in {bucket} can't be deleted ({why}), nor can {more} more")
