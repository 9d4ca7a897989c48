"""A job's Describe document through its life, as pure functions: new documents out of old ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from localaws.sagemaker.platform import Document

TERMINAL = frozenset({"Completed", "Failed", "Stopped"})
_MAX_REASON = 1024  # characters of FailureReason (API reference)


@dataclass(frozen=True)
class JobKind:
    """What training and processing jobs call the same things.

    kind: as in ARNs and in the store. noun: as in event names. stem: of the members' names.
    """

    kind: str
    noun: str
    stem: str
    log_group: str
    has_secondary_status: bool

    @property
    def name(self) -> str:
        """Member that holds the job's name."""
        return f"{self.stem}Name"

    @property
    def arn(self) -> str:
        """Member that holds the job's ARN."""
        return f"{self.stem}Arn"

    @property
    def status(self) -> str:
        """Member that holds the job's status."""
        return f"{self.stem}Status"

    @property
    def start_time(self) -> str:
        """Member that holds when the job began on its instance."""
        return f"{self.stem.removesuffix('Job')}StartTime"

    @property
    def end_time(self) -> str:
        """Member that holds when it ended."""
        return f"{self.stem.removesuffix('Job')}EndTime"


TRAINING = JobKind("training-job", "Training Job", "TrainingJob", "/aws/sagemaker/TrainingJobs", True)
PROCESSING = JobKind("processing-job", "Processing Job", "ProcessingJob", "/aws/sagemaker/ProcessingJobs", False)
KINDS = (TRAINING, PROCESSING)


def created(kind: JobKind, document: Document, secondary: str, message: str, now: float) -> Document:
    """A new job's document: in progress, with its first secondary status."""
    begun = {**document, kind.status: "InProgress", "CreationTime": now}
    return moved(kind, begun, secondary, message, now)


def moved(kind: JobKind, document: Document, secondary: str, message: str, now: float, **members: Any) -> Document:
    """The document after a secondary status began; `members` are set too."""
    after = {**document, "LastModifiedTime": now, **members}
    if kind.has_secondary_status:
        begun = {"Status": secondary, "StartTime": now, "StatusMessage": message}
        after["SecondaryStatus"] = secondary
        after["SecondaryStatusTransitions"] = [*_closed(document.get("SecondaryStatusTransitions", []), now), begun]
    return after


def stopping(kind: JobKind, document: Document, now: float) -> Document:
    """The document after someone asked the job to stop."""
    return moved(kind, {**document, kind.status: "Stopping"}, "Stopping", "Stopping the training job", now)


def ended(kind: JobKind, document: Document, ending: Ending, now: float) -> Document:
    """The document of a job that is over."""
    after = moved(kind, document, ending.secondary, ending.message, now, **ending.members)
    after[kind.status] = ending.status
    after[kind.end_time] = now
    if kind.has_secondary_status:
        after["SecondaryStatusTransitions"] = _closed(after["SecondaryStatusTransitions"], now)
        after |= _duration(document.get(kind.start_time), now)
    if ending.reason:
        after["FailureReason"] = shortened(ending.reason)
    return after


@dataclass(frozen=True)
class Ending:
    """How a job ends: status, secondary status (training jobs), message, reason of a failure, further members."""

    status: str
    secondary: str
    message: str
    reason: str = ""
    members: Document = field(default_factory=dict)


def completed(**members: Any) -> Ending:
    """The script ended with exit code 0."""
    return Ending("Completed", "Completed", "Training job completed", members=members)


def failed(reason: str, **members: Any) -> Ending:
    """Anything else that isn't a stop."""
    return Ending("Failed", "Failed", "Training job failed", reason, members)


def stopped(**members: Any) -> Ending:
    """Someone asked for it."""
    return Ending("Stopped", "Stopped", "Training job stopped", members=members)


def max_runtime_exceeded(seconds: int, **members: Any) -> Ending:
    """The stopping condition; AWS calls such a job Stopped and keeps what it made."""
    message = f"Training job runtime exceeded MaxRuntimeInSeconds provided ({seconds})"
    return Ending("Stopped", "MaxRuntimeExceeded", message, members=members)


def unless_stopping(kind: JobKind, document: Document, ending: Ending) -> Ending:
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


def _duration(start: float | None, now: float) -> Document:
    if start is None:
        return {}
    seconds = max(1, round(now - start))
    return {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
