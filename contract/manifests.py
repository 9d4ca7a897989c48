"""Augmented manifests: JSON Lines, an example a line, by which objects in S3 have labels.

    {"source-ref": "s3://bucket/digits/train/7.png", "class": 7, "class-metadata": {"confidence": 0.9, …}}

An attribute whose name ends in `-ref` is an object's URI; what Ground Truth tells of a label is in the attribute of the
same name with `-metadata` behind it (developer guide, "Augmented Manifest Files for Training Jobs" and "Output data").
An empty line is no example.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from contract import environment

REFERENCE, METADATA = "-ref", "-metadata"
# AttributeNames of S3DataSource, API reference.
MOST_ATTRIBUTES, ATTRIBUTE_LENGTH = 16, 256

# Tells a training job of its channels with manifests: {channel: {"attributes": […], "objects": the prefix of what the
# manifest points to, "seed": what shuffles the lines, if anything does}}.
CHANNELS = "RATCHET_MANIFESTS"

# In Plan's event: {channel: {"key", "objects": the prefix of what it points to or null, "attributes", "piped"}}.
MANIFESTS = "manifests"


class ManifestError(ValueError):
    """A manifest isn't what it must be; the message names it, the line and what would be right."""


def is_reference(attribute: str) -> bool:
    """Whether an attribute is an object in S3."""
    return attribute.endswith(REFERENCE)


def metadata_of(attribute: str) -> str:
    """The attribute in which Ground Truth tells of a label: who said it, when, and how sure it is."""
    return f"{attribute}{METADATA}"


def lines(content: bytes | str, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The examples of a manifest, each with its line's number from 1 on.

    Args:
        name: what the manifest is called in errors.

    Raises:
        ManifestError: a line is no JSON object.
    """
    raw = content.encode() if isinstance(content, str) else content
    # Not splitlines(), which knows more ends of lines than JSON Lines does.
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if line.strip():
            yield number, _record(line, f"{name}, line {number}")


def check(record: Mapping[str, Any], attributes: Iterable[str], where: str) -> None:
    """
    Args:
        where: the manifest and the line, in errors.

    Raises:
        ManifestError: an attribute isn't there, or names no object though it should.
    """
    for attribute in attributes:
        if attribute not in record:
            raise ManifestError(f"{where} has no attribute {attribute!r}; it has {', '.join(map(repr, record))}")
        if is_reference(attribute):
            located(record[attribute], f"{where}: {attribute!r}")


def located(value: Any, what: str) -> tuple[str, str]:
    """Bucket and key of a reference.

    Raises:
        ManifestError: it is something else.
    """
    scheme, _, rest = value.partition("://") if isinstance(value, str) else ("", "", "")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket or not key:
        raise ManifestError(f"{what} is {value!r}; write an object's URI, as s3://bucket/key")
    return bucket, key


def written(records: Iterable[Mapping[str, Any]]) -> str:
    """A manifest of these examples."""
    return "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records)


def manifest_channel(channel: str) -> str:
    """The channel in which a job finds a channel's manifest where the objects come as files."""
    return f"{channel}-manifest"


def settings(attributes: Sequence[str], objects: str, seed: int | None) -> dict[str, Any]:
    """What CHANNELS tells of one channel."""
    return {
        "attributes": list(attributes),
        "objects": objects,
        **({} if seed is None else {"seed": seed}),
    }


def variables(channels: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """CHANNELS, as variables of a training job; none where no channel has a manifest."""
    return environment.pieces(CHANNELS, environment.compact(channels)) if channels else {}


def channels_of(variables: Mapping[str, str]) -> dict[str, Any]:
    """What CHANNELS tells, by a job's variables.

    Raises:
        ManifestError: it is something else than `variables` has written.
    """
    try:
        found = json.loads(environment.whole(CHANNELS, variables) or "{}")
    except ValueError as error:
        raise ManifestError(f"{CHANNELS} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ManifestError(f"{CHANNELS} isn't about channels")
    return found


def _record(line: bytes, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{where} is not JSON: {error}") from error
    if not isinstance(record, dict):
        raise ManifestError(f'{where} is no JSON object; write {{"source-ref": "s3://bucket/key", "class": 1}}')
    return record
