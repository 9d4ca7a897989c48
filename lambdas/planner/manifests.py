"""Augmented manifests, as far as Plan looks: every line has what training asks for, and points to what is there.

What is wrong is known here, with its line, before an instance is paid for. SageMaker gets a copy without empty lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract import files, manifests
from contract.manifests import ManifestError
from planner.data import Channel, DataObject, current_objects

# The lines take twice as much memory again, and a function has 256 MB.
MAXIMUM_BYTES = 32 << 20

Pages = Iterable[dict[str, Any]]


class ManifestRefusedError(ValueError):
    """A channel's manifest is none that training can be given; the message names it, the line and what's right."""


@dataclass(frozen=True)
class WithManifest(Channel):
    """A channel with an augmented manifest, `prefix` being its key; `objects` are what it points to, and itself.

    examples: how many lines it has that aren't empty; lines: these, as they are. pointed: a manifest of SageMaker's of
    what it points to; None where that is nothing. piped: whether SageMaker streams it, or the objects are a channel.
    """

    examples: int = 0
    lines: bytes = b""
    pointed: Sequence[Any] | None = None
    piped: bool = True


def channel(
    name: str, bucket: str, asked: Mapping[str, Any], pages: Callable[[str], Pages], read: Callable[[str], bytes]
) -> WithManifest:
    """The channel as S3 has it; without objects where the manifest hasn't arrived yet.

    Args:
        asked: contract.manifests.MANIFESTS says which members.
        pages: ListObjectVersions' pages of a prefix.
        read: the content of an object.

    Raises:
        ManifestRefusedError: training can't be given this.
    """
    key, prefix = asked["key"], asked["objects"]
    own = next((entry for entry in current_objects(pages(key)) if entry.key == key), None)
    if own is None:
        return WithManifest(name, bucket, key, ())
    where = f"data.{name}: s3://{bucket}/{key}"
    if own.size > MAXIMUM_BYTES:
        raise ManifestRefusedError(f"{where} has {own.size} bytes; Plan reads {MAXIMUM_BYTES} at most")
    there = {} if prefix is None else {entry.key: entry for entry in current_objects(pages(prefix))}
    content = read(key)
    try:
        keys, examples = _pointed(content, where, asked, bucket, there)
    except ManifestError as error:
        raise ManifestRefusedError(str(error)) from error
    if not examples:
        raise ManifestRefusedError(f"{where} has no example: all its lines are empty")
    objects = {entry.key: entry for entry in [own, *(there[key] for key in keys)]}
    names = [key[len(prefix) :] for key in keys] if prefix is not None else []
    return WithManifest(
        name,
        bucket,
        key,
        tuple(sorted(objects.values())),
        examples=examples,
        lines=b"".join(line + b"\n" for line in content.split(b"\n") if line.strip()),
        pointed=[{"prefix": f"s3://{bucket}/{prefix}"}, *names] if prefix is not None else None,
        piped=asked["piped"],
    )


def documents(channel: WithManifest) -> Iterator[tuple[str, str, Any]]:
    """What Plan writes for training: a channel of the job's, a name in the run's folder, and lines or a document."""
    own = channel.name if channel.piped else manifests.manifest_channel(channel.name)
    yield own, files.manifest(own), channel.lines
    if not channel.piped and channel.pointed is not None:
        yield channel.name, files.manifest(channel.name), channel.pointed


def _pointed(
    content: bytes, where: str, asked: Mapping[str, Any], bucket: str, there: Mapping[str, DataObject]
) -> tuple[list[str], int]:
    """The keys of the objects that a manifest points to, each once, and how many examples it has."""
    keys: dict[str, None] = {}
    references = [attribute for attribute in asked["attributes"] if manifests.is_reference(attribute)]
    examples = 0
    for number, record in manifests.lines(content, where):
        place = f"{where}, line {number}"
        manifests.check(record, asked["attributes"], place)
        for attribute in references:
            keys[_key(record[attribute], f"{place}: {attribute!r}", asked, bucket, there)] = None
        examples += 1
    return list(keys), examples


def _key(uri: str, what: str, asked: Mapping[str, Any], bucket: str, there: Mapping[str, DataObject]) -> str:
    """The key of an object that a line points to; training may read no other bucket, and no other prefix."""
    found, key = manifests.located(uri, what)
    if found != bucket or not key.startswith(asked["objects"]):
        right = f"s3://{bucket}/{asked['objects']}"
        raise ManifestError(f"{what} is {uri}, but training sees what lies under {right} alone; put it there, or write "
                            "another objects: in pipeline.yaml")  # fmt: skip
    if key not in there:
        raise ManifestError(f"{what} is {uri}, where there is no object")
    return key
