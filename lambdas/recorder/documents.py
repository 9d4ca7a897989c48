"""The documents that the recorder writes: pure functions of what the state machine sends and what was found."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from common import rule_status
from common.state import State

from recorder import spot
from recorder.failures import outcome_of, readable

Document = dict[str, Any]

# Publish, Amazon SNS API reference: fewer than 100 characters, ASCII.
SUBJECT_LENGTH = 99


def outcome(event: Mapping[str, Any]) -> str:
    """What the machine says the run came to, or what its failure means."""
    if event["outcome"]:
        return str(event["outcome"])
    return outcome_of(event["failure"])


def champion(event: Mapping[str, Any], at: str) -> Document:
    """The candidate as the champion that it became."""
    keys = ("run_id", "model_package_arn", "model_data", "image_uri", "score", "metric", "fingerprint")
    kept = {key: event["candidate"][key] for key in keys}
    return {**kept, **event["deployment"], "promoted_at": at}


def run_record(  # noqa: PLR0913 - everything that a record is made of
    event: Mapping[str, Any],
    *,
    begun: Mapping[str, Any],
    state: State,
    evaluation: Mapping[str, Any] | None,
    rules: Sequence[Mapping[str, Any]] = (),
    timings: Mapping[str, float],
    at: str,
) -> Document:
    """The run's item in the run table, and record.json. Fields that a run didn't come to are absent."""
    run, plan = event["run"], event["plan"] or {}
    before, after = plan.get("champion"), state.champion
    record = {
        **begun,
        "run_id": run["run_id"],
        "pipeline": run["pipeline"],
        "outcome": outcome(event),
        "trigger": run["trigger"],
        "forced": plan.get("forced", run["forced"]),
        "ended_at": at,
        "execution_arn": event["execution_arn"],
        "fingerprint": plan.get("fingerprint"),
        "code_hash": plan.get("code_hash"),
        "spec_hash": plan.get("spec_hash"),
        "image_uri": plan.get("image_uri"),
        "data": plan.get("data"),
        "jobs": {state.lower(): name for state, name in event["jobs"].items() if state in timings},
        "rounds": event.get("rounds"),
        "spot": spot.figures(event["training"], event["failure"], event.get("rounds")),
        "evaluation": _without_samples(evaluation),
        "rules": _judged(event, rules, begun) or None,
        "decision": event["decision"],
        "model_package_arn": event["package"],
        "candidate": event["candidate"],
        "deployment": event["deployment"],
        "verification": event["verification"],
        "champion_before": before,
        "champion_after": after,
        "error": readable(event["failure"]) if event["failure"] else None,
        "timings": dict(timings),
    }
    return {name: value for name, value in record.items() if value is not None}


def rule_verdicts(
    rules: Sequence[Mapping[str, Any]],
    last: Sequence[Mapping[str, Any]],
    issues: Sequence[Mapping[str, Any]],
    *,
    stopped: bool,
) -> list[Document]:
    """Every rule's verdict: what the stopper was told, else what the rule said at last; never silence.

    Numbers that JSON and DynamoDB don't have (NaN, infinities) are text.
    """
    said = {str(verdict.get("name")): verdict for verdict in last}
    told = {str(issue["name"]): issue for issue in issues}
    configured = {str(rule["name"]): rule for rule in rules}
    names = list(dict.fromkeys([*configured, *said, *told]))
    verdicts = [
        _verdict({**configured.get(name, {}), "name": name}, told.get(name) or said.get(name), stopped)
        for name in names
    ]
    return [{key: _finite(verdict[key]) for key in _VERDICT if verdict.get(key) is not None} for verdict in verdicts]


_VERDICT = ("name", "rule", "action", "status", "step", "value", "reason", "at")
# What training was cut off from can't be known (DebugRuleEvaluationStatus has this word, too).
_CUT_OFF = {"status": "Stopped", "reason": "training was stopped before it came to a verdict"}
_SILENT = {"status": "Error", "reason": "it never judged anything: does train.py make a Probe (toolkit.probe)?"}


def _verdict(configured: Mapping[str, Any], found: Mapping[str, Any] | None, stopped: bool) -> Document:
    if found is None:
        return {**configured, **(_CUT_OFF if stopped else _SILENT)}
    if found.get("status") == "InProgress" and not found.get("goes_on"):
        return {**configured, **found, **_CUT_OFF}
    return {**configured, **found}


def of_debugger(job: Mapping[str, Any]) -> list[Document]:
    """What the rules that SageMaker Debugger evaluates said at last (DescribeTrainingJob), as the open rules leave it.

    It may evaluate on when training has ended (`goes_on`); the open rules never do.
    """
    return [_of_debugger(status) for status in job.get("DebugRuleEvaluationStatuses") or ()]


def _of_debugger(status: Mapping[str, Any]) -> Document:
    verdict = {
        "name": status["RuleConfigurationName"],
        "status": status["RuleEvaluationStatus"],
        **rule_status.details(status.get("StatusDetails")),
    }
    if verdict["status"] in ("InProgress", "Stopping"):
        reason = "SageMaker was still evaluating it when the run was recorded"
        return {**verdict, "reason": reason, "goes_on": True}
    return verdict


def _finite(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _judged(event: Mapping[str, Any], last: Sequence[Mapping[str, Any]], begun: Mapping[str, Any]) -> list[Document]:
    """The rules' verdicts, of a run that has trained."""
    if not event["training"]:
        return []
    stopped = event["training"].get("status") == "Stopped"
    return rule_verdicts(event.get("rules") or (), last, begun.get("rule_verdicts", ()), stopped=stopped)


def _without_samples(evaluation: Mapping[str, Any] | None) -> Document | None:
    """The held-out examples themselves stay in S3."""
    if evaluation is None:
        return None
    return {name: value for name, value in evaluation.items() if name != "samples"}


def sentence(record: Mapping[str, Any]) -> str:
    """What became of the run, as one would tell a colleague."""
    pipeline, run_id, decision = record["pipeline"], record["run_id"], record.get("decision") or {}
    error = record.get("error")
    sentences = {
        "Promoted": f"has a new champion ({decision.get('reason', 'rolled back to the champion before')})",
        "NotBetter": f"keeps its champion: {decision.get('reason')}",
        "UpToDate": "is up to date: nothing new since the last judgement",
        "RolledBack": "keeps its champion: the deployment was rolled back",
        "Stopped": "keeps its champion: the run was stopped",
        "StoppedByRule": f"keeps its champion: {stopped_by(record)}",
        "Failed": "keeps its champion: the run failed",
    }
    text = f"{pipeline} {sentences[record['outcome']]}"
    if error:
        text += f" ({error['state']}: {error['cause']})"
    return f"{text}. Run {run_id}."


def stopped_by(record: Mapping[str, Any]) -> str:
    """Which rule stopped training, at which step, and why; empty if none did."""
    verdict = record.get("stopped_by")
    if not verdict:
        return ""
    step = "" if verdict.get("step") is None else f" at step {verdict['step']}"
    return f"the rule {verdict['name']} stopped training{step}: {verdict['reason']}"


def notification(record: Mapping[str, Any], record_uri: str) -> Document:
    """Publish's arguments: a sentence for people, the figures for programs, attributes for subscription filters."""
    message = {
        "message": sentence(record),
        "pipeline": record["pipeline"],
        "run_id": record["run_id"],
        "outcome": record["outcome"],
        "trigger": record["trigger"]["kind"],
        "decision": record.get("decision"),
        "stopped_by": record.get("stopped_by"),
        "error": record.get("error"),
        "record": record_uri,
    }
    subject = f"{record['pipeline']}: {record['outcome']}".encode("ascii", "replace").decode()
    attributes = {"pipeline": record["pipeline"], "outcome": record["outcome"], "trigger": record["trigger"]["kind"]}
    return {
        "Subject": subject[:SUBJECT_LENGTH],
        "Message": json.dumps(message, indent=2),
        "MessageAttributes": {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
    }
