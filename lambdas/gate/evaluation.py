"""The evaluation's figures as the gate takes them: what it asks for is there, or it is told apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.json_values import told, unstorable

from contract.evaluations import CANNOT_ANSWER

# The toolkit writes half of it.
SENTENCE_LENGTH = 1000


class BadEvaluationError(ValueError):
    """The evaluation doesn't answer what the gate asks."""


@dataclass(frozen=True)
class Figures:
    """The challenger's score; the champion's, and the interval of their difference; or why it can't answer."""

    score: float
    rival: float | None = None
    interval: tuple[float, float] | None = None
    silent: str | None = None


def figures(evaluation: Mapping[str, Any], gate: Mapping[str, Any], champion: Mapping[str, Any] | None) -> Figures:
    """The figures that decide.

    Raises:
        BadEvaluationError: another metric, no champion where there is one, or figures that are missing.
    """
    if not isinstance(evaluation, Mapping):
        raise BadEvaluationError(f"the evaluation is {told(evaluation)}; it must be a JSON object")
    _check_question(evaluation, gate, champion)
    score = _figure(evaluation["challenger"], "score", "challenger")
    silent = _silence(evaluation, champion)
    if champion is None or silent is not None:
        return Figures(score, silent=silent)
    return Figures(score, _finite(evaluation["champion"], "score", "champion"), _interval(evaluation))


def _check_question(evaluation: Mapping[str, Any], gate: Mapping[str, Any], champion: Mapping[str, Any] | None) -> None:
    if evaluation.get("metric") != gate["metric"]:
        raise BadEvaluationError(
            f"the evaluation measured {_text(evaluation.get('metric'))}, but the gate asks for {gate['metric']}"
        )
    if champion and CANNOT_ANSWER not in champion and not evaluation.get("champion"):
        raise BadEvaluationError(f"the evaluation didn't judge the champion (of run {champion.get('run_id')})")
    if not evaluation.get("challenger"):
        raise BadEvaluationError("the evaluation didn't judge the challenger")
    for name in ("challenger", "champion"):
        if not isinstance(evaluation.get(name) or {}, Mapping):
            raise BadEvaluationError(f"the {name} in the evaluation is {told(evaluation[name])}; it must be an object")
    for name in ("difference", "examples"):
        if evaluation.get(name) is not None:
            _figure(evaluation, name, "evaluation")


def _silence(evaluation: Mapping[str, Any], champion: Mapping[str, Any] | None) -> str | None:
    """The sentence that says why there are no answers of the champion; None where there are, or there is none."""
    if champion is None:
        return None
    silent = champion.get(CANNOT_ANSWER) or (evaluation.get("champion") or {}).get(CANNOT_ANSWER)
    return None if silent is None else _text(silent)[:SENTENCE_LENGTH]


def optional_number(entry: Mapping[str, Any], name: str, whose: str) -> float | None:
    """A figure that may be absent.

    Raises:
        BadEvaluationError: it is there, and no finite number.
    """
    return None if entry.get(name) is None else _finite(entry, name, whose)


def _finite(entry: Mapping[str, Any], name: str, whose: str) -> float:
    value = _figure(entry, name, whose)
    if not math.isfinite(value):
        raise BadEvaluationError(f"the {whose}'s {name} in the evaluation is {value}; it must be a finite number")
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) and not unstorable(value) else told(value)


def _figure(entry: Mapping[str, Any], name: str, whose: str) -> float:
    value = entry.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # A score may be no number at all (0/0), which the gate judges; one that no record holds it doesn't.
    if not is_number or (not (isinstance(value, float) and not math.isfinite(value)) and unstorable(value)):
        raise BadEvaluationError(f"the {whose}'s {name} in the evaluation is {told(value)}; it must be a number")
    return float(value)  # type: ignore[arg-type]


def _interval(evaluation: Mapping[str, Any]) -> tuple[float, float]:
    interval = evaluation.get("interval")
    if not isinstance(interval, list) or len(interval) != 2:
        raise BadEvaluationError(f"the evaluation's interval is {told(interval)}; it must be [low, high]")
    bounds = {"low": interval[0], "high": interval[1]}
    return _figure(bounds, "low", "interval"), _figure(bounds, "high", "interval")
