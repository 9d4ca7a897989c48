"""Whether a running trial is ended before its script is through: early stopping of type Auto, and Hyperband's own.

Auto, in AWS's words: "After each epoch of training, get the value of the objective metric. Compute the running average
of the objective metric for all previous training jobs up to the same epoch, and then compute the median of all of the
running averages. If the value of the objective metric for the current training job is worse than the median value of
running averages of the objective metric for previous training jobs up to the same epoch, SageMaker stops the current
training job."

What the text leaves open, chosen here: the value is the newest one, not the best so far; previous jobs are those that
have ended ("unlikely to perform better than previously completed training jobs") and got as far as this epoch, whether
they ran through or were stopped; failed ones and parents' don't count.
"""

from __future__ import annotations

import math
import statistics

from localaws.sagemaker.tuning import hyperband
from localaws.sagemaker.tuning.history import Study, Trial

COUNTED = ("completed", "stopped")


def should_stop(study: Study, number: int) -> bool:
    """Whether the job's running trial of this number is to be stopped now; asked whenever its curve has grown."""
    trial = study.trial(number)
    if not trial.is_running:
        return False
    if study.strategy == "Hyperband":
        return hyperband.should_stop(study, trial)
    return study.early_stopping and _is_worse_than_the_median(study, trial)


def _is_worse_than_the_median(study: Study, trial: Trial) -> bool:
    epoch = len(trial.curve)
    averages = [statistics.fmean(each.curve[:epoch]) for each in study.own if _counts(each, trial, epoch)]
    known = [average for average in averages if not math.isnan(average)]
    return bool(epoch and known) and study.is_better(statistics.median(known), trial.curve[-1])


def _counts(other: Trial, trial: Trial, epoch: int) -> bool:
    return other.number != trial.number and other.status in COUNTED and len(other.curve) >= epoch
