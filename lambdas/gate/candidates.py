"""Candidates: which of them the evaluation took for the challenger, and what the decision says of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from common.json_values import told

from contract.candidates import CANDIDATE, CANDIDATES, confidence_of_each
from contract.evaluations import CANNOT_ANSWER
from gate.evaluation import BadEvaluationError, optional_number

Document = dict[str, Any]


def of_several(gate: Mapping[str, Any], names: Sequence[str]) -> Document:
    """The gate's settings, with the confidence that each candidate's intervals have."""
    return {**gate, "confidence": confidence_of_each(gate["confidence"], len(names))}


def chosen(evaluation: Any, names: Sequence[str]) -> Document:
    """{"candidate", "candidates": each one's score, or None}: the challenger is the one with the greatest.

    Raises:
        BadEvaluationError: the evaluation names none of them, or has no score of the one that it names.
    """
    found = evaluation if isinstance(evaluation, Mapping) else {}
    best, each = found.get(CANDIDATE), found.get(CANDIDATES)
    if best not in names:
        raise BadEvaluationError(f"the evaluation judged the candidate {told(best)}; they are {', '.join(names)}")
    if not isinstance(each, list) or not all(isinstance(one, Mapping) and one.get(CANDIDATE) in names for one in each):
        raise BadEvaluationError(f"the evaluation's candidates are {told(each)}; they must be a list of objects")
    scores = {one[CANDIDATE]: _score(one) for one in each}
    if scores.get(best) is None:
        raise BadEvaluationError(f"the evaluation has no score of the candidate {best}, which it judged")
    return {CANDIDATE: best, CANDIDATES: {name: scores.get(name) for name in names}}


def told_of(decision: Mapping[str, Any], found: Mapping[str, Any]) -> Document:
    """The decision with the candidates, and a sentence about them behind its reason."""
    scores = found[CANDIDATES]
    each = ", ".join(f"{name} {'not judged' if score is None else f'{score:.4f}'}" for name, score in scores.items())
    allowed = ", for which the interval allows" if decision["interval"] else ""
    several = f"; {found[CANDIDATE]} is the best of {len(scores)} candidates ({each}){allowed}"
    return {**decision, "reason": f"{decision['reason']}{several}", **found}


def _score(one: Mapping[str, Any]) -> float | None:
    if one.get(CANNOT_ANSWER) is not None:
        return None
    return optional_number(one, "score", f"candidate {one[CANDIDATE]}")
