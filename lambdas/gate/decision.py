"""The gate's decision: a pure function of the evaluation, the spec's gate and whether there is a champion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from contract.evaluations import CANNOT_ANSWER, FLOOR

Document = dict[str, Any]

_WHEN = "when_champion_cannot_answer"


class BadEvaluationError(ValueError):
    """The evaluation doesn't answer what the gate asks."""


def decide(
    evaluation: Mapping[str, Any],
    gate: Mapping[str, Any],
    champion: Mapping[str, Any] | None,
    *,
    pipeline: str,
    supersede: bool = False,
) -> Document:
    """Whether the challenger becomes the champion, and why, in a sentence.

    The floor holds for every model. A first model needs no more. Later ones must be better than the champion on the
    same examples by more than `beat_champion_by`, with the spec's confidence: the lower bound of the interval of the
    paired difference decides, so that a tie keeps the champion. Where the champion can't answer the held-out data,
    it stays, unless `supersede` or the spec says that the floor alone decides.

    Args:
        evaluation: evaluation.json.
        gate: {"metric", "minimum", "beat_champion_by", "confidence", "when_champion_cannot_answer"}.
        champion: the plan's; with CANNOT_ANSWER where there was nothing to evaluate. None: there is no champion.
        pipeline: whose champion it is, for the sentence.

    Returns:
        {"promote", "reason", "metric", "score", "champion_score", "difference", "interval", "minimum",
        "beat_champion_by", "confidence", "examples", "champion_cannot_answer": a sentence or None}.

    Raises:
        BadEvaluationError: another metric, no champion where there is one, or figures that are missing.
    """
    _same_question(evaluation, gate, champion)
    score = _figure(evaluation["challenger"], "score", "challenger")
    silent = _silence(evaluation, champion)
    rivals = champion is not None and silent is None
    rival = _figure(evaluation["champion"], "score", "champion") if rivals else None
    low, high = _interval(evaluation) if rivals else (None, None)
    promote, reason = _below(score, gate) or (
        _without_the_champion(score, gate, silent, pipeline, supersede=supersede)
        if silent is not None
        else _verdict(score, rival, low, high, gate)
    )
    return {
        "promote": promote,
        "reason": reason,
        "metric": gate["metric"],
        "score": score if math.isfinite(score) else None,
        "champion_score": rival,
        "difference": evaluation.get("difference") if rivals else None,
        "interval": [low, high] if rivals else None,
        "minimum": gate["minimum"],
        "beat_champion_by": gate["beat_champion_by"],
        "confidence": gate["confidence"],
        "examples": evaluation.get("examples"),
        "champion_cannot_answer": silent,
    }


def _same_question(evaluation: Mapping[str, Any], gate: Mapping[str, Any], champion: Mapping[str, Any] | None) -> None:
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


def _below(score: float, gate: Mapping[str, Any]) -> tuple[bool, str] | None:
    """The refusal of a challenger that doesn't reach the floor; None if it does."""
    metric, minimum = gate["metric"], gate["minimum"]
    if not math.isfinite(score):
        return False, f"the challenger's {metric} is {score}, which is no score"
    return (False, f"{metric} {score:.4f} is below the minimum of {minimum:g}") if score < minimum else None


def _without_the_champion(
    score: float, gate: Mapping[str, Any], silent: str, pipeline: str, *, supersede: bool
) -> tuple[bool, str]:
    reaches = f"{gate['metric']} {score:.4f} reaches the minimum of {gate['minimum']:g}"
    if supersede:
        return True, f"the champion is superseded, as was asked: {reaches}; {silent}"
    if gate[_WHEN] == FLOOR:
        return True, f"judged by the floor alone, as {_WHEN} says: {reaches}; {silent}"
    return False, (
        f"{silent}. The challenger's {reaches}. If it shall take the champion's place: "
        f"`ratchet run {pipeline} --supersede`, for this once, or `{_WHEN}: {FLOOR}` under gate in pipeline.yaml"
    )


def _verdict(
    score: float, rival: float | None, low: float | None, high: float | None, gate: Mapping[str, Any]
) -> tuple[bool, str]:
    metric, margin = gate["metric"], gate["beat_champion_by"]
    if rival is None or low is None or high is None:
        return True, f"first model: {metric} {score:.4f} reaches the minimum of {gate['minimum']:g}"
    figures = (
        f"{metric} {score:.4f} against the champion's {rival:.4f}, "
        f"difference in [{low:+.4f}, {high:+.4f}] with {gate['confidence']:.0%} confidence"
    )
    if margin < 0:
        said = "not worse than the champion" if low > margin else "it may be worse than the champion"
    else:
        said = "better than the champion" if low > margin else "not better than the champion"
    return low > margin, f"{said} by more than {abs(margin):g}: {figures}"
