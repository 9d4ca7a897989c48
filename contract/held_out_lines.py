"""Held-out examples as JSON lines, and SageMaker's augmented manifests, which are JSON lines too.

Sources: "Common data formats for inference" (application/jsonlines) and "Provide dataset metadata to training jobs with
an augmented manifest file", SageMaker developer guide.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract.held_out import HeldOutError, Reading, joined, segment_name
from contract.held_out_mistakes import nearest
from contract.manifests import METADATA

# The key of a label whose name isn't said.
LABEL = "label"
SOURCE, REFERENCE = "source", "source-ref"


@dataclass(frozen=True)
class Line:
    """One example: where it is (file:line), what the model is asked (a document without the label), its label."""

    place: str
    document: Any
    label: str
    segment: str | None = None


@dataclass(frozen=True)
class Entry:
    """One line of a manifest: `kind` is SOURCE (`value` is the text itself) or REFERENCE (an object's S3 URI)."""

    place: str
    kind: str
    value: str
    label: str
    segment: str | None = None


def read(lines: Iterable[str], name: str, how: Reading, *, whole: bool = True) -> list[Line]:
    """The examples of JSON lines: objects with the label under a key, or lists with it at a position.

    Raises:
        HeldOutError: a line that is no JSON, or has no such label.
    """
    return [_line(place, document, how) for place, document in _documents(lines, name, whole)]


def read_manifest(lines: Iterable[str], name: str, how: Reading, *, whole: bool = True) -> list[Entry]:
    """The entries of an augmented manifest; the label is the one attribute, or that which `how.label` names.

    Raises:
        HeldOutError: a line that is no JSON object, has no source, or several attributes and none is said.
    """
    return [_entry(place, document, how) for place, document in _documents(lines, name, whole)]


def _documents(lines: Iterable[str], name: str, whole: bool) -> Iterator[tuple[str, Any]]:
    try:
        texts = [(f"{name}:{number}", line) for number, line in enumerate(lines, start=1)]
    except UnicodeDecodeError as error:
        raise HeldOutError(f"{name} is no text in UTF-8: {error}") from error
    for place, text in texts if whole else texts[:-1]:
        if not text.strip():
            continue
        try:
            yield place, json.loads(text)
        except (ValueError, RecursionError) as error:
            # What nests too deeply, or has a number of thousands of digits, is JSON that nobody reads.
            why = f"it can't be read ({error})"
            if isinstance(error, json.JSONDecodeError):
                why = f"{error.msg} at column {error.pos + 1}"
            raise HeldOutError(f"{place} is no JSON: {why}; JSON lines have one whole document a line") from error


def _line(place: str, document: Any, how: Reading) -> Line:
    if isinstance(document, dict):
        keys = _keys(place, how)
        rest = {name: value for name, value in document.items() if name not in keys}
        return _asking(Line(place, rest, _labels(place, document, keys, how), _segment(place, document, how, keys)))
    if isinstance(document, list):
        places = _positions(place, document, how)
        others = [value for index, value in enumerate(document) if index not in places]
        values = {str(index): document[index] for index in places}
        segment = _segment(place, dict(enumerate(document)), how, places)
        return _asking(Line(place, others, _labels(place, values, list(values), how), segment))
    raise HeldOutError(f"{place} is {json.dumps(document)[:60]}; an example is an object (or a list) with its label")


def _asking(line: Line) -> Line:
    if not line.document:
        raise HeldOutError(f"{line.place} has nothing but the label; a model needs something to be asked by")
    return line


def _keys(place: str, how: Reading) -> list[str]:
    """The label's keys in an object."""
    if how.label == 0:
        return [LABEL]
    for label in how.labels:
        if not isinstance(label, str):
            raise HeldOutError(f"{place} is an object, which has no position {label}; write evaluate.label: <key>")
    return [str(label) for label in how.labels]


def _positions(place: str, document: list[Any], how: Reading) -> list[int]:
    """The label's positions in a list."""
    if document and all(isinstance(value, dict) for value in document):
        raise HeldOutError(f"{place} is a list of {len(document)} objects; JSON lines have one object a line")
    found: list[int] = []
    for label in how.labels:
        if isinstance(label, str) or not -len(document) <= label < len(document):
            raise HeldOutError(f"{place} is a list of {len(document)}, in which there is no label {label!r}")
        found.append(label % len(document))
    return found


def _segment(place: str, document: Mapping[Any, Any], how: Reading, labels: Sequence[int | str]) -> str | None:
    """The value by which gate.segments divides, of an object or of a list's elements by their positions."""
    if how.segment is None:
        return None
    if how.segment not in document:
        there = ", ".join(map(str, document))[:400]
        raise HeldOutError(f"{place} has no {how.segment!r}, the column of gate.segments, only {there or 'nothing'}")
    if how.segment in labels:
        told = f"the column of gate.segments, {how.segment!r}, is the label"
        raise HeldOutError(f"{place}: {told}; write gate.classes instead")
    value = document[how.segment]
    if isinstance(value, (dict, list)):
        raise HeldOutError(f"{place}: {how.segment!r}, the column of gate.segments, is no text and no number")
    return segment_name(value)


def _labels(place: str, document: Any, keys: Sequence[str], how: Reading) -> str:
    return joined([_label(place, document, key, how) for key in keys])


def _label(place: str, document: Any, key: str, how: Reading) -> str:
    if key not in document:
        keys = ", ".join(sorted(document))[:400]
        near = nearest(key, document)
        raise HeldOutError(f"{place} has no label {key!r}, only {keys or 'nothing'}; write evaluate.label: <key>{near}")
    value = document[key]
    if isinstance(value, (dict, list)) and how.any_label:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (dict, list)):
        kind = "an object" if isinstance(value, dict) else "a list"
        raise HeldOutError(f"{place}: the label {key!r} is {kind}; it must be a text or a number")
    if value is None or not str(value).strip():
        raise HeldOutError(f"{place}: the label {key!r} is empty")
    return str(value).strip()


def _entry(place: str, document: Any, how: Reading) -> Entry:
    if not isinstance(document, dict):
        raise HeldOutError(f"{place} is no JSON object, as a manifest's lines are")
    kind = next((key for key in (REFERENCE, SOURCE) if isinstance(document.get(key), str)), None)
    if kind is None:
        raise HeldOutError(f"{place} has neither {REFERENCE} (an object's URI) nor {SOURCE} (the text itself)")
    others = (REFERENCE, SOURCE, how.segment)
    attributes = [key for key in document if key not in others and not key.endswith(METADATA)]
    if how.label == 0 and len(attributes) != 1:
        told = ", ".join(attributes) or "none"
        raise HeldOutError(f"{place} has {len(attributes)} attributes ({told}); write evaluate.label: <attribute>")
    keys = attributes if how.label == 0 else _keys(place, how)
    return Entry(place, kind, document[kind], _labels(place, document, keys, how), _segment(place, document, how, keys))
