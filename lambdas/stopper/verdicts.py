"""What an event says that rules have found, and whose the job is: pure functions over SageMaker's documents."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from common.rule_status import details

Document = dict[str, Any]

ISSUES_FOUND, ERROR = "IssuesFound", "Error"
ACTIONS = ("stop", "notify", "record")
# The open rules of a job, which judge beside the script, and those that SageMaker Debugger evaluates.
VARIABLES = ("RATCHET_RULES", "RATCHET_MANAGED_RULES")
# `<pipeline>-<run id>-<step>`: other jobs of the account are nobody's business here, and the role may not ask for them.
_NAME = re.compile(r".+-\d{8}-\d{6}-[0-9a-f]{4}-.+")


@dataclass(frozen=True)
class Verdict:
    """What one rule has said of one job: that it has found issues, or that it couldn't judge. Two deliveries of one
    event give equal verdicts."""

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
    """Whose a training job is."""

    environment: str
    pipeline: str
    run_id: str


def is_of_a_run(name: str) -> bool:
    """Whether a job is called as runs call theirs."""
    return _NAME.fullmatch(name) is not None


def run_of(job: Mapping[str, Any]) -> Run | None:
    """The run that made a training job (DescribeTrainingJob); None for a job that no run made."""
    told = [variable(job, f"RATCHET_{name}") for name in ("ENVIRONMENT", "PIPELINE", "RUN_ID")]
    return Run(*told) if all(told) else None


def variable(job: Mapping[str, Any], name: str) -> str:
    """A variable of the job's environment; a value longer than AWS takes goes on in `<name>_1`, `<name>_2`, …"""
    environment = job.get("Environment") or {}
    parts, number = [environment.get(name, "")], 1
    while f"{name}_{number}" in environment:
        parts.append(environment[f"{name}_{number}"])
        number += 1
    return "".join(parts)


def rules_of(job: Mapping[str, Any]) -> dict[str, Document]:
    """The job's rules by the name that events call them: {"rule", "name", "parameters", "action"} each.

    Raises:
        ValueError: RATCHET_RULES (or RATCHET_MANAGED_RULES) isn't what the state machine writes.
    """
    rules: dict[str, Document] = {}
    for name in VARIABLES:
        text = variable(job, name)
        for rule in json.loads(text) if text else []:
            if rule.get("action") not in ACTIONS:
                raise ValueError(f"{name}: {rule.get('name')} has the action {rule.get('action')!r}, not {ACTIONS}")
            rules[rule["name"]] = rule
    return rules


def verdicts(event: Mapping[str, Any], job: Mapping[str, Any]) -> Iterator[Verdict]:
    """What the job's own rules have found or couldn't judge, by an event; what else is in it is left alone."""
    rules = rules_of(job)
    for status in event["detail"].get("DebugRuleEvaluationStatuses") or ():
        configured = rules.get(status.get("RuleConfigurationName", ""))
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
    if isinstance(value, int | float) and value == value and abs(value) != float("inf"):  # noqa: PLR0124 - NaN
        return value
    return json.dumps(value)
