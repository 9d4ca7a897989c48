"""What became of a transform job that hasn't answered: whose fault it was, and what the container said, as a sentence.

A job that fails says "See job logs for more information"; which file it was, with which status and message, stands in
its data log, a line each: `<time>:[sagemaker logs]: <bucket>/<key>: Bad HTTP status received from algorithm: 500`.
What a container says that doesn't come up stands in its own log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from contract import causes, refusals

# Of a container's words, and of a Python traceback only what it ends with.
WORDS = 400
_SAID = re.compile(r"^\S*\[sagemaker logs\]: (?P<place>\S+?/\S+?): ?(?P<text>.*)$")
_STATUS = re.compile(r"(?:Bad HTTP status received from algorithm|ClientError): (?P<status>\d{3})")
# The work was never begun, or was ended from outside: that says nothing of the model.
_NOT_ITS_OWN = (refusals.NO_CAPACITY, "InternalServerError", "Data download failed", "Output upload failed")
# Of a call that hasn't made a job: another time it may.
_PASSES = ("LimitExceeded", "States.Timeout", "InternalFailure", *refusals.THROTTLED)

Index = Sequence[Mapping[str, Any]]


def description(answered: Mapping[str, Any]) -> dict[str, Any]:
    """The transform job as SageMaker describes it, in the task's result or its error's cause; empty without a job."""
    wrong = answered.get("wrong") or {}
    return dict(answered.get("description") or causes.document_in(wrong.get("cause") or ""))


def is_answered(answered: Mapping[str, Any]) -> bool:
    return not answered.get("wrong") and description(answered).get("TransformJobStatus") == "Completed"


def is_of_the_model(answered: Mapping[str, Any], *, is_champion: bool = False) -> bool:
    """Whether it is the model that doesn't answer: its container doesn't, or its image or archive isn't there any more.

    Not where somebody stopped the job, there are no instances, or a permission lacks. What of these is said of a
    champion alone is its own, too: it may be in a repository that this pipeline has left.
    """
    described, wrong = description(answered), answered.get("wrong") or {}
    if not described and is_champion:
        return not any(word in f"{wrong.get('error')} {wrong.get('cause')}" for word in _PASSES)
    if not described:
        return refusals.says_missing(wrong.get("cause"))
    failed = described.get("TransformJobStatus") == "Failed"
    return failed and not any(word in _reason(answered) for word in _NOT_ITS_OWN)


def failure(answered: Mapping[str, Any]) -> dict[str, str]:
    """{"error", "cause"} of a job that was ended from outside, as Step Functions says it of other jobs."""
    wrong = answered.get("wrong")
    if wrong:
        return {"error": str(wrong["error"]), "cause": str(wrong.get("cause") or "")}
    return {"error": "JobNotCompleted", "cause": json.dumps(description(answered))}


def sentence(
    model: str, answered: Mapping[str, Any], data_log: Sequence[str], own_log: Sequence[str], index: Index
) -> str:
    """Why a model, `challenger` or `champion`, has no answers.

    Args:
        data_log: the lines of the job's data log.
        own_log: the last lines that its container has said.
        index: the parts that it was asked (asker.rows.Part.told).
    """
    place, lines = _first_complaint(data_log)
    rows = _rows(place, index)
    status = _STATUS.search(lines[0]) if lines else None
    what = f"its container answered {status['status']}" if status else (lines or [_reason(answered)])[0]
    said, logged = _message(lines), _last(own_log)
    told = f": {said}" if said else f"; its log says: {logged}" if logged else ""
    return f"the {model} can't answer{rows}: {what}{told}"


def _first_complaint(data_log: Sequence[str]) -> tuple[str | None, list[str]]:
    """The first file that wasn't answered, and all that is said of it."""
    found = [match for line in data_log if (match := _SAID.match(line))]
    if not found:
        return None, []
    place = found[0]["place"]
    return place, [match["text"] for match in found if match["place"] == place]


def _message(lines: Sequence[str]) -> str:
    """What the container's answer said: behind `Message:`, of a traceback what was raised. A page of a web server's
    says nothing but the status."""
    said = [line.strip() for line in lines[lines.index("Message:") + 1 :]] if "Message:" in lines else []
    told = [line for line in said if line]
    if not told or told[0].startswith("<"):
        return ""
    return (causes.raised(told) or told[0])[:WORDS]


def _last(own_log: Sequence[str]) -> str:
    """What a container's log says of it: what was raised last, else the last line."""
    lines = [line.strip() for line in own_log if line.strip()]
    return (causes.raised(lines) or lines[-1])[:WORDS] if lines else ""


def _rows(place: str | None, index: Index) -> str:
    """` a.csv:1 to a.csv:500`, of the part whose key a place ends with; nothing where that isn't known."""
    part = next((each for each in index if place and place.endswith(f"/{each['name']}")), None)
    if part is None:
        return ""
    return f" {part['first']}" if part["rows"] == 1 else f" {part['first']} to {part['last']} ({part['rows']} rows)"


def _reason(answered: Mapping[str, Any]) -> str:
    wrong = answered.get("wrong") or {}
    found = description(answered).get("FailureReason") or causes.reason(wrong.get("cause")) or wrong.get("error")
    return str(found or "SageMaker gives no reason")
