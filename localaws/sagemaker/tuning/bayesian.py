"""What the Bayesian strategy is asked and answers, in numbers; the model itself is `model_program`, another process.

Until there are enough values to learn from, trials are spread over the space: a Latin hypercube, which needs no
library, so that the first trials don't wait for the other process. A parent's trials are values to learn from, too.

Same study, same suggestion. With several trials at once it matters which of them have ended when the next is asked for,
so a seed repeats its trials exactly where they end in the same order; with one at a time it always does.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from localaws.sagemaker.tuning.history import Study, Trial
from localaws.sagemaker.tuning.space import Categorical, Integer, Parameter
from localaws.sagemaker.tuning.suggestion import Suggestion

# So many values are there before the model is asked: enough to see which hyperparameters matter, few enough to use it.
START = 8
# An integer with more values than these is searched as if it were continuous, and rounded.
_MOST_VALUES = 512


def starting_point(study: Study) -> Suggestion | None:
    """The next combination while there is too little to learn from; None once the model is to be asked."""
    if len(_scored(study)) >= START:
        return None
    index = len(study.own)
    return Suggestion(study.space.at([_place(study, axis, index) for axis in range(len(study.space.parameters))]))


def question(study: Study) -> dict[str, Any]:
    """What the model needs to know, as JSON: places in the unit cube, and scores of which more is better."""
    scored = _scored(study)
    scores = [_signed(study, trial.score) for trial in scored if trial.score is not None]
    failed = [trial for trial in study.own if not trial.is_running and not _has_score(trial)]
    tried, pending = [*scored, *failed], [trial for trial in study.own if trial.is_running]
    return {
        "axes": [_axis(parameter) for parameter in study.space.parameters],
        "points": [study.space.positions(trial.values) for trial in tried],
        # What has none is as bad as anything that was seen: the model keeps away from there.
        "scores": scores + [min(scores)] * len(failed),
        "pending": [study.space.positions(trial.values) for trial in pending],
        "seed": [study.seed, study.next_number],
    }


def chosen(study: Study, places: Sequence[Sequence[float]]) -> Suggestion:
    """The first of places, the best ones first, whose values no trial has had; the very first where there is none.

    Places that differ may have the same values: those of an integer that is searched as a range are rounded.
    """
    names = {parameter.name for parameter in study.space.parameters}
    had = [{name: value for name, value in trial.values.items() if name in names} for trial in study.trials]
    suggested = map(study.space.at, places)
    return Suggestion(next((values for values in suggested if values not in had), study.space.at(places[0])))


def _scored(study: Study) -> list[Trial]:
    known = [trial for trial in study.trials if _has_score(trial) and study.space.holds(trial.values)]
    return sorted(known, key=lambda trial: (not trial.parent, trial.number))


def _has_score(trial: Trial) -> bool:
    """Whether there is a value to learn from: a loss that has become infinite is as good as none."""
    return trial.score is not None and math.isfinite(trial.score)


def _signed(study: Study, score: float) -> float:
    return score if study.maximize else -score


def _place(study: Study, axis: int, index: int) -> float:
    """One coordinate of a point of the Latin hypercube: each of its strata has one point."""
    draw = random.Random(f"{study.seed}/start/{axis}")  # noqa: S311 (no secret)
    strata = draw.sample(range(START), START)
    places = [(stratum + draw.random()) / START for stratum in strata]
    return places[index] if index < START else random.Random(f"{study.seed}/{axis}/{index}").random()  # noqa: S311


def _axis(parameter: Parameter) -> dict[str, Any]:
    """How the model moves along a hyperparameter: freely, between whole numbers, or from category to category."""
    if isinstance(parameter, Categorical):
        return {"kind": "categories", "places": [parameter.position(value) for value in parameter.values]}
    if isinstance(parameter, Integer) and parameter.high - parameter.low < _MOST_VALUES:
        values = range(parameter.low, parameter.high + 1)
        return {"kind": "values", "places": [parameter.position(str(value)) for value in values]}
    return {"kind": "range"}
