"""A job's Describe document through its life, as pure functions: new documents out of old ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs.job_resource import JobResource
from localaws.sagemaker.jobs.spot_market import QUIET_MARKET, SpotMarket

TERMINAL = frozenset({"Completed", "Failed", "Stopped"})
_MAX_REASON = 1024  # characters of FailureReason (API reference)


def created(kind: JobResource, document: Document, secondary: str, message: str, now: float) -> Document:
    """A new job's document: in progress, with its first secondary status."""
    begun = {**document, kind.status: "InProgress", "CreationTime": now}
    return moved(kind, begun, secondary, message, now)


def moved(kind: JobResource, document: Document, secondary: str, message: str, now: float, **members: Any) -> Document:
    """The document after a secondary status began; `members` are set too."""
    after = {**document, "LastModifiedTime": now, **members}
    if kind.has_secondary_status:
        begun = {"Status": secondary, "StartTime": now, "StatusMessage": message}
        after["SecondaryStatus"] = secondary
        after["SecondaryStatusTransitions"] = [*_closed(document.get("SecondaryStatusTransitions", []), now), begun]
    return after


def stopping(kind: JobResource, document: Document, now: float) -> Document:
    """The document after someone asked the job to stop."""
    return moved(kind, {**document, kind.status: "Stopping"}, "Stopping", f"Stopping the {kind.words}", now)


def ended(
    kind: JobResource, document: Document, ending: Ending, now: float, market: SpotMarket = QUIET_MARKET
) -> Document:
    """The document of a job that is over."""
    message = f"{kind.words.capitalize()} {ending.message}"
    after = moved(kind, document, ending.secondary, message, now, **ending.members)
    after[kind.status] = ending.status
    after[kind.end_time] = now
    if kind.has_secondary_status:
        after["SecondaryStatusTransitions"] = _closed(after["SecondaryStatusTransitions"], now)
    after |= kind.at_end(after, market)
    if ending.reason:
        after["FailureReason"] = shortened(ending.reason)
    return after


@dataclass(frozen=True)
class Ending:
    """How a job ends: status, secondary status and its message (where the kind has them), reason of a failure, further
    members."""

    status: str
    secondary: str
    message: str
    reason: str = ""
    members: Document = field(default_factory=dict)


def completed(**members: Any) -> Ending:
    """The ending of a job whose script ended with exit code 0."""
    return Ending("Completed", "Completed", "completed", members=members)


def failed(reason: str, **members: Any) -> Ending:
    """The ending of a job that went wrong."""
    return Ending("Failed", "Failed", "failed", reason, members)


def stopped(**members: Any) -> Ending:
    """The ending of a job that someone asked to stop."""
    return Ending("Stopped", "Stopped", "stopped", members=members)


def max_runtime_exceeded(seconds: int, **members: Any) -> Ending:
    """The ending by the stopping condition; AWS calls such a job Stopped and keeps what it made."""
    message = f"runtime exceeded MaxRuntimeInSeconds provided ({seconds})"
    return Ending("Stopped", "MaxRuntimeExceeded", message, members=members)


def max_wait_exceeded(**members: Any) -> Ending:
    """The ending of a spot job that wasn't done in time."""
    return Ending("Stopped", "MaxWaitTimeExceeded", "exceeded MaxWaitTimeInSeconds", members=members)


def unless_stopping(kind: JobResource, document: Document, ending: Ending) -> Ending:
    """`ending`, but a job that was asked to stop while it finished is Stopped, not Completed."""
    if document[kind.status] == "Stopping" and ending.status == "Completed":
        return stopped(**ending.members)
    return ending


def shortened(reason: str) -> str:
    """A reason within AWS's limit; the middle goes, since beginning and end say most."""
    if len(reason) <= _MAX_REASON:
        return reason
    gap = " ... "
    head = (_MAX_REASON - len(gap)) // 3
    return reason[:head] + gap + reason[head + len(gap) - _MAX_REASON :]


def _closed(transitions: list[Document], now: float) -> list[Document]:
    if not transitions:
        return []
    return [*transitions[:-1], {"EndTime": now, **transitions[-1]}]
