"""What a reader of an audit's page has marked: a file that the page gives, and that a person may have changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract import label_audits, names
from ratchet.errors import UserError
from ratchet.labels.audits import Audit
from ratchet.spec import nearest

_WHOSE = ("pipeline", "environment", "channel", "audit")
FORMAT = "download it from an audit's page (`ratchet labels`)"


@dataclass(frozen=True)
class Correction:
    """What an example is labelled now, and what is right; None: it is left out."""

    given: str
    label: str | None


@dataclass(frozen=True)
class Corrections:
    """Corrections of one audit, by the places of their examples."""

    pipeline: str
    environment: str
    channel: str
    audit: str
    by_place: Mapping[str, Correction]


def read(path: Path) -> Corrections:
    """
    Raises:
        UserError: the file isn't what a page gives; the message names the entry.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON: {error}; {FORMAT}") from error
    if not isinstance(document, dict) or document.get("version") != label_audits.VERSION:
        raise UserError(f"{path} holds no corrections of version {label_audits.VERSION}; {FORMAT}")
    pipeline, environment, channel, audit = (str(document.get(name)) for name in _WHOSE)
    if not all(isinstance(document.get(name), str) for name in _WHOSE) or not names.is_run_id(audit):
        raise UserError(f"{path} doesn't say of which pipeline, environment, channel and audit it is; {FORMAT}")
    entries = document.get("corrections")
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{path} corrects nothing: mark examples on the audit's page first")
    found: dict[str, Correction] = {}
    for number, entry in enumerate(entries, start=1):
        place, correction = _correction(f"{path}, correction {number}", entry)
        if place in found:
            raise UserError(f"{path}, correction {number}: {place} is corrected twice")
        found[place] = correction
    return Corrections(pipeline, environment, channel, audit, found)


def _correction(where: str, entry: Any) -> tuple[str, Correction]:
    told = entry if isinstance(entry, dict) else {}
    place, given, label = (told.get(name) for name in ("place", "given", "label"))
    is_whole = isinstance(place, str) and isinstance(given, str) and "label" in told
    if not is_whole or not (label is None or (isinstance(label, str) and label.strip())):
        raise UserError(f'{where} is no {{"place": "file:line", "given": "1", "label": "2"}} (null leaves it out)')
    if label == given:
        raise UserError(f"{where}: {place} stays {given!r}, which is no correction")
    return str(place), Correction(str(given), label)


def check(corrections: Corrections, audit: Audit, pipeline: str, environment: str) -> None:
    """Raises UserError where they are of something else, or name a class that the audit hasn't seen."""
    for what, said, right in (
        ("pipeline", corrections.pipeline, pipeline),
        ("environment", corrections.environment, environment),
        ("channel", corrections.channel, audit.channel),
    ):
        if said != right:
            raise UserError(f"these corrections are of the {what} {said}, not of {right}")
    for place, correction in corrections.by_place.items():
        for name in (correction.given, correction.label):
            if name is not None and name not in audit.classes:
                known = nearest(name, audit.classes[:20])
                raise UserError(f"the correction of {place} names {name!r}, which is no class of the audit{known}")
