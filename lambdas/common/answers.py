"""Whether an endpoint's answer is the one that the evaluation saw."""

from __future__ import annotations

import csv
import json
import math
from typing import Any

from contract import threshold_answers
from contract.held_out_tables import csv_fields, csv_lines

# Of an answer in a sentence: what a state machine holds is bounded (Step Functions, "Service quotas": 256 KiB).
TOLD = 80
# The instance that serves may round float32 differently from the one that evaluated.
RELATIVE = 1e-4
ABSOLUTE = 1e-6


def same(answer: str, expected: str) -> bool:
    """Two text/csv answers to one example: equal as text, as numbers, of which there may be several, or as JSON."""
    given, wanted = (text.strip().strip('"') for text in (answer, expected))
    if given == wanted or _one_field(answer) == expected.strip():
        return True
    try:
        return _read_alike(answer, expected, given, wanted)
    except (RecursionError, OverflowError):
        # What nests so deeply, or has so large a number, is the same only as text.
        return False


def wrong(answer: str, expected: str, threshold: str | None) -> str | None:
    """The fault of an answer to one example, with what was evaluated; None if it has none.

    With a threshold the evaluation may have been of another: that the model isn't sure must follow from the confidence
    that it answers.
    """
    if threshold is None:
        return None if same(answer, expected) else f"answered {_short(answer)}, not {_short(expected)}"
    given, evaluated = threshold_answers.parsed(answer.strip()), threshold_answers.parsed(expected.strip())
    if given is None:
        silent = f"says no confidence, though there is a threshold ({_short(threshold)})"
        return f"answered {_short(answer)}, which {silent}; serve.py needs with_threshold, from toolkit.threshold"
    prediction = evaluated.prediction if evaluated else expected
    if not same(given.prediction, prediction) or (evaluated and not _near(given.confidence, evaluated.confidence)):
        return f"answered {_short(answer)}, not {_short(expected)}"
    right = threshold_answers.read(threshold).answer(given.prediction, given.confidence)
    return None if given.answer == right else f"answered {_short(answer)}, which at {_short(threshold)} is {right}"


def _short(text: str) -> str:
    return repr(text.strip()[:TOLD])


def _read_alike(answer: str, expected: str, given: str, wanted: str) -> bool:
    """As numbers, or as JSON."""
    documents = [_document(text) for text in (answer, expected)]
    if None not in documents:
        return _alike(*documents)
    fields, others = (text.strip("[]").split(",") for text in (given, wanted))
    return len(fields) == len(others) and all(map(_close, fields, others))


def _document(text: str) -> Any:
    """A JSON list or object; None for any other text."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict | list) else None


def _alike(given: Any, wanted: Any) -> bool:
    """Two JSON values, whose numbers may be rounded differently."""
    if isinstance(given, dict) and isinstance(wanted, dict):
        return given.keys() == wanted.keys() and all(_alike(given[key], wanted[key]) for key in given)
    if isinstance(given, list) and isinstance(wanted, list):
        return len(given) == len(wanted) and all(map(_alike, given, wanted))
    if isinstance(given, float | int) and isinstance(wanted, float | int):
        return _near(given, wanted)
    return bool(given == wanted)


def _close(given: str, wanted: str) -> bool:
    try:
        numbers = float(given), float(wanted)
    except ValueError:
        return given.strip() == wanted.strip()
    return _near(*numbers)


def _near(given: float, wanted: float) -> bool:
    """Numbers beyond all bounds are infinite to Python, and all infinities alike: those are near nothing."""
    return math.isclose(given, wanted, rel_tol=RELATIVE, abs_tol=ABSOLUTE) and math.isfinite(given)


def _one_field(answer: str) -> str | None:
    """A label that CSV has quoted, because of a comma, a quotation mark or a line break in it."""
    try:
        lines = csv_lines(answer.strip())
        fields = csv_fields(lines[0]) if len(lines) == 1 else []
    except csv.Error:
        # Longer than a field of CSV.
        return None
    return fields[0].strip() if len(fields) == 1 else None
