"""The evaluation's figures as the gate takes them: what it asks for is there, or it is told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contract.evaluations import CANNOT_ANSWER


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
    _check_question(evaluation, gate, champion)
    score = _figure(evaluation["challenger"], "score", "challenger")
    silent = _silence(evaluation, champion)
    if champion is None or silent is not None:
        return Figures(score, silent=silent)
    return Figures(score, _figure(evaluation["champion"], "score", "champion"), _interval(evaluation))


def _check_question(evaluation: Mapping[str, Any], gate: Mapping[str, Any], champion: Mapping[str, Any] | None) -> None:
    if evaluation.get("metric") != gate["metric"]:
        raise BadEvaluationError(
            f"the evaluation measured {evaluation.get('metric')}, but the gate asks for {gate['metric']}"
        )
    if champion and CANNOT_ANSWER not in champion and not evaluation.get("champion"):
        raise BadEvaluationError(f"the evaluation didn't judge the champion (of run {champion.get('run_id')})")
    if not evaluation.get("challenger"):
        raise BadEvaluationError("the evaluation didn't judge the challenger")


def _silence(evaluation: Mapping[str, Any], champion: Mapping[str, Any] | None) -> str | None:
    """The sentence that says why there are no answers of the champion; None where there are, or there is none."""
    if champion is None:
        return None
    silent = champion.get(CANNOT_ANSWER) or (evaluation["champion"] or {}).get(CANNOT_ANSWER)
    return None if silent is None else str(silent)


def _figure(entry: Mapping[str, Any], name: str, whose: str) -> float:
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadEvaluationError(f"the {whose}'s {name} in the evaluation is {value!r}; it must be a number")
    return float(value)


def _interval(evaluation: Mapping[str, Any]) -> tuple[float, float]:
    interval = evaluation.get("interval")
    if not isinstance(interval, list) or len(interval) != 2:
        raise BadEvaluationError(f"the evaluation's interval is {interval!r}; it must be [low, high]")
    bounds = {"low": interval[0], "high": interval[1]}
    return _figure(bounds, "low", "interval"), _figure(bounds, "high", "interval")
