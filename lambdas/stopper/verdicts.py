"""Verdicts that an event tells of, and the run whose job it is: pure functions over SageMaker's documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from contract import names
from contract.environment import CANDIDATE, ENVIRONMENT, PIPELINE, RUN_ID, rules
from contract.verdicts import ERROR, ISSUES_FOUND, WORD_LENGTH, details, short, storable

Document = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """One rule's word on one job: that it has found issues, or that it couldn't judge.

    Two deliveries of one event give equal verdicts.
    """

    name: str
    rule: str
    action: str
    status: str
    step: int | None
    value: float | str | None
    reason: str
    at: str | None
    training_job: str

    def document(self) -> Document:
        """As the run table and a message hold it; what isn't known is left out."""
        return {field: value for field, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Run:
    """The run that a training job is of."""

    environment: str
    pipeline: str
    run_id: str


def run_of(job: Mapping[str, Any]) -> Run | None:
    """The run that made a training job (DescribeTrainingJob); None for a job that no run made."""
    environment, pipeline = (environment_of(job).get(name, "") for name in (ENVIRONMENT, PIPELINE))
    # What a tuning job's training jobs are told is the same for all runs; their names say of which they are.
    run_id = environment_of(job).get(RUN_ID) or names.run_of_trial(str(job.get("TrainingJobName")))
    return Run(environment, pipeline, run_id) if environment and pipeline and run_id else None


def environment_of(job: Mapping[str, Any]) -> Mapping[str, str]:
    return job.get("Environment") or {}


def made_by(run: Run, training_job: str) -> bool:
    """Whether a job is called as this run calls its training, in whichever round, or as its trials are called."""
    if not names.is_run_id(run.run_id):
        return False
    if is_trial(training_job):
        return names.tuning_job_of(training_job) == names.tuning_job(run.environment, run.pipeline, run.run_id)
    name = names.job(run.environment, run.pipeline, run.run_id, names.TRAIN_STEP)
    return training_job == name or training_job.startswith(f"{name}-")


def is_trial(training_job: str) -> bool:
    """Whether a tuning job has made it."""
    return names.run_of_trial(training_job) is not None


def is_one_of_several(job: Mapping[str, Any]) -> bool:
    """Whether the run goes on with others when a training job (DescribeTrainingJob) is stopped: it is a trial, or a
    candidate's."""
    return is_trial(str(job.get("TrainingJobName"))) or bool(environment_of(job).get(CANDIDATE))


def verdicts(detail: Any, training_job: str, job: Mapping[str, Any]) -> Iterator[Verdict]:
    """The verdicts of the job's own rules in an event's detail or in the job's own word, of the same shape; whatever
    else it tells is left alone.

    Raises:
        ValueError: the job's environment isn't what the state machine writes.
    """
    known = {rule["name"]: rule for rule in rules(environment_of(job))}
    statuses = detail.get("DebugRuleEvaluationStatuses") if isinstance(detail, Mapping) else None
    for status in statuses if isinstance(statuses, list) else ():
        if not isinstance(status, Mapping):
            continue
        configured = known.get(str(status.get("RuleConfigurationName")))
        if configured and status.get("RuleEvaluationStatus") in (ISSUES_FOUND, ERROR):
            yield _verdict(configured, status, training_job)


def _verdict(configured: Mapping[str, Any], status: Mapping[str, Any], training_job: str) -> Verdict:
    told = details(_string(status.get("StatusDetails")))
    step, at = storable(told.get("step")), told.get("at")
    return Verdict(
        name=configured["name"],
        rule=configured["rule"],
        action=configured["action"],
        status=status["RuleEvaluationStatus"],
        step=step if isinstance(step, int) else None,
        value=storable(told.get("value")),
        reason=short(told.get("reason") or "it gives no reason"),
        at=short(at, WORD_LENGTH) if at else None,
        training_job=training_job,
    )


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None
