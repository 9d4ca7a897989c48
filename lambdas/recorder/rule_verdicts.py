"""The verdict of every training rule of a run, for its record: pure functions over what was configured and found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from contract.verdicts import ERROR, EVALUATING, IN_PROGRESS, STOPPED, details, short, storable

Document = dict[str, Any]

_FIELDS = ("name", "rule", "action", "status", "step", "value", "reason", "at")
# What training was cut off from can't be known (DebugRuleEvaluationStatus has this word, too).
_CUT_OFF = {"status": STOPPED, "reason": "training was stopped before it came to a verdict"}
_SILENT = {"status": ERROR, "reason": "it never judged anything: does train.py make a Probe (toolkit.probe)?"}


def rule_verdicts(
    rules: Sequence[Mapping[str, Any]],
    last: Sequence[Mapping[str, Any]],
    issues: Sequence[Mapping[str, Any]],
    *,
    stopped: bool,
) -> list[Document]:
    """Every rule's verdict: what the stopper was told, else what the rule said at last; never silence.

    They are of a length that the run's item bears, and numbers that JSON and DynamoDB don't have (NaN, infinities) are
    text.
    """
    lasts = {str(verdict.get("name")): verdict for verdict in last}
    told = {str(issue["name"]): issue for issue in issues}
    configured = {str(rule["name"]): rule for rule in rules}
    names = list(dict.fromkeys([*configured, *lasts, *told]))
    verdicts = [
        _verdict({**configured.get(name, {}), "name": name}, told.get(name) or lasts.get(name), stopped)
        for name in names
    ]
    return [said(verdict) for verdict in verdicts]


def of_debugger(job: Mapping[str, Any]) -> list[Document]:
    """The last verdicts of the rules that SageMaker Debugger evaluates (DescribeTrainingJob), as open rules leave them.

    It may evaluate on when training has ended (`goes_on`); the open rules never do.
    """
    return [_of_debugger(status) for status in job.get("DebugRuleEvaluationStatuses") or ()]


def said(document: Mapping[str, Any]) -> Document:
    """As much of what lies beside the tensors as a verdict may say."""
    return {field: _kept(field, document[field]) for field in _FIELDS if document.get(field) is not None}


def _verdict(configured: Mapping[str, Any], found: Mapping[str, Any] | None, stopped: bool) -> Document:
    if found is None:
        return {**configured, **(_CUT_OFF if stopped else _SILENT)}
    if found.get("status") == IN_PROGRESS and not found.get("goes_on"):
        return {**configured, **found, **_CUT_OFF}
    return {**configured, **found}


def _of_debugger(status: Mapping[str, Any]) -> Document:
    verdict = {
        "name": status["RuleConfigurationName"],
        "status": status["RuleEvaluationStatus"],
        **details(status.get("StatusDetails")),
    }
    if verdict["status"] in EVALUATING:
        reason = "SageMaker was still evaluating it when the run was recorded"
        return {**verdict, "reason": reason, "goes_on": True}
    return verdict


def _kept(field: str, value: Any) -> Any:
    if field == "reason":
        return short(value)
    return str(value) if isinstance(value, float) and not math.isfinite(value) else storable(value)
