"""Outcomes: what a run came to, in a word and in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contract.shadows import AGREES, SHADOW, SKIPPED

RUNNING = "Running"
PROMOTED = "Promoted"
NOT_BETTER = "NotBetter"
UP_TO_DATE = "UpToDate"
WAITS_FOR_DATA = "WaitsForData"
ROLLED_BACK = "RolledBack"
# Of pipelines whose models a person approves: the person said no, nobody said anything, or newer triggers came.
REJECTED = "Rejected"
EXPIRED = "Expired"
SUPERSEDED = "Superseded"
STOPPED = "Stopped"
STOPPED_BY_RULE = "StoppedByRule"
FAILED = "Failed"
# Such a run has done its work; its model may not serve.
NOT_APPROVED = (REJECTED, EXPIRED, SUPERSEDED)
OUTCOMES = (
    PROMOTED,
    NOT_BETTER,
    UP_TO_DATE,
    WAITS_FOR_DATA,
    *NOT_APPROVED,
    ROLLED_BACK,
    STOPPED,
    STOPPED_BY_RULE,
    FAILED,
)
# A run that ended so didn't do what it was started for.
UNSUCCESSFUL = frozenset({FAILED, ROLLED_BACK, STOPPED, STOPPED_BY_RULE})
# Plan found that there was nothing to do: nothing is new, or a channel has no data yet.
IDLE = (UP_TO_DATE, WAITS_FOR_DATA)

# Outcomes of Plan: there is work, there is none (IDLE), or an earlier champion comes back.
WORK, ROLLBACK = "Run", "Rollback"


def sentence(record: Mapping[str, Any]) -> str:
    """The run's end, as one would tell a colleague."""
    decision = record.get("decision") or {}
    why = (record.get("approval") or {}).get("reason") or "no reason is given"
    sentences = {
        PROMOTED: f"has a new champion ({decision.get('reason')})",
        NOT_BETTER: f"keeps its champion: {decision.get('reason')}",
        UP_TO_DATE: f"is up to date: {record.get('reason', 'nothing is new')}",
        WAITS_FOR_DATA: f"waits for data: {record.get('reason', 'a channel is empty')}",
        REJECTED: f"keeps its champion: its new model was rejected ({why})",
        EXPIRED: f"keeps its champion: its new model was not approved in time ({why})",
        SUPERSEDED: f"keeps its champion: its new model is superseded ({why})",
        ROLLED_BACK: "keeps its champion: the deployment was rolled back",
        STOPPED: "keeps its champion: the run was stopped",
        STOPPED_BY_RULE: f"keeps its champion: the rule {stopped_by(record, ' stopped training')}",
        FAILED: "keeps its champion: the run failed",
    }
    text = f"{record['pipeline']} {sentences[record['outcome']]}"
    error = record.get("error")
    if error:
        text += f" ({error['state']}: {error['cause']})"
    more = [put_back(record), shadowed(record), answered(record)]
    return " ".join(filter(None, [f"{text}. Run {record['run_id']}.", *more]))


def put_back(record: Mapping[str, Any]) -> str:
    """What was wrong with the endpoint when the run began, as a sentence; empty if nothing was."""
    return f"Before that, {record['repaired']}: it was put back." if record.get("repaired") else ""


def shadowed(record: Mapping[str, Any]) -> str:
    """What its time as a shadow came to, as a sentence; empty where the error says so, or there was to be none."""
    found = record.get(SHADOW) or {}
    if found.get(SKIPPED):
        return f"It was no shadow before: {found[SKIPPED]}."
    return f"As a shadow before: {found['reason']}." if found.get(AGREES) else ""


def answered(record: Mapping[str, Any]) -> str:
    """What the run's batch came to, as a sentence; empty where it answered none."""
    batch = record.get("batch") or {}
    if "rows" not in batch:
        return ""
    bad = f"; {batch['bad']} of them have no answer" if batch["bad"] else ""
    return f"It answered {batch['rows']} rows of {batch['files']} file{'s' if batch['files'] != 1 else ''}{bad}."


def stopped_by(record: Mapping[str, Any], did: str = "") -> str:
    """The rule that stopped training, the step, and why: `VanishingGradient at step 500: …`; empty if none did.

    did: words between the rule's name and the step.
    """
    verdict = record.get("stopped_by")
    if not isinstance(verdict, Mapping) or not verdict:
        return ""
    step = "" if verdict.get("step") is None else f" at step {verdict['step']}"
    return f"{verdict.get('name', 'a rule')}{did}{step}: {verdict.get('reason', '')}"
