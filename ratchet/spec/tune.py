"""`tune` of pipeline.yaml: hyperparameters by SageMaker's Automatic Model Tuning, and when a run tunes at all.

What SageMaker would refuse is refused here, when the file is read. Sources: API reference,
CreateHyperParameterTuningJob; developer guide, "How hyperparameter tuning works", "Track and set completion criteria",
"Stop training jobs early", "Run a warm start hyperparameter tuning job".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from contract.names import TUNING_NAME, is_tuning_job
from ratchet.spec import units
from ratchet.spec.errors import checked, refusal
from ratchet.spec.fields import duration
from ratchet.spec.instances import check_one
from ratchet.spec.model import Example, Model
from ratchet.spec.train import Train
from ratchet.spec.tune_ranges import Range, check_ranges

# Service quotas of SageMaker AI for one tuning job, "Training jobs" and "Parallel training jobs"; the latter at most.
MAX_JOBS, MAX_PARALLEL = 750, 100
SHORTEST, LONGEST = 120, 15_768_000
PARENTS = 5
NOT_IMPROVING = 3
MAX_RESOURCE = 20_000
# A static hyperparameter of one of these names is Hyperband's MaxResource (HyperbandStrategyConfig, API reference).
EPOCHS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")

Strategy = Literal["Bayesian", "Random", "Grid", "Hyperband"]
TuningSeconds = Annotated[int, *duration(SHORTEST, LONGEST, what="a tuning job")]
_RUNS = re.compile(r"(\d+) runs?")
_EVERY_PATTERN = r"^(\d+ runs?|(\d+[smhd])+)$"


class Every(Model):
    """How often a run tunes: after so many runs that trained, or so many seconds."""

    runs: int | None = None
    seconds: int | None = None


def _every(value: object) -> Every:
    runs = _RUNS.fullmatch(value.strip()) if isinstance(value, str) else None
    if runs and int(runs[1]) > 0:
        return Every(runs=int(runs[1]))
    if runs or isinstance(value, int | float):
        raise ValueError(f"is {value!r}; write how many runs, 1 at least, or how long, as 10 runs or 30d")
    try:
        seconds = units.seconds(value)
    except ValueError:
        raise ValueError(f"is {value!r}; write how many runs or how long, as 10 runs or 30d") from None
    if not seconds:
        raise ValueError(f"is {value!r}; write a time, as 30d, or `1 run` to tune in every run")
    return Every(seconds=seconds)


class Objective(Model):
    """The metric that tuning is about, as one of `train.metrics`."""

    maximize: Annotated[str | None, Field(description="One of train.metrics, of which more is better")] = None
    minimize: Annotated[str | None, Field(description="One of train.metrics, of which less is better")] = None

    @property
    def metric(self) -> str:
        return self.maximize or self.minimize or ""

    @model_validator(mode="after")
    def _one(self) -> Objective:
        if (self.maximize is None) == (self.minimize is None):
            told = "says neither" if self.maximize is None else "says both"
            raise refusal(f'{told} maximize and minimize; write one of them, as {{maximize: "validation:f1"}}')
        return self


class StopWhen(Model):
    """When a tuning job ends before its last training job; the first that is met ends it."""

    target: Annotated[float | None, Field(description="The objective has reached this value")] = None
    not_improving: Annotated[
        int | None, Field(description="So many training jobs were none better than the best, by 1 % at least")
    ] = None
    converged: Annotated[bool, Field(description="SageMaker finds that no better one is likely")] = False

    @model_validator(mode="after")
    def _possible(self) -> StopWhen:
        if self.not_improving is not None and self.not_improving < NOT_IMPROVING:
            message = (
                f"is {self.not_improving}; SageMaker's MaxNumberOfTrainingJobsNotImproving is at least {NOT_IMPROVING}"
            )
            raise refusal(message, "not_improving")
        if self.target is None and self.not_improving is None and not self.converged:
            raise refusal("says nothing; write target, not_improving or converged: true, or leave it out")
        return self


class Resource(Model):
    """What Hyperband gives a training job, in epochs (metric values): at least `min`, at most `max`."""

    min: int = 1
    max: int | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Resource:
        if self.min < 1:
            raise refusal(f"is {self.min}; Hyperband's MinResource is at least 1", "min")
        if self.max is not None and self.max > MAX_RESOURCE:
            raise refusal(f"is {self.max}; Hyperband's MaxResource is at most {MAX_RESOURCE}", "max")
        if self.max is not None and self.max <= self.min:
            raise refusal(f"is {self.max}, not above min ({self.min}); Hyperband would have nothing to divide", "max")
        return self


class WarmStart(Model):
    """The earlier tuning jobs that a new one learns from: the last of this pipeline's, or these."""

    last: Annotated[
        int | None, Field(description="So many of this pipeline's last tuning jobs, as far as there are")
    ] = None
    jobs: Annotated[Sequence[str], Field(description="Tuning jobs by their names")] = ()
    type: Annotated[
        Literal["TransferLearning", "IdenticalDataAndAlgorithm"],
        Field(description="Identical: only parents of the very same data, code and image; else none are taken"),
    ] = "TransferLearning"

    @model_validator(mode="after")
    def _parents(self) -> WarmStart:
        if (self.last is None) == (not self.jobs):
            told = "says both last and jobs" if self.jobs else "names no parents"
            raise refusal(f"{told}; write last: 2, or jobs: [a-tuning-job]")
        if self.last is not None and not 1 <= self.last <= PARENTS:
            raise refusal(f"is {self.last}; SageMaker takes 1 to {PARENTS} parents", "last")
        if len(self.jobs) > PARENTS:
            raise refusal(f"has {len(self.jobs)} names; SageMaker takes at most {PARENTS} parents", "jobs")
        for index, job in enumerate(self.jobs):
            if not is_tuning_job(job):
                message = f"is {job!r}; a tuning job's name has 1 to {TUNING_NAME} letters, digits and single hyphens"
                raise refusal(message, "jobs", index)
            if job in self.jobs[:index]:
                raise refusal(f"is {job!r} again; SageMaker takes each parent once", "jobs", index)
        return self


class Tune(Model):
    """Tuning by SageMaker. `max_runtime` is in seconds."""

    strategy: Strategy = "Bayesian"
    objective: Annotated[Objective, Example('objective: {maximize: "validation:f1"}')]
    ranges: Annotated[Mapping[str, Range], Example("ranges: {max-depth: {integer: [1, 20]}}")]
    max_jobs: Annotated[int | None, Field(description="Training jobs at most; of Grid all that there are")] = None
    parallel: Annotated[int, Field(description="Training jobs at a time")] = 1
    max_runtime: Annotated[TuningSeconds | None, Field(description="After that the tuning job ends")] = None
    seed: Annotated[int | None, Field(description="The same seed, data and code try the same values again")] = None
    early_stopping: Annotated[
        bool, Field(description="Stop a training job that is worse than the median of those before it")
    ] = False
    stop_when: StopWhen | None = None
    resource: Annotated[Resource | None, Field(description="Hyperband's, in epochs")] = None
    warm_start: WarmStart | None = None
    refine: Annotated[bool, Field(description="Narrow the ranges to the parents' best region")] = False
    first_run: Annotated[
        bool,
        Field(description="Whether a run tunes while nothing is known; else train.py's own values hold"),
    ] = True
    every: Annotated[
        Every | None,
        BeforeValidator(checked(_every)),
        WithJsonSchema({"type": "string", "pattern": _EVERY_PATTERN, "examples": ["10 runs", "30d"]}),
        Field(description="How often a run tunes; the runs between train with the champion's hyperparameters"),
    ] = None
    on: Annotated[Literal["drift"] | None, Field(description="A run that a drift trigger started tunes")] = None

    @model_validator(mode="before")
    @classmethod
    def _on_is_a_name(cls, data: Any) -> Any:
        """YAML reads the bare key `on` as true."""
        if not isinstance(data, dict) or True not in data:
            return data
        return {"on" if name is True else name: value for name, value in data.items()}

    @model_validator(mode="after")
    def _limits(self) -> Tune:
        if self.seed is not None and self.seed < 0:
            raise refusal(f"is {self.seed}; SageMaker's RandomSeed is at least 0", "seed")
        _check_jobs(self)
        _check_strategy(self)
        if self.warm_start and self.strategy not in ("Bayesian", "Random"):
            message = f"is said, but the strategy is {self.strategy}; SageMaker warm starts Bayesian and Random only"
            raise refusal(message, "warm_start")
        if self.refine and not self.warm_start:
            raise refusal("is true, but there are no parents to learn from; write warm_start: {last: 1}", "refine")
        return self


def _check_jobs(tune: Tune) -> None:
    if tune.max_jobs is None and tune.strategy != "Grid":
        raise refusal("is required; write max_jobs: 50", "max_jobs")
    if tune.max_jobs is not None and not 1 <= tune.max_jobs <= MAX_JOBS:
        raise refusal(f"is {tune.max_jobs}; SageMaker takes 1 to {MAX_JOBS} training jobs a tuning job", "max_jobs")
    if not 1 <= tune.parallel <= MAX_PARALLEL:
        raise refusal(f"is {tune.parallel}; SageMaker takes 1 to {MAX_PARALLEL} training jobs at a time", "parallel")
    if tune.max_jobs is not None and tune.parallel > tune.max_jobs:
        message = (
            f"is {tune.parallel}, more than max_jobs ({tune.max_jobs}); SageMaker wants no more at a time than in all"
        )
        raise refusal(message, "parallel")


def _check_strategy(tune: Tune) -> None:
    if tune.resource and tune.strategy != "Hyperband":
        raise refusal(f"is said, but the strategy is {tune.strategy}; only Hyperband divides one", "resource")
    if tune.strategy == "Hyperband" and tune.early_stopping:
        message = "is true, but Hyperband stops training jobs itself; SageMaker takes it without early stopping only"
        raise refusal(message, "early_stopping")
    if tune.strategy == "Grid":
        _check_grid(tune)


def _check_grid(tune: Tune) -> None:
    """Grid tries each combination of categories once."""
    for name, one in tune.ranges.items():
        if one.kind != "categorical":
            message = f"is {one.kind}, but the strategy is Grid, for which SageMaker takes categorical ranges only"
            raise refusal(message, "ranges", name)
    product = math.prod(len(one.categorical or ()) for one in tune.ranges.values())
    if product > MAX_JOBS:
        message = f"have {product} combinations; SageMaker takes {MAX_JOBS} training jobs a tuning job at most"
        raise refusal(message, "ranges")
    if tune.max_jobs is not None and tune.max_jobs != product:
        message = (
            f"is {tune.max_jobs}, but the ranges have {product} combinations; SageMaker takes for Grid that number or "
            "none: leave it out"
        )
        raise refusal(message, "max_jobs")


def check_tune(tune: Tune | None, train: Train, *, rounds: bool, managed_rules: bool) -> None:
    """Raises a refusal where tuning doesn't go with the rest of the file."""
    if tune is None:
        return
    check_ranges(tune.ranges, train.hyperparameters)
    check_one(train.instance, "tune is said, whose trials SageMaker starts by itself", "train")
    _check_objective(tune.objective, train.metrics)
    _check_resource(tune, train.hyperparameters)
    if rounds:
        raise refusal("is said, and rounds too; a run trains by one of them: leave one out", "tune")
    if managed_rules:
        message = "is sagemaker, but a tuning job's training jobs take no SageMaker Debugger; write rules_service: open"
        raise refusal(message, "rules_service")


def _check_objective(objective: Objective, metrics: Mapping[str, str]) -> None:
    if objective.metric not in metrics:
        known = f"they are {', '.join(sorted(metrics))}" if metrics else "there are none"
        message = (
            f"is {objective.metric!r}, which isn't one of train.metrics ({known}); SageMaker reads the objective from "
            "the log by its regular expression"
        )
        raise refusal(message, "tune", "objective", "maximize" if objective.maximize is not None else "minimize")


def _check_resource(tune: Tune, static: Mapping[str, str]) -> None:
    """Hyperband's MaxResource is said, or is a static number of epochs."""
    if tune.strategy != "Hyperband" or (tune.resource and tune.resource.max):
        return
    said = next((name for name in EPOCHS if name in static), None)
    if said is None:
        message = (
            "is Hyperband, whose MaxResource isn't known; write resource: {max: 81}, or the number of epochs as "
            f"train.hyperparameters {' or '.join(EPOCHS)}"
        )
        raise refusal(message, "tune", "strategy")
    least = tune.resource.min if tune.resource else 1
    if not static[said].isdecimal() or not least < int(static[said]) <= MAX_RESOURCE:
        message = (
            f"is {static[said]!r}, Hyperband's MaxResource; it must be a whole number above {least}, at most "
            f"{MAX_RESOURCE}: mend it, or write tune.resource: {{max: 81}}"
        )
        raise refusal(message, "train", "hyperparameters", said)
