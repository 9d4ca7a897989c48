"""The next trial by the strategies that need no library: Random, Grid, and Hyperband's new configurations.

"Random search: hyperparameter tuning chooses a random combination of hyperparameter values in the ranges that you
specify for each training job it launches."
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from localaws.sagemaker.tuning.history import Study

# A combination that was there already teaches nothing; where most of a small space was tried, repeats are all there is.
_DRAWS = 100


@dataclass(frozen=True)
class Suggestion:
    """The tuned hyperparameters of the next trial, as SageMaker's strings."""

    values: dict[str, str]


def suggest_random(study: Study) -> Suggestion | None:
    """A random combination that no trial of the job has yet; drawn from the seed and the trial's number alone."""
    if not study.has_room:
        return None
    draw = random.Random(f"{study.seed}/{study.next_number}")  # noqa: S311 (no secret)
    tried = [trial.values for trial in study.own]
    for _ in range(_DRAWS):
        values = study.space.at([draw.random() for _ in study.space.parameters])
        if values not in tried:
            break
    return Suggestion(values)


def suggest_grid(study: Study) -> Suggestion | None:
    """The next combination of the grid in its order; None once each has had its trial."""
    if not study.has_room:
        return None
    combinations = list(study.space.grid())
    done = len(study.own)
    return Suggestion(combinations[done]) if done < len(combinations) else None
