"""`gate.at_threshold`: floors of what is answered at serving.threshold, and its figures beside the decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.json_values import told

from contract import thresholds
from contract.thresholds import COVERAGE, PRECISION
from contract.verdicts import short
from gate.evaluation import BadEvaluationError, optional_number

Document = dict[str, Any]

_PART = "answers at threshold"
_INTERVALS = (f"{COVERAGE}_interval", f"{PRECISION}_interval")
_COUNTS = ("examples", "answered")


def figures(evaluation: Mapping[str, Any]) -> Document | None:
    """{"threshold", "challenger": {"examples", "answered", "coverage", "coverage_interval", "precision",
    "precision_interval"}, "champion": the same or None}; None where the evaluation was told of no threshold.

    Raises:
        BadEvaluationError: they are something else.
    """
    found = evaluation.get(thresholds.KEPT)
    if found is None:
        return None
    if not isinstance(found, Mapping) or not isinstance(found.get(thresholds.KEPT), str):
        raise BadEvaluationError(f"the threshold's figures in the evaluation are {told(found)}; they must be an object")
    challenger, champion = (_of(found, name) for name in ("challenger", "champion"))
    if challenger is None:
        raise BadEvaluationError("the threshold's figures in the evaluation say nothing of the challenger")
    return {thresholds.KEPT: short(found[thresholds.KEPT]), "challenger": challenger, "champion": champion}


def parts(evaluation: Mapping[str, Any], gate: Mapping[str, Any]) -> list[Document]:
    """The floors with their verdicts, as gate.floors has them. Of no answer none is right."""
    asked = gate.get(thresholds.FLOORS)
    if not asked:
        return []
    found = figures(evaluation)
    if found is None:
        raise BadEvaluationError("the gate has floors for the threshold, of which the evaluation says nothing")
    challenger, champion = found["challenger"], found["champion"] or {}
    return [
        {
            "part": _PART,
            "value": found[thresholds.KEPT],
            "metric": name,
            "examples": challenger["examples" if name == COVERAGE else "answered"],
            "score": challenger[name] or 0.0,
            "champion_score": champion.get(name),
            "minimum": asked[name],
            "below": (challenger[name] or 0.0) < asked[name],
            "unjudged": None,
        }
        for name in (COVERAGE, PRECISION)
        if asked.get(name) is not None
    ]


def _of(found: Mapping[str, Any], name: str) -> Document | None:
    model = found.get(name)
    if model is None:
        return None
    whose = f"{name} at the threshold"
    if not isinstance(model, Mapping):
        raise BadEvaluationError(f"the {whose} in the evaluation is {told(model)}; it must be an object")
    if model.get(COVERAGE) is None:
        raise BadEvaluationError(f"the {whose} in the evaluation has no {COVERAGE}")
    numbers = {key: optional_number(model, key, whose) for key in (COVERAGE, PRECISION)}
    counts = {key: int(optional_number(model, key, whose) or 0) for key in _COUNTS}
    return {**counts, **numbers, **{key: _interval(model, key, whose) for key in _INTERVALS}}


def _interval(model: Mapping[str, Any], name: str, whose: str) -> list[float | None] | None:
    found = model.get(name)
    if found is None:
        return None
    if not isinstance(found, list) or len(found) != 2:
        raise BadEvaluationError(f"the {whose}'s {name} in the evaluation is {told(found)}; it must be [low, high]")
    bounds = dict(zip(("low", "high"), found, strict=True))
    return [optional_number(bounds, bound, f"{whose}'s {name}") for bound in bounds]
