"""The gate's decision: a pure function of the evaluation, the spec's gate and whether there is a champion."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from contract import thresholds
from contract.evaluations import FLOOR, NOT_HELD_OUT
from gate import at_threshold, floors
from gate.evaluation import Figures
from gate.evaluation import figures as read

Document = dict[str, Any]

_WHEN = "when_champion_cannot_answer"
# Of classes that aren't held out, as many as a sentence bears, and as much of each.
_TOLD, _NAME = 3, 80


def decide(
    evaluation: Mapping[str, Any],
    gate: Mapping[str, Any],
    champion: Mapping[str, Any] | None,
    *,
    pipeline: str,
    supersede: bool = False,
) -> Document:
    """Whether the challenger becomes the champion, and why, in a sentence.

    The floors hold for every model: the whole's, and those of parts. A first model needs no more. Later ones must be
    better than the champion on the same examples by more than `beat_champion_by`, with the spec's confidence: the lower
    bound of the interval of the paired difference decides, so that a tie keeps the champion. A champion that can't
    answer the held-out data stays, unless `supersede` or the spec says that the floors alone decide.

    Args:
        evaluation: evaluation.json.
        gate: `gate` of pipeline.yaml.
        champion: the plan's; with CANNOT_ANSWER where there was nothing to evaluate. None: there is no champion.
        pipeline: whose champion it is, for the sentence.

    Returns:
        The decision with all that it is made from; "parts" (see gate.floors) where the gate has floors of parts.

    Raises:
        BadEvaluationError: the evaluation doesn't answer what the gate asks.
    """
    figures = read(evaluation, gate, champion)
    parts = floors.parts(evaluation, gate)
    promote, reason = _below(figures.score, gate) or _refused(parts) or _verdict(figures, gate, pipeline, supersede)
    reason += floors.left_out(parts) + _not_held_out(evaluation)
    return {"promote": promote, "reason": reason, **_told(evaluation, figures, gate, parts)}


def _told(evaluation: Mapping[str, Any], figures: Figures, gate: Mapping[str, Any], parts: list[Document]) -> Document:
    """The figures beside the decision."""
    compared = figures.interval is not None
    return {
        "metric": gate["metric"],
        "score": _finite(figures.score),
        "champion_score": figures.rival,
        "difference": _finite(evaluation.get("difference")) if compared else None,
        "interval": None if figures.interval is None else [_finite(bound) for bound in figures.interval],
        **{name: gate[name] for name in ("minimum", "beat_champion_by", "confidence")},
        "examples": _finite(evaluation.get("examples")),
        "champion_cannot_answer": figures.silent,
        **({"parts": floors.kept(parts)} if parts else {}),
        **({thresholds.KEPT: at} if (at := at_threshold.figures(evaluation)) else {}),
    }


def _finite(value: float | None) -> float | None:
    """JSON and DynamoDB have no others."""
    return value if value is not None and math.isfinite(value) else None


def _not_held_out(evaluation: Mapping[str, Any]) -> str:
    """The end of a sentence that names the classes of which there was nothing to judge by; empty where there are none.

    No figure says anything of them, nor does a floor: whoever wonders why must find it here.
    """
    found = evaluation.get(NOT_HELD_OUT)
    all_names = [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
    names = [name[:_NAME] for name in all_names[:_TOLD]]
    more = f" and {len(all_names) - _TOLD} more" if len(all_names) > _TOLD else ""
    return f"; not judged, since no held-out example is of it: {', '.join(names)}{more}" if names else ""


def _refused(parts: Sequence[Document]) -> tuple[bool, str] | None:
    reason = floors.refusal(parts)
    return None if reason is None else (False, reason)


def _below(score: float, gate: Mapping[str, Any]) -> tuple[bool, str] | None:
    """The refusal of a challenger that doesn't reach the floor; None if it does."""
    metric, minimum = gate["metric"], gate["minimum"]
    if not math.isfinite(score):
        return False, f"the challenger's {metric} is {score}, which is no score"
    return (False, f"{metric} {score:.4f} is below the minimum of {minimum:g}") if score < minimum else None


def _verdict(figures: Figures, gate: Mapping[str, Any], pipeline: str, supersede: bool) -> tuple[bool, str]:
    """Of a challenger that reaches every floor."""
    reaches = f"{gate['metric']} {figures.score:.4f} reaches the minimum of {gate['minimum']:g}"
    if figures.silent is not None:
        return _without_the_champion(reaches, gate, figures.silent, pipeline, supersede=supersede)
    if figures.rival is None or figures.interval is None:
        return True, f"first model: {reaches}"
    return _against_the_champion(figures.score, figures.rival, figures.interval, gate)


def _without_the_champion(
    reaches: str, gate: Mapping[str, Any], silent: str, pipeline: str, *, supersede: bool
) -> tuple[bool, str]:
    if supersede:
        return True, f"the champion is superseded, as was asked: {reaches}; {silent}"
    if gate[_WHEN] == FLOOR:
        return True, f"judged by the floor alone, as {_WHEN} says: {reaches}; {silent}"
    return False, (
        f"{silent}. The challenger's {reaches}. If it shall take the champion's place: "
        f"`ratchet run {pipeline} --supersede`, for this once, or `{_WHEN}: {FLOOR}` under gate in pipeline.yaml"
    )


def _against_the_champion(
    score: float, rival: float, interval: tuple[float, float], gate: Mapping[str, Any]
) -> tuple[bool, str]:
    metric, margin = gate["metric"], gate["beat_champion_by"]
    low, high = interval
    figures = (
        f"{metric} {score:.4f} against the champion's {rival:.4f}, "
        f"difference in [{low:+.4f}, {high:+.4f}] with {_percent(gate['confidence'])} confidence"
    )
    if margin < 0:
        said = "not worse than the champion" if low > margin else "it may be worse than the champion"
    else:
        said = "better than the champion" if low > margin else "not better than the champion"
    return low > margin, f"{said} by more than {abs(margin):g}: {figures}"


def _percent(share: float) -> str:
    """`95%`, `97.5%`."""
    return f"{100 * share:.3g}%"
