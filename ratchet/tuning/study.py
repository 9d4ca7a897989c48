"""Several tuning jobs of one objective, put together to be looked at and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ratchet.errors import UserError
from ratchet.tuning import importance, ranges
from ratchet.tuning.importance import Importance
from ratchet.tuning.ranges import Hyperparameter
from ratchet.tuning.reading import Curve
from ratchet.tuning.trials import Objective, Trial, TuningJob


@dataclass(frozen=True)
class Entry:
    """A trial among all of the study's: its place there, and its job's among the jobs."""

    index: int
    job: int
    trial: Trial


@dataclass(frozen=True)
class Study:
    """Tuning jobs in the order in which they are told: parents before their children."""

    jobs: tuple[TuningJob, ...]
    asked: frozenset[str]
    curves: Mapping[str, Curve]
    gone: tuple[str, ...] = ()

    @property
    def objective(self) -> Objective:
        return self.jobs[0].objective

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        of_jobs = [(number, trial) for number, job in enumerate(self.jobs) for trial in job.trials]
        return tuple(Entry(index, job, trial) for index, (job, trial) in enumerate(of_jobs))

    @cached_property
    def judged(self) -> tuple[Entry, ...]:
        """The trials that have an objective, the best first."""
        found = [entry for entry in self.entries if entry.trial.objective is not None]
        return tuple(sorted(found, key=lambda entry: entry.trial.objective or 0.0, reverse=self.objective.maximize))

    @cached_property
    def hyperparameters(self) -> tuple[Hyperparameter, ...]:
        """Those that any of the jobs searches; the asked ones' scales count."""
        in_order = sorted(self.jobs, key=lambda job: job.name not in self.asked)
        tried: dict[str, list[str]] = {}
        for entry in self.entries:
            for name in entry.trial.values:
                tried.setdefault(name, []).append(entry.trial.values[name])
        searched = {each.name for job in self.jobs for each in job.ranges} | tried.keys()
        for job in self.jobs:
            for name in searched & job.fixed.keys():
                tried.setdefault(name, []).append(job.fixed[name])
        return ranges.together((each for job in in_order for each in job.ranges), tried)

    def value(self, entry: Entry, name: str) -> str | None:
        """The value of a hyperparameter in a trial, also where its job didn't search it; None where it had none."""
        return entry.trial.values.get(name, self.jobs[entry.job].fixed.get(name))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What each job is called in a picture: by its strategy, where that says which."""
        strategies = [job.strategy for job in self.jobs]
        several = len(set(strategies)) < len(strategies)
        return tuple(f"{job.strategy} · {job.name}" if several else job.strategy for job in self.jobs)

    @cached_property
    def importances(self) -> tuple[tuple[Hyperparameter, Importance], ...]:
        """The hyperparameters whose importance can be told, the most important first."""
        found = []
        for each in self.hyperparameters:
            pairs = [(place, entry.trial.objective) for entry, place in self.places(each)]
            known = [(place, value) for place, value in pairs if value is not None]
            told = importance.importance([place for place, _ in known], [value for _, value in known])
            found += [(each, told)] if told else []
        return tuple(sorted(found, key=lambda pair: pair[1].share, reverse=True))

    def places(self, each: Hyperparameter) -> list[tuple[Entry, float]]:
        """The judged trials in which a hyperparameter had a value, with its number."""
        found = [(entry, each.number(self.value(entry, each.name))) for entry in self.judged]
        return [(entry, number) for entry, number in found if number is not None]


def of_jobs(
    jobs: Sequence[TuningJob], *, asked: Sequence[str], curves: Sequence[Curve] = (), gone: Sequence[str] = ()
) -> Study:
    """The study of tuning jobs.

    Raises:
        UserError: they have different objectives, which can't be shown on one axis.
    """
    first = jobs[0]
    other = next((job for job in jobs if job.objective != first.objective), None)
    if other:
        raise UserError(
            f"{first.name} is to {first.objective}, {other.name} to {other.objective}: one page shows one objective; "
            "write a page for each"
        )
    return Study(tuple(jobs), frozenset(asked), {curve.trial: curve for curve in curves}, tuple(gone))
