"""Tuning jobs and their trials, from the documents that SageMaker answers with."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ratchet.tuning import ranges
from ratchet.tuning.ranges import Hyperparameter

# What becomes of a trial, in a reader's words.
COMPLETED, STOPPED_EARLY, STOPPED, FAILED, RUNNING = "completed", "stopped early", "stopped", "failed", "running"
NO_OBJECTIVE = "no objective"

MAXIMIZE = "Maximize"
HYPERBAND = "Hyperband"
IN_PROGRESS = ("InProgress", "Stopping")
# Trials are called <tuning job>-NNN-<8 hexadecimal digits>.
_NUMBER = re.compile(r"-(\d{3,})-[0-9a-f]{8}\Z")

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Objective:
    """The metric that is searched for its best value."""

    metric: str
    maximize: bool

    def best(self, values: Iterable[float]) -> float | None:
        found = list(values)
        if not found:
            return None
        return max(found) if self.maximize else min(found)

    def __str__(self) -> str:
        return f"{'maximize' if self.maximize else 'minimize'} {self.metric}"


@dataclass(frozen=True)
class Limits:
    """A tuning job's budget, and what ends it before; None where it has no such limit."""

    trials: int | None = None
    parallel: int | None = None
    seconds: int | None = None
    target: float | None = None
    not_improving: int | None = None
    on_convergence: bool = False


@dataclass(frozen=True)
class Trial:
    """A training job of a tuning job; `objective` is its final value, `values` are those that it tried."""

    name: str
    number: int
    status: str
    objective: float | None
    created: datetime
    started: datetime | None
    ended: datetime | None
    values: Mapping[str, str]
    failure: str

    @property
    def seconds(self) -> float | None:
        """How long it trained; None while it does, or if it never has."""
        return (self.ended - self.started).total_seconds() if self.started and self.ended else None


@dataclass(frozen=True)
class TuningJob:
    name: str
    strategy: str
    status: str
    objective: Objective
    limits: Limits
    created: datetime
    ended: datetime | None
    failure: str
    early_stopping: bool
    warm_start: str
    parents: tuple[str, ...]
    not_improving: int | None
    converged: bool
    ranges: tuple[Hyperparameter, ...]
    fixed: Mapping[str, str]
    trials: tuple[Trial, ...]

    @property
    def runs(self) -> bool:
        return self.status in IN_PROGRESS

    @property
    def best(self) -> Trial | None:
        """The trial with the best final value; of equal ones the earliest."""
        value = self.objective.best(trial.objective for trial in self.trials if trial.objective is not None)
        return next((trial for trial in self.trials if trial.objective == value), None) if value is not None else None

    def count(self, status: str) -> int:
        return sum(trial.status == status for trial in self.trials)

    @property
    def training_seconds(self) -> float:
        return sum(trial.seconds or 0.0 for trial in self.trials)

    def elapsed(self, now: datetime) -> float:
        """Seconds from its creation to its end, or to now."""
        return ((self.ended or now) - self.created).total_seconds()


def of_documents(description: Document, summaries: Sequence[Document]) -> TuningJob:
    """A tuning job from DescribeHyperParameterTuningJob and all of ListTrainingJobsForHyperParameterTuningJob."""
    config = description["HyperParameterTuningJobConfig"]
    definitions = _definitions(description)
    stops_early = config.get("TrainingJobEarlyStoppingType") == AUTO_STOPPING or config["Strategy"] == HYPERBAND
    details = description.get("TuningJobCompletionDetails") or {}
    warm_start = description.get("WarmStartConfig") or {}
    return TuningJob(
        name=str(description["HyperParameterTuningJobName"]),
        strategy=str(config["Strategy"]),
        status=str(description["HyperParameterTuningJobStatus"]),
        objective=_objective(config, definitions),
        limits=_limits(config),
        created=description["CreationTime"],
        ended=description.get("HyperParameterTuningEndTime"),
        failure=str(description.get("FailureReason") or ""),
        early_stopping=stops_early,
        warm_start=str(warm_start.get("WarmStartType") or ""),
        parents=tuple(_parents(warm_start)),
        not_improving=details.get("NumberOfTrainingJobsObjectiveNotImproving"),
        converged=details.get("ConvergenceDetectedTime") is not None,
        ranges=tuple(_ranges(config, definitions)),
        fixed=_fixed(definitions),
        trials=_trials(summaries, stops_early=stops_early),
    )


AUTO_STOPPING = "Auto"


def _definitions(description: Document) -> Sequence[Document]:
    """Its training job definitions: one, or the several that a job may search among."""
    one = description.get("TrainingJobDefinition")
    return [one] if one else description.get("TrainingJobDefinitions") or []


def _objective(config: Document, definitions: Sequence[Document]) -> Objective:
    """The objective; where several definitions have their own, the first's."""
    own = [definition["TuningObjective"] for definition in definitions if definition.get("TuningObjective")]
    found = [config["HyperParameterTuningJobObjective"]] if config.get("HyperParameterTuningJobObjective") else own
    return (
        Objective(str(found[0]["MetricName"]), found[0]["Type"] == MAXIMIZE) if found else Objective("objective", True)
    )


def _limits(config: Document) -> Limits:
    given, criteria = config.get("ResourceLimits") or {}, config.get("TuningJobCompletionCriteria") or {}
    convergence = criteria.get("ConvergenceDetected") or {}
    return Limits(
        trials=given.get("MaxNumberOfTrainingJobs"),
        parallel=given.get("MaxParallelTrainingJobs"),
        seconds=given.get("MaxRuntimeInSeconds"),
        target=criteria.get("TargetObjectiveMetricValue"),
        not_improving=(criteria.get("BestObjectiveNotImproving") or {}).get("MaxNumberOfTrainingJobsNotImproving"),
        on_convergence=convergence.get("CompleteOnConvergence") == "Enabled",
    )


def _parents(warm_start: Document) -> Iterator[str]:
    for parent in warm_start.get("ParentHyperParameterTuningJobs") or ():
        if parent.get("HyperParameterTuningJobName"):
            yield str(parent["HyperParameterTuningJobName"])


def _ranges(config: Document, definitions: Sequence[Document]) -> Iterator[Hyperparameter]:
    yield from ranges.of_document(config.get("ParameterRanges") or {})
    for definition in definitions:
        yield from ranges.of_document(definition.get("HyperParameterRanges") or {})


def _fixed(definitions: Sequence[Document]) -> dict[str, str]:
    """The values that don't change, where there is one definition."""
    only = definitions[0] if len(definitions) == 1 else {}
    return {str(name): str(value) for name, value in (only.get("StaticHyperParameters") or {}).items()}


def _trials(summaries: Sequence[Document], *, stops_early: bool) -> tuple[Trial, ...]:
    in_time = sorted(summaries, key=lambda summary: (summary["CreationTime"], summary["TrainingJobName"]))
    found = [_trial(each, place, stops_early=stops_early) for place, each in enumerate(in_time, start=1)]
    return tuple(sorted(found, key=lambda trial: trial.number))


def _trial(summary: Document, place: int, *, stops_early: bool) -> Trial:
    name = str(summary["TrainingJobName"])
    numbered = _NUMBER.search(name)
    return Trial(
        name=name,
        number=int(numbered[1]) if numbered else place,
        status=_status(summary, stops_early=stops_early),
        objective=_final(summary),
        created=summary["CreationTime"],
        started=summary.get("TrainingStartTime"),
        ended=summary.get("TrainingEndTime"),
        values={str(key): str(value) for key, value in (summary.get("TunedHyperParameters") or {}).items()},
        failure=str(summary.get("FailureReason") or ""),
    )


def _status(summary: Document, *, stops_early: bool) -> str:
    """SageMaker tells a trial that it stopped early as `Stopped`, like any other; without a value none was judged."""
    status = summary["TrainingJobStatus"]
    if status == "Stopped":
        return STOPPED_EARLY if stops_early and _final(summary) is not None else STOPPED
    if status == "Completed":
        return COMPLETED if _final(summary) is not None else NO_OBJECTIVE
    return FAILED if status == "Failed" else RUNNING


def _final(summary: Document) -> float | None:
    final = summary.get("FinalHyperParameterTuningJobObjectiveMetric") or {}
    value = final.get("Value")
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
