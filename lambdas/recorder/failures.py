"""What went wrong in a run, in words: pure functions over Step Functions' errors and causes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Document = dict[str, Any]

# DynamoDB items have at most 400 KB, and nobody reads more than this.
CAUSE_LENGTH = 4000

_JOBS = {
    "TrainingJobStatus": ("training job", "TrainingJobName", "StopTrainingJob"),
    "ProcessingJobStatus": ("processing job", "ProcessingJobName", "StopProcessingJob"),
}
_STOPPED = ("Stopped", "Stopping")
# A training job that ran into StoppingCondition says so here (API reference, DescribeTrainingJob, SecondaryStatus).
_TIME_LIMITS = ("MaxRuntimeExceeded", "MaxWaitTimeExceeded")


def outcome_of(failure: Mapping[str, str]) -> str:
    """`Stopped` for a job that somebody, or its time limit, stopped; else `Failed`.

    A job that a rule stopped is no failure: the machine says `StoppedByRule` itself.
    """
    job = _job(document_in(failure["cause"]))
    return "Stopped" if job and job[0] in _STOPPED else "Failed"


def readable(failure: Mapping[str, str]) -> Document:
    """{"state", "error", "cause"} with a cause that a person can read, whatever form AWS gave it."""
    parsed = document_in(failure["cause"])
    job = _job(parsed)
    if job:
        cause = _job_sentence(parsed, *job[1:])
    elif "errorMessage" in parsed:
        cause = str(parsed["errorMessage"])
    elif failure["error"] == "States.Timeout":
        cause = failure["cause"] or f"{failure['state']} took longer than its time limit"
    else:
        cause = failure["cause"] or "no cause was given"
    return {"state": failure["state"], "error": failure["error"], "cause": cause[:CAUSE_LENGTH]}


def document_in(cause: str) -> Document:
    """The JSON object in a cause: a .sync task's cause is its job's description, a function's its error."""
    start = cause.find("{")
    if start < 0:
        return {}
    try:
        document, _ = json.JSONDecoder().raw_decode(cause[start:])
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _job(description: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """(status, the field with its status, what it is) of a described job."""
    for field, (kind, _, _) in _JOBS.items():
        if description.get(field):
            return str(description[field]), field, kind
    return None


def _job_sentence(description: Mapping[str, Any], field: str, kind: str) -> str:
    _, name_field, stop = _JOBS[field]
    name, status = description.get(name_field, ""), description[field]
    if status in _STOPPED:
        if description.get("SecondaryStatus") in _TIME_LIMITS:
            return f"{kind} {name} ran into its time limit and was stopped"
        return f"{kind} {name} was stopped ({stop}) before it was done"
    reason = description.get("ExitMessage") or description.get("FailureReason") or "SageMaker gives no reason"
    return f"{kind} {name} {str(status).lower()}: {reason}"
