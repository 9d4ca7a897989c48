"""Verdicts that an event tells of, and the run whose job it is: pure functions over SageMaker's documents."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from contract.environment import ENVIRONMENT, PIPELINE, RUN_ID, rules
from contract.verdicts import ERROR, ISSUES_FOUND, details

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
    told = [environment_of(job).get(name, "") for name in (ENVIRONMENT, PIPELINE, RUN_ID)]
    return Run(*told) if all(told) else None


def environment_of(job: Mapping[str, Any]) -> Mapping[str, str]:
    return job.get("Environment") or {}


def verdicts(event: Mapping[str, Any], job: Mapping[str, Any]) -> Iterator[Verdict]:
    """The verdicts in an event that are of the job's own rules; whatever else it tells is left alone.

    Raises:
        ValueError: the job's environment isn't what the state machine writes.
    """
    known = {rule["name"]: rule for rule in rules(environment_of(job))}
    for status in event["detail"].get("DebugRuleEvaluationStatuses") or ():
        configured = known.get(status.get("RuleConfigurationName", ""))
        if configured and status.get("RuleEvaluationStatus") in (ISSUES_FOUND, ERROR):
            yield _verdict(configured, status, event["detail"]["TrainingJobName"])


def _verdict(configured: Mapping[str, Any], status: Mapping[str, Any], training_job: str) -> Verdict:
    told = details(status.get("StatusDetails"))
    return Verdict(
        name=configured["name"],
        rule=configured["rule"],
        action=configured["action"],
        status=status["RuleEvaluationStatus"],
        step=told.get("step"),
        value=_value(told.get("value")),
        reason=str(told.get("reason") or "it gives no reason"),
        at=told.get("at"),
        training_job=training_job,
    )


def _value(value: Any) -> float | str | None:
    """DynamoDB has no number for NaN and infinity, which a rule may well have seen."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float) and math.isfinite(value):
        return value
    return json.dumps(value)
