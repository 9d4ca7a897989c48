"""Whether a tuning job is done before it has used up its limits: its completion criteria.

What AWS's text leaves open, chosen here: trials count in the order of their numbers, and only those that ended with a
value; parents' don't. The best before is that of this job alone. A job has converged when none of the last trials was
an improvement: ten of them, or three a hyperparameter if that is more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from localaws.sagemaker.tuning.history import Study

# "The number of training jobs that have failed to improve model performance by 1% or greater over prior training jobs".
IMPROVEMENT = 0.01

Reason = Literal["target", "not improving", "converged"]


@dataclass(frozen=True)
class Criteria:
    """A request's ``TuningJobCompletionCriteria``; whichever is met first ends the job."""

    target: float | None = None
    not_improving: int | None = None
    on_convergence: bool = False


def from_document(document: Mapping[str, Any]) -> Criteria:
    """The criteria of a request's document, which may be empty."""
    improving = document.get("BestObjectiveNotImproving") or {}
    convergence = document.get("ConvergenceDetected") or {}
    return Criteria(
        target=document.get("TargetObjectiveMetricValue"),
        not_improving=improving.get("MaxNumberOfTrainingJobsNotImproving"),
        on_convergence=convergence.get("CompleteOnConvergence") == "Enabled",
    )


def is_complete(study: Study, criteria: Criteria) -> Reason | None:
    """Why the job is complete; None while it isn't."""
    if criteria.target is not None and _is_reached(study, criteria.target):
        return "target"
    if criteria.not_improving is not None and not_improving(study) >= criteria.not_improving:
        return "not improving"
    return "converged" if criteria.on_convergence and has_converged(study) else None


def not_improving(study: Study) -> int:
    """How many trials have ended since the last one that was at least 1 % better than the best before it.

    This is what TuningJobCompletionDetails calls NumberOfTrainingJobsObjectiveNotImproving.
    """
    best: float | None = None
    since = 0
    for score in _scores(study):
        since = 0 if best is None or _improves(study, score, best) else since + 1
        best = score if best is None or study.is_better(score, best) else best
    return since


def has_converged(study: Study) -> bool:
    """Whether further trials promise no improvement: "a lack of significant improvement (1% or less)"."""
    return not_improving(study) >= max(10, 3 * len(study.space.parameters))


def _is_reached(study: Study, target: float) -> bool:
    return any(score == target or study.is_better(score, target) for score in _scores(study))


def _improves(study: Study, score: float, best: float) -> bool:
    gain = score - best if study.maximize else best - score
    return gain > 0 and gain >= IMPROVEMENT * abs(best)


def _scores(study: Study) -> list[float]:
    return [trial.score for trial in study.own if trial.score is not None]
