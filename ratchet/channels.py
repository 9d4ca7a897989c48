"""The objects in a pipeline's channels, and which channels wait for data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from ratchet.account import Account
from ratchet.errors import UserError
from ratchet.spec.data import Channel


def objects(account: Account, prefix: str) -> Iterator[dict[str, Any]]:
    """The data bucket's objects under a prefix, without the markers of folders."""
    pages = account.client("s3").get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=account.shared()["DataBucketName"], Prefix=prefix):
        for found in page.get("Contents", []):
            if not (found["Key"].endswith("/") and not found["Size"]):
                yield {"key": found["Key"], "bytes": found["Size"], "modified": found["LastModified"].isoformat()}


def of_channel(account: Account, channel: Channel) -> Iterator[dict[str, Any]]:
    """A channel's objects: those under its prefix, and its manifest, wherever that lies."""
    for place in channel.places:
        is_manifest = channel.manifest is not None and place == channel.manifest.key
        yield from (found for found in objects(account, place) if not is_manifest or found["key"] == place)


def key(channel: Channel, name: str) -> str:
    """The key of what is put into a channel under a name below its prefix.

    Raises:
        ValueError: it has no such place: the end of a sentence about the channel.
    """
    if channel.manifest is None:
        return f"{channel}{name}"
    own = channel.manifest.key
    if name == own.rpartition("/")[2]:
        return own
    if channel.manifest.objects is None:
        raise ValueError(f"holds its manifest alone, {own}, which points to no objects; {name} has no place there")
    return f"{channel.manifest.objects}{name}"


def empty(account: Account, prefixes: Mapping[str, str]) -> list[str]:
    """The channels without an object, or without their manifest; none where the caller may not look: Plan does, and
    says it.

    prefixes: channel → prefix.
    """
    try:
        return [name for name, channel in prefixes.items() if _is_empty(account, channel)]
    except ClientError as error:
        if error.response["Error"].get("Code") in ("AccessDenied", "AllAccessDisabled"):
            return []
        raise


def _is_empty(account: Account, channel: str) -> bool:
    if not isinstance(channel, Channel) or channel.manifest is None:
        return next(objects(account, channel), None) is None
    own = channel.manifest.key
    return all(found["key"] != own for found in objects(account, own))


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
