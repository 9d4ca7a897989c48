"""Floors of parts: `gate.segments`, each value of a column, `gate.classes`, each class, and `gate.at_threshold`.

They hold for the challenger alone. A part of fewer examples than the spec asks for, or of which the metric can't be
computed, isn't judged, and named; where none can be judged the challenger is refused: the floors would say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from common.json_values import told, unstorable

from contract.evaluations import CLASSES, SEGMENTS
from contract.verdicts import short
from gate import at_threshold
from gate.evaluation import BadEvaluationError, optional_number

Document = dict[str, Any]

_SCORES = ("recall", "precision", "f1")
_UNJUDGED = "unjudged"
# Of an entry of evaluation.json: texts, figures; the champion's are one figure, or of a class the same as the entry's.
_PARTS = {SEGMENTS: (("segment", _UNJUDGED), ("examples", "score")), CLASSES: (("class",), ("examples", *_SCORES))}
# Of more, the reason tells the first, and how many more there are.
_TOLD = 3
# Of an evaluation with a thousand classes; evaluation.json has them all.
MOST = 200
# Of a part's name, which is the data's own text: 200 of them fit into a state machine's 256 KiB.
VALUE_LENGTH = 200


def parts(evaluation: Mapping[str, Any], gate: Mapping[str, Any]) -> list[Document]:
    """Each part with its floor: {"part": the column or "class", "value", "metric", "examples", "score",
    "champion_score", "minimum", "below": whether it is, "unjudged": why it has no verdict, or None}.

    Raises:
        BadEvaluationError: the evaluation judged no such parts.
    """
    found: list[Document] = []
    if gate.get(SEGMENTS):
        found += [_segment(entry, gate) for entry in _told(evaluation, SEGMENTS)]
    if gate.get(CLASSES):
        asked = [name for name in _SCORES if gate[CLASSES].get(name) is not None]
        found += [_class(entry, gate[CLASSES], name) for name in asked for entry in _told(evaluation, CLASSES)]
    return found + at_threshold.parts(evaluation, gate)


def kept(parts: Sequence[Document]) -> list[Document]:
    """As many parts as the run's record bears: all, or those below, then those that weren't judged, then the worst."""
    if len(parts) <= MOST:
        return list(parts)
    return sorted(parts, key=lambda part: (not part["below"], part["unjudged"] is None, part["score"] or 0.0))[:MOST]


def refusal(parts: Sequence[Document]) -> str | None:
    """Why the parts refuse a challenger, in a sentence; None if they don't."""
    below = sorted((part for part in parts if part["below"]), key=lambda part: part["score"] - part["minimum"])
    if below:
        sentences = (
            f"{part['metric']} {part['score']:.4f} of {_name(part)} ({part['examples']} examples) is below the "
            f"minimum of {part['minimum']:g}"
            for part in below
        )
        return _some(sentences, len(below), "; ")
    if parts and all(part["unjudged"] for part in parts):
        return f"no part can be judged, so their floors say nothing: {_unjudged(parts)}"
    return None


def left_out(parts: Sequence[Document]) -> str:
    """The end of a sentence that names the parts that weren't judged; empty where all were."""
    told = _unjudged(parts)
    return f"; not judged: {told}" if told else ""


def _told(evaluation: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    entries = evaluation.get(kind)
    if not isinstance(entries, list) or not entries:
        raise BadEvaluationError(f"the gate has floors for {kind}, of which the evaluation says nothing")
    for number, entry in enumerate(entries):
        _check(entry, f"entry {number} of {kind}", kind)
    return entries


def _check(entry: Any, where: str, kind: str) -> None:
    """Raises BadEvaluationError unless it has what evaluation writes: names and sentences as texts, finite figures."""
    if not isinstance(entry, Mapping):
        raise BadEvaluationError(f"{where} in the evaluation is {told(entry)}; it must be an object")
    texts, figures = _PARTS[kind]
    lacking = [name for name in (*texts, *figures, "champion") if name not in entry]
    if lacking or entry["examples"] is None:
        raise BadEvaluationError(f"{where} in the evaluation has no {lacking[0] if lacking else 'examples'}")
    for name in texts:
        value = entry[name]
        if not (isinstance(value, str) and not unstorable(value)) and (value is not None or name != _UNJUDGED):
            raise BadEvaluationError(f"{where} in the evaluation has {told(value)} as {name}; it must be a text")
    champion = entry["champion"]
    if kind == CLASSES and champion is not None and not isinstance(champion, Mapping):
        raise BadEvaluationError(f"{where} in the evaluation has {told(champion)} as champion; it must be an object")
    scores = champion if kind == CLASSES and champion else {"champion": champion}
    for told_by, names in ((entry, figures), (scores, (*figures, "champion"))):
        for name in names:
            optional_number(told_by, name, where)


def _segment(entry: Mapping[str, Any], gate: Mapping[str, Any]) -> Document:
    asked = gate[SEGMENTS]
    column = asked["column"]
    part = column if isinstance(column, str) else f"column {column}"
    score, champion = entry["score"], entry["champion"]
    figures = {"metric": gate["metric"], "examples": entry["examples"], "score": score, "champion_score": champion}
    return _judged(
        {"part": part, "value": short(entry["segment"], VALUE_LENGTH), **figures},
        asked,
        asked["minimum"],
        entry["unjudged"],
    )


def _class(entry: Mapping[str, Any], asked: Mapping[str, Any], name: str) -> Document:
    champion = (entry["champion"] or {}).get(name)
    figures = {"metric": name, "examples": entry["examples"], "score": entry[name], "champion_score": champion}
    return _judged({"part": "class", "value": short(entry["class"], VALUE_LENGTH), **figures}, asked, asked[name], None)


def _judged(part: Document, asked: Mapping[str, Any], minimum: float, unjudged: str | None) -> Document:
    """A part with its floor and its verdict."""
    few = part["examples"] < asked["examples"]
    if few:
        unjudged = f"{part['examples']} examples, fewer than {asked['examples']}"
    elif part["score"] is None:
        unjudged = f"{part['metric']} can't be computed: {unjudged}"
    judged = unjudged is None
    return {**part, "minimum": minimum, "below": judged and part["score"] < minimum, "unjudged": unjudged}


def _name(part: Mapping[str, Any]) -> str:
    return f"{part['part']} {part['value']}"


def _unjudged(parts: Sequence[Document]) -> str:
    found = {_name(part): part["unjudged"] for part in parts if part["unjudged"]}
    return _some((f"{name} ({why})" for name, why in found.items()), len(found), ", ")


def _some(texts: Iterator[str], count: int, between: str) -> str:
    first = between.join(text for text, _ in zip(texts, range(_TOLD), strict=False))
    return first + (f"{between}and {count - _TOLD} more" if count > _TOLD else "")
