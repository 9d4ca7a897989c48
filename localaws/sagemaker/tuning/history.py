"""What is known of a tuning job at a moment: its space, its settings, and its trials so far.

A strategy, early stopping and completion are functions of this alone, so that a server that was killed loses nothing,
and the same seed gives the same trials.

Where AWS's text leaves open which value of a trial counts, it is the last one that its training job reported: that is
what DescribeTrainingJob's FinalMetricDataList holds. It is said here once; everything else asks `Trial`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from localaws.sagemaker.tuning.space import SearchSpace

Strategy = Literal["Bayesian", "Random", "Grid", "Hyperband"]
Status = Literal["running", "completed", "stopped", "failed"]


@dataclass(frozen=True)
class Trial:
    """One training job of a tuning job, or of a parent that it starts warm from.

    number: from 1 in the order of starting; a parent's trials have numbers of their own, with `parent` set.
    values: of the hyperparameters that are tuned; a parent's with its static ones, since those may be tuned by now.
    status: "stopped" for whatever was ended before its script was through: by early stopping, by Hyperband, by a user.
    objective: its final value, which it may have even though it was stopped; None while it runs or if it reported none.
    curve: every value of the objective that it reported so far, one an epoch.
    resource: the epochs that it has gone through; None where a value a epoch tells: as many as `curve` has values.
    """

    number: int
    values: Mapping[str, str]
    status: Status = "running"
    objective: float | None = None
    curve: tuple[float, ...] = ()
    resource: int | None = None
    parent: bool = False

    @property
    def epochs(self) -> int:
        """The epochs that it has gone through."""
        return len(self.curve) if self.resource is None else self.resource

    @property
    def is_running(self) -> bool:
        """Whether it may still report values."""
        return self.status == "running"

    @property
    def score(self) -> float | None:
        """The value that it counts with once it has ended, however it did; None without one, or if it is no number."""
        if self.is_running or self.status == "failed":
            return None
        last = self.curve[-1] if self.curve else None
        value = last if self.objective is None else self.objective
        return None if value is None or math.isnan(value) else value


@dataclass(frozen=True)
class Study:
    """A tuning job as its strategy sees it.

    seed: the request's, or one drawn when the job was made and kept with it.
    max_jobs: the trials that it may start; None for Grid without the number.
    resources: Hyperband's MinResource and MaxResource, in epochs; see `hyperband.resources`.
    static: the hyperparameters that aren't tuned.
    trials: parents' and its own, in any order.
    """

    space: SearchSpace
    strategy: Strategy
    maximize: bool
    early_stopping: bool = False
    seed: int = 0
    max_jobs: int | None = None
    max_parallel: int = 1
    resources: tuple[int, int] | None = None
    static: Mapping[str, str] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()

    @property
    def own(self) -> tuple[Trial, ...]:
        """Its own trials, in the order of starting."""
        return tuple(sorted((trial for trial in self.trials if not trial.parent), key=lambda trial: trial.number))

    @property
    def next_number(self) -> int:
        """The number that its next trial gets."""
        return max((trial.number for trial in self.own), default=0) + 1

    @property
    def has_room(self) -> bool:
        """Whether one more trial may start now."""
        own = self.own
        running = sum(trial.is_running for trial in own)
        return running < self.max_parallel and (self.max_jobs is None or len(own) < self.max_jobs)

    def trial(self, number: int) -> Trial:
        """Its own trial of a number. Raises KeyError without one."""
        for trial in self.trials:
            if trial.number == number and not trial.parent:
                return trial
        raise KeyError(number)

    def is_better(self, value: float, other: float) -> bool:
        """Whether a value of the objective is better than another; equal ones are not, and NaN is worse than any."""
        if math.isnan(other):
            return not math.isnan(value)
        return value > other if self.maximize else value < other
