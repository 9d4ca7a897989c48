"""Failures of a run in words: what Step Functions gives as error and cause, read for people.

A `.sync` task's cause is its job's description as JSON, a function's is its error as JSON, other causes are sentences.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from contract import outcomes, refusals

# DynamoDB items have at most 400 KB, and nobody reads more than this.
CAUSE_LENGTH = 4000

_JOBS = {
    "TrainingJobStatus": ("training job", "TrainingJobName", "StopTrainingJob"),
    "ProcessingJobStatus": ("processing job", "ProcessingJobName", "StopProcessingJob"),
    "TransformJobStatus": ("transform job", "TransformJobName", "StopTransformJob"),
    "HyperParameterTuningJobStatus": (
        "tuning job",
        "HyperParameterTuningJobName",
        "StopHyperParameterTuningJob",
    ),
}
_STOPPED = ("Stopped", "Stopping")
# A training job that ran into StoppingCondition says so here (API reference, DescribeTrainingJob, SecondaryStatus).
TIME_LIMITS = ("MaxRuntimeExceeded", "MaxWaitTimeExceeded")
_TOLD = ("FailureReason", "ExitMessage", "errorMessage")

# A script's failure comes with the end of what it printed (SageMaker Training Toolkit, errors: ExecuteUserScriptError,
# ExitCode, ErrorMessage, Command), among which is what it raised, or what pip couldn't do, and much that is neither.
_RAISED = re.compile(r"(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt|Warning)\b(?::.*)?$")
_COMPLAINT = re.compile(r"(?i:error|fatal)\b")
# That a program which it called had failed says less than what that program said.
_TELLS_NOTHING = re.compile(
    r"\[notice\]|WARNING|ExitCode |Command |Traceback \(|File \"|\^|.*ExecuteUserScriptError:?$|\S*CalledProcessError"
)
_SCRIPTS_WORDS = 'ErrorMessage "'
# XGBoost's image says only this and the command (sagemaker-containers, _errors.py); scikit-learn's has no message.
_SCRIPTS_ERROR = "ExecuteUserScriptError"
_AROUND = re.compile(r"^ErrorMessage \"|\"?, exit code: -?\d+$|\"$")


def outcome_of(failure: Mapping[str, str]) -> str:
    """`Stopped` for a job that somebody, or its time limit, stopped; else `Failed`.

    A job that a rule stopped is no failure: the machine says `StoppedByRule` itself.
    """
    job = _job(document_in(failure["cause"]))
    return outcomes.STOPPED if job and job[0] in _STOPPED else outcomes.FAILED


def readable(failure: Mapping[str, str]) -> dict[str, Any]:
    """{"state", "error", "cause"} with a cause that a person can read, whatever form AWS gave it."""
    parsed = document_in(failure["cause"])
    job = _job(parsed)
    if job:
        cause = _job_sentence(parsed, *job[1:])
    elif "errorMessage" in parsed:
        cause = str(parsed["errorMessage"])
    elif quota := refusals.too_small_a_quota(failure["cause"]):
        cause = f"{quota}. SageMaker says: {failure['cause']}"
    elif failure["error"] == "States.Timeout":
        cause = failure["cause"] or f"{failure['state']} took longer than its time limit"
    else:
        cause = failure["cause"] or "no cause was given"
    return {"state": failure["state"], "error": failure["error"], "cause": cause[:CAUSE_LENGTH]}


def reason(cause: str | None) -> str:
    """The reason inside a cause, with the words before its JSON; the cause itself where it holds none."""
    text = cause or ""
    described = document_in(text)
    told = next((str(described[name]) for name in _TOLD if described.get(name)), None)
    return text if told is None else text.partition("{")[0] + told


def gist(text: str) -> str:
    """The one line of a cause that says what was wrong: what a script raised, else what a tool complained of.

    A cause of one line is that line. Of a script's last words it is neither the first, nor pip's notices.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        return "".join(lines)
    words = [_AROUND.sub("", line) for line in lines]
    telling = [line for line in words if line and not _TELLS_NOTHING.match(line)]
    for pattern in (_RAISED, _COMPLAINT):
        if found := [line for line in telling if pattern.match(line)]:
            return found[-1]
    # What a script says before it exits it says last; elsewhere the first line is the sentence.
    is_script = any(line.startswith(_SCRIPTS_WORDS) or _SCRIPTS_ERROR in line for line in lines)
    if is_script and not telling:
        code = next((f" with {line}" for line in words if line.startswith("ExitCode ")), "")
        return f"the script ended{code}; what it said is in the job's log"
    return (telling or lines)[-1 if is_script else 0]


def raised(lines: Sequence[str]) -> str | None:
    """What was raised last in a log, as Python prints an exception; None where nothing was."""
    found = [line.strip() for line in lines if _RAISED.match(line.strip())]
    return found[-1] if found else None


def document_in(cause: str) -> dict[str, Any]:
    """The JSON object in a cause; empty where there is none."""
    start = cause.find("{")
    if start < 0:
        return {}
    try:
        document, _ = json.JSONDecoder().raw_decode(cause[start:])
    except (ValueError, RecursionError):
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
        if description.get("SecondaryStatus") in TIME_LIMITS:
            return f"{kind} {name} ran into its time limit and was stopped"
        return f"{kind} {name} was stopped ({stop}) before it was done"
    reason = description.get("ExitMessage") or description.get("FailureReason") or "SageMaker gives no reason"
    return f"{kind} {name} {str(status).lower()}: {reason}"
