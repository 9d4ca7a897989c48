"""A model is asked for the next values before there is room for them: as soon as a running trial seems through.

A suggestion is a function of the study. What was asked ahead is used only if the study then is the one that it was
asked for, so that nobody learns less from a trial for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from localaws.sagemaker.tuning.history import Study, Trial
from localaws.sagemaker.tuning.suggestion import Suggestion

Suggest = Callable[[Study], Suggestion | None]


class Ahead:
    """`suggest`, which may take a while, with one answer to a question that is about to be asked. Of one thread."""

    def __init__(self, suggest: Suggest) -> None:
        self._suggest = suggest
        self._known: tuple[Study, Suggestion | None] | None = None

    def suggest(self, study: Study) -> Suggestion | None:
        """The next values."""
        if self._known is not None and self._known[0] == _bare(study):
            return self._known[1]
        return self._suggest(study)

    def think(self, study: Study, number: int) -> None:
        """Ask for what comes next if the running trial of this number ends with the last value that it reported."""
        asked = _bare(_with_end(study, number))
        if asked.has_room and (self._known is None or self._known[0] != asked):
            self._known = asked, self._suggest(asked)


def seems_through(study: Study, uploading: frozenset[int]) -> int | None:
    """The first running trial that has a value and uploads its model, or has reported as many values as the last one
    that ended; None where none has."""
    ended = [trial for trial in study.own if not trial.is_running and trial.curve]
    usual = len(ended[-1].curve) if ended else 0
    running = (trial for trial in study.own if trial.is_running and trial.curve)
    return next((trial.number for trial in running if trial.number in uploading or len(trial.curve) == usual), None)


def _with_end(study: Study, number: int) -> Study:
    """The study once a running trial has completed with its last value."""
    return _with_trials(study, [_completed(trial) if _is(trial, number) else trial for trial in study.trials])


def _is(trial: Trial, number: int) -> bool:
    return trial.number == number and not trial.parent


def _completed(trial: Trial) -> Trial:
    return dataclasses.replace(trial, status="completed", objective=trial.curve[-1])


def _bare(study: Study) -> Study:
    """The study without its trials' curves, in which a model has no interest: it asks for their last values."""
    return _with_trials(study, [dataclasses.replace(trial, curve=()) for trial in study.trials])


def _with_trials(study: Study, trials: list[Trial]) -> Study:
    return dataclasses.replace(study, trials=tuple(trials))
