"""Corrected labels as a channel of their own, beside the one that was audited: nothing that is there is overwritten.

Files with lines come as they are but for the lines that are corrected, all others are copied within S3. Pictures are
labelled by the folders that they lie in, so of these a manifest is made, which points to where they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from contract import held_out, manifests
from contract.held_out_lines import REFERENCE
from ratchet import channels
from ratchet.account import Account
from ratchet.errors import UserError
from ratchet.labels import ground_truth, rewriting
from ratchet.labels.audits import Audit
from ratchet.labels.corrections import Correction, Corrections
from ratchet.labels.rewriting import File, Stamp
from ratchet.spec.data import Channel
from ratchet.spec.manifest import Manifest

MANIFEST = "labels.manifest"


@dataclass(frozen=True)
class Applied:
    """What was made of a channel: its new prefix, examples that were labelled otherwise, and that were left out.

    channel: as pipeline.yaml would name it.
    """

    prefix: str
    corrected: int
    left_out: int
    written: tuple[str, ...]
    copied: int
    channel: str | Mapping[str, Any]


def apply(account: Account, channel: Channel, audit: Audit, corrections: Corrections) -> Applied:
    """Makes a channel with the corrections; writes nothing unless all of them fit what is there.

    Args:
        channel: the one that was audited.

    Raises:
        UserError: the channel's files have changed since, or can't be written with other labels.
    """
    stamp = Stamp(f"ratchet-labels/{corrections.audit}", datetime.now(UTC))
    if channel.manifest:
        return _of_manifest(account, channel.manifest, audit, corrections, stamp)
    prefix = str(channel)
    names = [found["key"].removeprefix(prefix) for found in channels.objects(account, prefix)]
    said: str | dict[str, Any] = ""
    if audit.format == held_out.IMAGES:
        bucket = account.shared()["DataBucketName"]
        content = {MANIFEST: _manifest(f"s3://{bucket}/{prefix}", names, audit, corrections.by_place, stamp)}
        others: list[str] = []
        said = {"attributes": [REFERENCE, ground_truth.ATTRIBUTE], "objects": prefix}
    elif audit.format in rewriting.FORMATS:
        content = _rewritten(account, prefix, audit, corrections.by_place, stamp)
        others = [name for name in names if name not in content]
    else:
        raise UserError(
            f"the channel holds {audit.format}, whose labels are no lines of text that could be corrected one by one: "
            "correct them where they were written, by the places of the corrections"
        )
    new = _free(account, prefix)
    _write(account, prefix, new, content, others)
    told = {"manifest": f"{new}{MANIFEST}", **said} if isinstance(said, dict) else new
    return _applied(new, content, len(others), told, corrections)


def _of_manifest(account: Account, manifest: Manifest, audit: Audit, corrections: Corrections, stamp: Stamp) -> Applied:
    """A channel's manifest with other labels; what it points to stays where it is."""
    folder, slash, _ = manifest.key.rpartition("/")
    content = _rewritten(account, f"{folder}{slash}", audit, corrections.by_place, stamp)
    name = manifest.key.removeprefix(f"{folder}{slash}")
    if others := content.keys() - {name}:
        raise UserError(
            f"the corrections are of {others.pop()}, but the channel's manifest is {name} now: audit it again"
        )
    new = _free(account, folder or name)
    _write(account, "", new, content, ())
    return _applied(new, content, 0, {**manifest.said, "manifest": f"{new}{name}"}, corrections)


def _applied(
    prefix: str, content: Mapping[str, bytes], copied: int, channel: str | Mapping[str, Any], corrections: Corrections
) -> Applied:
    left_out = sum(correction.label is None for correction in corrections.by_place.values())
    return Applied(prefix, len(corrections.by_place) - left_out, left_out, tuple(content), copied, channel)


def _rewritten(
    account: Account, prefix: str, audit: Audit, by_place: Mapping[str, Correction], stamp: Stamp
) -> dict[str, bytes]:
    """The new content of each file with a correction, by its name below the prefix."""
    bucket, s3 = account.shared()["DataBucketName"], account.client("s3")
    by_file: dict[str, dict[int, Correction]] = defaultdict(dict)
    for place, correction in by_place.items():
        name, _, line = place.rpartition(":")
        if not name or not line.isdecimal():
            raise UserError(f"{place} is no place in a file, as train.csv:12")
        by_file[name][int(line)] = correction
    there = {found["key"].removeprefix(prefix) for found in channels.objects(account, prefix)}
    if gone := sorted(by_file.keys() - there):
        raise UserError(f"there is no {gone[0]} in s3://{bucket}/{prefix} any more: audit the channel again")
    return {
        name: rewriting.rewritten(
            File(name, audit.format, audit.reading),
            s3.get_object(Bucket=bucket, Key=prefix + name)["Body"].read(),
            changes,
            stamp,
        )
        for name, changes in by_file.items()
    }


def _manifest(
    folder: str, names: Sequence[str], audit: Audit, by_place: Mapping[str, Correction], stamp: Stamp
) -> bytes:
    """A line for each picture, with the label of its folder or the one that is right."""
    pictures = [name for name in held_out.data_files(names) if held_out.kind(name) == held_out.IMAGES]
    labels = {name: held_out.image_class(name) for name in pictures}
    for place, correction in by_place.items():
        if labels.get(place) != correction.given:
            told = "isn't there" if place not in labels else f"lies in {labels[place]!r}, not {correction.given!r}"
            raise UserError(f"{place} {told}: audit the channel again")
    if unknown := sorted(set(labels.values()) - set(audit.classes)):
        raise UserError(f"there is a folder {unknown[0]!r} that was none when it was audited: audit the channel again")
    right = {**labels, **{place: correction.label for place, correction in by_place.items()}}
    number: Callable[[str], int] = audit.classes.index
    return manifests.written(
        ground_truth.entry(
            f"{folder}{name}",
            number(label),
            ground_truth.metadata(label, confidence=1.0, job=stamp.job, human=True, at=stamp.at),
        )
        for name, label in right.items()
        if label is not None
    ).encode()


def _free(account: Account, prefix: str) -> str:
    """`digits/train-corrected-1/`, or the first number whose prefix holds nothing."""
    number = 1
    while next(channels.objects(account, new := f"{prefix.rstrip('/')}-corrected-{number}/"), None) is not None:
        number += 1
    return new


def _write(account: Account, prefix: str, new: str, content: Mapping[str, bytes], others: Sequence[str]) -> None:
    bucket, s3 = account.shared()["DataBucketName"], account.client("s3")
    for name, body in content.items():
        s3.put_object(Bucket=bucket, Key=new + name, Body=body)
    for name in others:
        # boto3's own way, in parts where it is large.
        s3.copy({"Bucket": bucket, "Key": prefix + name}, bucket, new + name)
