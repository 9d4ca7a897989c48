"""Input channels: which objects an S3 data source means, and where each lies in the container.

Rules from the API reference's S3DataSource (S3Prefix and ManifestFile) and the developer guide's "How Amazon SageMaker
provides training information" (/opt/ml/input/data/<channel>).
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from localaws.sagemaker.containers.objects import Download, Objects, S3Object, TransferError
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.wire import split_s3_uri

SHARDED = "ShardedByS3Key"  # S3DataDistributionType


class ManifestError(Exception):
    """A manifest isn't what S3DataSource says it must be; the message names manifest, place and what would be right."""


@dataclass(frozen=True)
class Source:
    """A channel of a training job or an input of a processing job: its data, and its directory.

    is_sharded: whether each host gets a share of its objects (ShardedByS3Key), not all. seed: of ShuffleConfig.
    is_piped: whether it is streamed (Pipe mode); is_wrapped: in RecordIO. attributes: of an AugmentedManifestFile's
    lines, in the order in which they are streamed.
    """

    name: str
    data_type: str
    uri: str
    directory: Path
    is_sharded: bool = False
    seed: int | None = None
    is_piped: bool = False
    is_wrapped: bool = False
    attributes: Sequence[str] = ()


def check_exists(source: Source, objects: Objects, role_arn: str, region: str) -> None:
    """Refuse, in AWS's words, a job whose data isn't there or can't be listed by its role."""
    bucket, key = locate(source.uri, f"the S3 URI of {source.name}")
    try:
        for found in objects.list(bucket, key, limit=1):
            if source.data_type == "S3Prefix" or found.key == key:
                return
        problem = ""
    except TransferError as error:
        problem = f" Error message from S3: {error}"
    raise errors.validation(
        f'No S3 objects found under S3 URL "{source.uri}" given in input data source. Please ensure that the bucket '
        f"exists in the selected region ({region}), that objects exist under that S3 prefix, and that the role "
        f'"{role_arn}" has "s3:ListBucket" permissions on bucket "{bucket}".{problem}'
    )


def check_bucket(uri: str, objects: Objects) -> None:
    """Refuse an output path whose bucket isn't there."""
    bucket, _ = split_s3_uri(uri)
    if not objects.bucket_exists(bucket):
        raise errors.validation(f'The bucket of the S3 output path "{uri}" does not exist: {bucket}')


def plan(source: Source, objects: Objects, *, may_be_empty: bool = False) -> list[Download]:
    """The downloads of a source. Raises TransferError, ManifestError or ValueError (a key that leads outside)."""
    bucket, key = split_s3_uri(source.uri)
    if source.data_type == "ManifestFile":
        manifest = objects.read(S3Object(bucket, key))
        return [Download(item, inside(source.directory, name)) for item, name in parse_manifest(manifest, source.uri)]
    found = list(objects.list(bucket, key))
    if not found and not may_be_empty:
        raise TransferError(f"no objects under {source.uri}", "NoSuchKey")
    return [Download(item, inside(source.directory, relative_name(item.key, key))) for item in found]


def shares(source: Source, downloads: Sequence[Download], hosts: int) -> list[list[Download]]:
    """What of a sharded source each host gets: "approximately 1/n of the number of S3 objects" (S3DataSource).

    Which ones is told nowhere: here they are dealt out one by one, by their keys or in the manifest's order.
    """
    dealt = list(downloads)
    if source.seed is not None:
        random.Random(source.seed).shuffle(dealt)  # noqa: S311 - an order that can be had again
    return [dealt[number::hosts] for number in range(hosts)]


def relative_name(key: str, prefix: str) -> str:
    """Where an object of an S3Prefix lies below its channel's directory.

    ``data/train/a.csv`` under ``data/train`` or ``data/train/`` is ``a.csv``; under ``data/tr`` it is ``train/a.csv``.
    """
    folder = prefix if prefix.endswith("/") else f"{prefix}/"
    if prefix and key.startswith(folder):
        return key.removeprefix(folder)
    return key[prefix.rfind("/") + 1 :]


def parse_manifest(content: bytes, uri: str) -> list[tuple[S3Object, str]]:
    """Objects of a ManifestFile and their names below the channel's directory.

    The format is ``[{"prefix": "s3://bucket/some/prefix/"}, "relative/path-1", "relative/path-2"]``.
    """
    try:
        entries = json.loads(content)
    except ValueError as error:
        raise ManifestError(f"{uri} is not JSON: {error}") from error
    if not isinstance(entries, list) or not entries:
        raise ManifestError(f'{uri} must be a JSON list: [{{"prefix": "s3://bucket/prefix/"}}, "path", ...]')
    prefix = _manifest_prefix(entries[0], uri)
    bucket, start = split_s3_uri(prefix)
    if len(entries) == 1:
        raise ManifestError(f"{uri} names no object after its prefix")
    return [(S3Object(bucket, start + _manifest_path(entry, number, uri)), entry)
            for number, entry in enumerate(entries[1:], start=2)]  # fmt: skip


def inside(directory: Path, name: str) -> Path:
    """`name` below `directory`; ValueError when it would lead out of it."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"the object name {name!r} would lead out of {directory.name}/")
    return directory / path


def locate(uri: str, what: str) -> tuple[str, str]:
    """Bucket and key of an S3 URI in a request; a ValidationException that names the field when it isn't one."""
    try:
        return split_s3_uri(uri)
    except ValueError as error:
        raise errors.validation(f"{what} is {error}") from error


def overlapping(sources: Sequence[Source]) -> str | None:
    """The name of the second of two sources with the same directory, if there are any."""
    seen: set[Path] = set()
    for source in sources:
        if source.directory in seen:
            return source.name
        seen.add(source.directory)
    return None


def _manifest_prefix(entry: Any, uri: str) -> str:
    prefix = entry.get("prefix") if isinstance(entry, dict) else None
    if not isinstance(prefix, str) or not prefix.startswith("s3://"):
        raise ManifestError(f'entry 1 of {uri} must be {{"prefix": "s3://bucket/prefix/"}}, not {entry!r}')
    return prefix


def _manifest_path(entry: Any, number: int, uri: str) -> str:
    if not isinstance(entry, str) or not entry:
        raise ManifestError(f"entry {number} of {uri} must be an object's path after the prefix, not {entry!r}")
    return entry
