"""Readings of AWS's text on early stopping that differ from the one that is built, for comparison.

"If the value of the objective metric for the current training job is worse [...] than the median value of running
averages of the objective metric for previous training jobs up to the same epoch" leaves open which value of the current
job, which of the previous jobs, and from how many of them on.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from localaws.sagemaker.tuning.history import Study, Trial


@dataclass(frozen=True)
class Reading:
    """A rule: what of the current trial is compared with the median over which trials, and from how many on."""

    current: Callable[[Trial], float]
    counts: Callable[[Trial], bool]
    least: int = 1

    def __call__(self, study: Study, number: int) -> bool:
        trial = study.trial(number)
        epoch = len(trial.curve)
        others = [each for each in study.own if each.number != number and self.counts(each)]
        averages = [statistics.fmean(each.curve[:epoch]) for each in others if len(each.curve) >= epoch]
        if len(averages) < self.least:
            return False
        return study.is_better(statistics.median(averages), self.current(trial))


def newest(trial: Trial) -> float:
    return trial.curve[-1]


def best(trial: Trial) -> float:
    return max(trial.curve)


def average(trial: Trial) -> float:
    return statistics.fmean(trial.curve)


def ended(trial: Trial) -> bool:
    return not trial.is_running


def through(trial: Trial) -> bool:
    return trial.status == "completed"


def any_trial(_trial: Trial) -> bool:
    return True


READINGS = {
    "newest value, over those that ended": Reading(newest, ended),
    "newest value, over those that ran through": Reading(newest, through),
    "newest value, over all, running ones too": Reading(newest, any_trial),
    "newest value, over those that ended, from three on": Reading(newest, ended, 3),
    "newest value, over those that ended, from five on": Reading(newest, ended, 5),
    "best value so far, over those that ran through": Reading(best, through),
    "running average, over those that ended": Reading(average, ended),
    "running average, over those that ran through": Reading(average, through),
}
