"""What a channel in Pipe mode streams: its records, from objects and from the lines of an augmented manifest.

From the API reference's S3DataSource, ShuffleConfig and Channel (RecordWrapperType), and the developer guide's
"Augmented Manifest Files for Training Jobs" and "Augmented Manifest File Format for Pipe Mode Training". What becomes
of a line that lacks an attribute, AWS tells nowhere, nor whether a text is streamed in its quotes: here the job fails
and says which line, and texts are JSON, as all other values.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from localaws.sagemaker.containers import channels, recordio
from localaws.sagemaker.containers.channels import ManifestError, Source
from localaws.sagemaker.containers.objects import Objects, S3Object, TransferError
from localaws.sagemaker.core.wire import split_s3_uri

AUGMENTED = "AugmentedManifestFile"  # S3DataType
_REFERENCE = "-ref"
_AT_ONCE = 1 << 16  # bytes; what a pipe holds

Part = S3Object | bytes


@dataclass(frozen=True)
class Stream:
    """A channel's records, each of an object, or of a line's attributes in order."""

    source: Source
    records: Sequence[Sequence[Part]]

    def epoch(self, number: int, host: int, hosts: int) -> list[Sequence[Part]]:
        """The records of an epoch, from 0, for one of the hosts, from 0: shuffled anew at the start of each
        (ShuffleConfig), across the hosts where each gets a share."""
        found = list(self.records)
        if self.source.seed is not None:
            random.Random(f"{self.source.seed} {number}").shuffle(found)  # noqa: S311 - an order that can be had again
        return found[host::hosts] if self.source.is_sharded else found


def plan(source: Source, objects: Objects) -> Stream:
    """What a source streams. Raises TransferError, ManifestError or ValueError."""
    if source.data_type != AUGMENTED:
        return Stream(source, [(download.source,) for download in channels.plan(source, objects)])
    manifest = objects.read(S3Object(*split_s3_uri(source.uri)))
    return Stream(source, parse(manifest, source.uri, source.attributes))


def parse(content: bytes, uri: str, attributes: Sequence[str]) -> list[Sequence[Part]]:
    """The records of an augmented manifest; a line without anything is none. Raises ManifestError, with the line."""
    lines = [(number, line) for number, line in enumerate(content.split(b"\n"), start=1) if line.strip()]
    if not lines:
        raise ManifestError(f"{uri} has no line")
    return [_record(line, attributes, f"line {number} of {uri}") for number, line in lines]


def content(records: Iterable[Sequence[Part]], source: Source, objects: Objects) -> Iterator[bytes]:
    """The bytes of records, in pieces. Raises TransferError."""
    waiting, size = list[bytes](), 0
    for piece in _pieces(records, source, objects):
        waiting.append(piece)
        size += len(piece)
        if size >= _AT_ONCE:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def _pieces(records: Iterable[Sequence[Part]], source: Source, objects: Objects) -> Iterator[bytes]:
    for part in (part for record in records for part in record):
        pieces = [part] if isinstance(part, bytes) else objects.pieces(part)
        if not source.is_wrapped:
            yield from pieces
            continue
        try:
            yield recordio.wrapped(b"".join(pieces))
        except ValueError as error:
            what = f"s3://{part.bucket}/{part.key}" if isinstance(part, S3Object) else "an attribute"
            raise TransferError(f"{what} can't be wrapped: {error}", "EntityTooLarge") from error


def _record(line: bytes, attributes: Sequence[str], where: str) -> Sequence[Part]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{where} is not JSON: {error}") from error
    if not isinstance(record, dict):
        raise ManifestError(f"{where} must be a JSON object, not {line[:40].decode(errors='replace')}")
    return [_part(record, attribute, where) for attribute in attributes]


def _part(record: dict[str, Any], attribute: str, where: str) -> Part:
    if attribute not in record:
        raise ManifestError(f"{where} has no attribute {attribute!r}; it has {', '.join(map(repr, record)) or 'none'}")
    value = record[attribute]
    if not attribute.endswith(_REFERENCE):
        return json.dumps(value, ensure_ascii=False).encode()
    try:
        bucket, key = split_s3_uri(value) if isinstance(value, str) else ("", "")
    except ValueError:
        key = ""
    if not key:
        raise ManifestError(f"{attribute!r} of {where} must be an object's S3 URI, not {value!r}")
    return S3Object(bucket, key)
