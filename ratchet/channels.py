"""The objects in a pipeline's channels, and which channels wait for data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from ratchet.account import Account
from ratchet.errors import UserError


def objects(account: Account, prefix: str) -> Iterator[dict[str, Any]]:
    """The data bucket's objects under a prefix, without the markers of folders."""
    pages = account.client("s3").get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=account.shared()["DataBucketName"], Prefix=prefix):
        for found in page.get("Contents", []):
            if not (found["Key"].endswith("/") and not found["Size"]):
                yield {"key": found["Key"], "bytes": found["Size"], "modified": found["LastModified"].isoformat()}


def empty(account: Account, prefixes: Mapping[str, str]) -> list[str]:
    """The channels without an object; none where the caller may not look: Plan does, and says it.

    prefixes: channel → prefix.
    """
    try:
        return [name for name, prefix in prefixes.items() if next(objects(account, prefix), None) is None]
    except ClientError as error:
        if error.response["Error"].get("Code") in ("AccessDenied", "AllAccessDisabled"):
            return []
        raise


def check_filled(account: Account, pipeline: str, prefixes: Mapping[str, str]) -> None:
    """
    Raises:
        UserError: a channel has no object, so that a run or a training job would find nothing to work on.
    """
    waiting = empty(account, prefixes)
    if waiting:
        named = f"{' and '.join(waiting)} {'are' if len(waiting) > 1 else 'is'} empty"
        how = how_to_fill(account, pipeline, waiting)
        raise UserError(f"{pipeline} waits for data: {named}; put data there with {how}")


def how_to_fill(account: Account, pipeline: str, channels: Iterable[str]) -> str:
    """The commands that bring data into channels."""
    commands = (account.command(f"data {pipeline} put FILE… {channel}") for channel in channels)
    return ", ".join(f"`{command}`" for command in commands)
