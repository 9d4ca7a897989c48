"""The gate's decision: a pure function of the evaluation, the spec's gate and whether there is a champion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

Document = dict[str, Any]


class BadEvaluationError(ValueError):
    """The evaluation doesn't answer what the gate asks."""


def decide(evaluation: Mapping[str, Any], gate: Mapping[str, Any], champion: Mapping[str, Any] | None) -> Document:
    """Whether the challenger becomes the champion, and why, in a sentence.

    The floor holds for every model. A first model needs no more. Later ones must be better than the champion on the
    same examples by more than `beat_champion_by`, with the spec's confidence: the lower bound of the interval of the
    paired difference decides, so that a tie keeps the champion.

    Args:
        evaluation: evaluation.json.
        gate: {"metric", "minimum", "beat_champion_by", "confidence"}.
        champion: the champion's entry in the run table, or None.

    Returns:
        {"promote", "reason", "metric", "score", "champion_score", "difference", "interval", "minimum",
        "beat_champion_by", "confidence", "examples"}.

    Raises:
        BadEvaluationError: another metric, no champion where there is one, or figures that are missing.
    """
    _same_question(evaluation, gate, champion)
    score = _figure(evaluation["challenger"], "score", "challenger")
    rival = _figure(evaluation["champion"], "score", "champion") if champion else None
    low, high = _interval(evaluation) if champion else (None, None)
    promote, reason = _verdict(score, rival, low, high, gate)
    return {
        "promote": promote,
        "reason": reason,
        "metric": gate["metric"],
        "score": score if math.isfinite(score) else None,
        "champion_score": rival,
        "difference": evaluation.get("difference") if champion else None,
        "interval": [low, high] if champion else None,
        "minimum": gate["minimum"],
        "beat_champion_by": gate["beat_champion_by"],
        "confidence": gate["confidence"],
        "examples": evaluation.get("examples"),
    }


def _same_question(evaluation: Mapping[str, Any], gate: Mapping[str, Any], champion: Mapping[str, Any] | None) -> None:
    if evaluation.get("metric") != gate["metric"]:
        raise BadEvaluationError(
            f"the evaluation measured {evaluation.get('metric')}, but the gate asks for {gate['metric']}"
        )
    if champion and not evaluation.get("champion"):
        raise BadEvaluationError(f"the evaluation didn't judge the champion (of run {champion.get('run_id')})")
    if not evaluation.get("challenger"):
        raise BadEvaluationError("the evaluation didn't judge the challenger")


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


def _verdict(
    score: float, rival: float | None, low: float | None, high: float | None, gate: Mapping[str, Any]
) -> tuple[bool, str]:
    metric, minimum, margin = gate["metric"], gate["minimum"], gate["beat_champion_by"]
    if not math.isfinite(score):
        return False, f"the challenger's {metric} is {score}, which is no score"
    if score < minimum:
        return False, f"{metric} {score:.4f} is below the minimum of {minimum:g}"
    if rival is None or low is None or high is None:
        return True, f"first model: {metric} {score:.4f} reaches the minimum of {minimum:g}"
    figures = (
        f"{metric} {score:.4f} against the champion's {rival:.4f}, "
        f"difference in [{low:+.4f}, {high:+.4f}] with {gate['confidence']:.0%} confidence"
    )
    if low > margin:
        return True, f"better than the champion by more than {margin:g}: {figures}"
    return False, f"not better than the champion by more than {margin:g}: {figures}"
