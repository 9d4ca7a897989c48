"""An audit of labels as its job has written it: a document that may hold anything, since the model's own code runs in
that job."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract import held_out, label_audits
from contract.held_out import Reading
from ratchet.errors import UserError

# Bytes of a document: all pictures, and two thousand texts of which each letter takes the most, are less.
DOCUMENT_BYTES = 128 << 20
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp")


@dataclass(frozen=True)
class Suspect:
    """An example whose label is probably wrong. picture: a data URI, for <img>."""

    place: str
    given: str
    suggested: str
    given_probability: float
    suggested_probability: float
    confident: bool
    text: str
    picture: str | None = None


@dataclass(frozen=True)
class Pair:
    """How many suspects of one label are probably of another class."""

    given: str
    suggested: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What a job has found (contract.label_audits)."""

    channel: str
    format: str
    reading: Reading
    examples: int
    classes: tuple[str, ...]
    learner: str
    folds: int
    agreement: float
    estimated_errors: float
    pairs: tuple[Pair, ...]
    suspects: tuple[Suspect, ...]


def read(body: bytes, where: str) -> Audit:
    """
    Args:
        where: the document's place, for errors.

    Raises:
        UserError: it isn't what an audit writes.
    """
    try:
        document = json.loads(body)
        if document["version"] != label_audits.VERSION:
            raise UserError(f"{where} is of another Ratchet's audit (version {document['version']!r}): audit again")
        return _audit(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{where} isn't what an audit writes ({type(error).__name__}: {error})") from error


def _audit(document: Mapping[str, Any]) -> Audit:
    format_ = str(document["format"])
    if format_ not in held_out.FORMATS:
        raise ValueError(f"there is no format {format_[:40]!r}")
    said = document["reading"]
    label = said["label"] if isinstance(said["label"], int) else str(said["label"])
    return Audit(
        channel=str(document["channel"]),
        format=format_,
        reading=Reading(label=label, header=said["header"], format=said["format"]),
        examples=int(document["examples"]),
        classes=tuple(map(str, document["classes"])),
        learner=str(document["learner"]),
        folds=int(document["folds"]),
        agreement=_number(document["agreement"]),
        estimated_errors=_number(document["estimated_errors"]),
        pairs=tuple(Pair(str(each["given"]), str(each["suggested"]), int(each["count"])) for each in document["pairs"]),
        suspects=_suspects(document["suspects"]),
    )


def _suspects(entries: Sequence[Mapping[str, Any]]) -> tuple[Suspect, ...]:
    return tuple(
        Suspect(
            place=str(each["place"]),
            given=str(each["given"]),
            suggested=str(each["suggested"]),
            given_probability=_number(each["given_probability"]),
            suggested_probability=_number(each["suggested_probability"]),
            confident=each["confident"] is True,
            text=str(each.get("text", ""))[: label_audits.TEXT_LENGTH],
            picture=_picture(each.get("picture")),
        )
        for each in entries[: label_audits.MOST_SUSPECTS]
    )


def _number(value: Any) -> float:
    found = float(value)
    if not math.isfinite(found):
        raise ValueError(f"{value!r} is no number")
    return found


def _picture(said: Any) -> str | None:
    """A data URI of what a browser shows as a picture; None where there is none."""
    if not isinstance(said, dict) or said.get("content_type") not in _PICTURES:
        return None
    try:
        content = base64.b64decode(str(said.get("base64")), validate=True)
    except binascii.Error:
        return None
    if not 0 < len(content) <= label_audits.PICTURE_BYTES:
        return None
    return f"data:{said['content_type']};base64,{base64.b64encode(content).decode()}"
