"""What lies in a pipeline's channels, and which of them wait for data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from contract import names
from ratchet.account import Account


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


def how_to_fill(pipeline: str, channels: Iterable[str], environment: str) -> str:
    """The commands that bring data into channels."""
    options = "" if environment == names.LOCAL else f" -e {environment}"
    return ", ".join(f"`ratchet data {pipeline} put FILE… {channel}{options}`" for channel in channels)
