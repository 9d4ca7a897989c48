"""The data that a run works on: what lies in S3 now, as SageMaker manifests and as a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, order=True)
class DataObject:
    """One object's current version. `size` is in bytes."""

    key: str
    etag: str
    size: int
    version_id: str


@dataclass(frozen=True)
class Channel:
    """One channel's objects, in the order of their keys."""

    name: str
    bucket: str
    prefix: str
    objects: tuple[DataObject, ...]

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.objects)


class TooFewObjectsError(ValueError):
    """A channel has fewer objects than there are hosts to share them out to."""


def check_shards(channels: Iterable[Channel], hosts: Mapping[str, int]) -> None:
    """Refuses hosts that would see nothing and be paid for ("S3DataDistributionType", API reference of S3DataSource).

    Args:
        hosts: channel → to how many hosts its objects are shared out.

    Raises:
        TooFewObjectsError: one of the channels has fewer.
    """
    for channel in channels:
        least, there = hosts.get(channel.name, 0), len(channel.objects)
        if there < least:
            raise TooFewObjectsError(
                f"data.{channel.name} is shared out to {least} hosts (distribution: sharded), but "
                f"s3://{channel.bucket}/{channel.prefix} has {there} object{'' if there == 1 else 's'}: a host would "
                f"train on nothing; cut the data into {least} objects or more, or write a smaller train.instance_count"
            )


def current_objects(pages: Iterable[dict[str, Any]]) -> Iterator[DataObject]:
    """The current objects among ListObjectVersions' pages, without the markers of folders.

    An object whose current version is a delete marker is in no `Versions` entry with IsLatest.
    """
    for page in pages:
        for version in page.get("Versions", []):
            if version["IsLatest"] and not (version["Key"].endswith("/") and version["Size"] == 0):
                yield DataObject(version["Key"], version["ETag"].strip('"'), version["Size"], version["VersionId"])


def channel(name: str, bucket: str, prefix: str, pages: Iterable[dict[str, Any]]) -> Channel:
    """The channel as S3 lists it; without objects where nothing has arrived yet."""
    return Channel(name, bucket, prefix, tuple(sorted(current_objects(pages))))


def manifest(channel: Channel) -> list[Any]:
    """SageMaker's manifest of the channel (API reference, S3DataSource, ManifestFile)."""
    names = [entry.key.removeprefix(channel.prefix) for entry in channel.objects]
    return [{"prefix": f"s3://{channel.bucket}/{channel.prefix}"}, *names]


def versions(channel: Channel) -> list[dict[str, Any]]:
    """The channel's objects with their versions, for whoever wants to know exactly what a model was made from."""
    return [
        {"key": entry.key, "version_id": entry.version_id, "etag": entry.etag, "bytes": entry.size}
        for entry in channel.objects
    ]


def content_hash(channel: Channel) -> str:
    """Changes when an object comes, goes, or holds something else; the same content uploaded again is the same."""
    digest = hashlib.sha256()
    for entry in channel.objects:
        digest.update(json.dumps([entry.key, entry.etag, entry.size]).encode())
    return digest.hexdigest()
