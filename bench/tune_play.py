"""Plays a tuning job out: a strategy's trials on slots, with learning curves that are known or made on demand.

Nothing waits. Every trial that runs takes as long as its epochs, of which all are equally long; so the same seed gives
the same trials on any machine, however long each really trained. What a trial cost is counted by its curve.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from localaws.sagemaker.tuning.completion import Criteria, is_complete
from localaws.sagemaker.tuning.history import Status, Study, Trial
from localaws.sagemaker.tuning.suggestion import Suggestion

NONE = Criteria()
Values = Mapping[str, str]
Suggest = Callable[[Study], Suggestion | None]
Stops = Callable[[Study, int], bool]


@dataclass(frozen=True)
class Curve:
    """A trial's objective after each epoch, and the seconds that it had trained for until then."""

    objective: tuple[float, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class Rules:
    """What decides: the next trial (None: wait, or nothing is left), its curve, whether a running trial ends now, and
    by which criteria no further one starts.
    """

    suggest: Suggest
    should_stop: Stops
    curve: Callable[[Values], Curve]
    criteria: Criteria = NONE


@dataclass(frozen=True)
class Played:
    """A tuning job at its end, and what each of its own trials trained, by number, in seconds."""

    study: Study
    seconds: Mapping[int, float]

    @property
    def best(self) -> Trial:
        """Its best trial, as BestTrainingJob has it: a trial that was stopped counts with its last value."""
        return (max if self.study.maximize else min)(self.study.own, key=lambda trial: trial.objective or 0.0)

    @property
    def cost(self) -> float:
        """The seconds that all of them trained."""
        return sum(self.seconds.values())

    @property
    def parents(self) -> tuple[Trial, ...]:
        """Its own trials, as those of a parent."""
        return tuple(replace(trial, parent=True) for trial in self.study.own)


def play(study: Study, rules: Rules) -> Played:
    """Every trial of the tuning job, from the first to the last."""
    curves: dict[int, Curve] = {}
    while True:
        study = _filled(study, rules, curves)
        running = [trial for trial in study.own if trial.is_running]
        if not running:
            return Played(study, {trial.number: _trained(trial, curves) for trial in study.own})
        for trial in running:
            study = _one_epoch(study, trial.number, curves[trial.number], rules)


def _filled(study: Study, rules: Rules, curves: dict[int, Curve]) -> Study:
    """A trial on every free slot."""
    while study.has_room and is_complete(study, rules.criteria) is None:
        suggestion = rules.suggest(study)
        if suggestion is None:
            break
        trial = Trial(study.next_number, suggestion.values)
        curves[trial.number] = rules.curve(trial.values)
        study = replace(study, trials=(*study.trials, trial))
    return study


def _one_epoch(study: Study, number: int, curve: Curve, rules: Rules) -> Study:
    """One trial is an epoch further: at its end, stopped, or neither."""
    trial = study.trial(number)
    so_far = curve.objective[: len(trial.curve) + 1]
    study = _with(study, replace(trial, curve=so_far))
    if len(so_far) == len(curve.objective):
        return _ended(study, number, "completed")
    return _ended(study, number, "stopped") if rules.should_stop(study, number) else study


def _ended(study: Study, number: int, status: Status) -> Study:
    trial = study.trial(number)
    return _with(study, replace(trial, status=status, objective=trial.curve[-1]))


def _with(study: Study, trial: Trial) -> Study:
    kept = (each for each in study.trials if each.parent or each.number != trial.number)
    return replace(study, trials=(*kept, trial))


def _trained(trial: Trial, curves: Mapping[int, Curve]) -> float:
    return curves[trial.number].seconds[len(trial.curve) - 1]
