"""A job's Describe document through its life, as pure functions: new documents out of old ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs.spot_market import QUIET_MARKET, SpotMarket

TERMINAL = frozenset({"Completed", "Failed", "Stopped"})
_WITHOUT_INSTANCE = frozenset({"Starting", "Pending", "Interrupted"})
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


def ended(kind: JobKind, document: Document, ending: Ending, now: float, market: SpotMarket = QUIET_MARKET) -> Document:
    """The document of a job that is over."""
    after = moved(kind, document, ending.secondary, ending.message, now, **ending.members)
    after[kind.status] = ending.status
    after[kind.end_time] = now
    if kind.has_secondary_status:
        after["SecondaryStatusTransitions"] = _closed(after["SecondaryStatusTransitions"], now)
        after |= _duration(after, market)
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


def max_wait_exceeded(**members: Any) -> Ending:
    """A spot job that wasn't done in time."""
    return Ending("Stopped", "MaxWaitTimeExceeded", "Training job exceeded MaxWaitTimeInSeconds", members=members)


def max_wait(document: Document) -> float | None:
    """Seconds that a job has from its creation to its end; None for one that isn't managed spot training."""
    if not document.get("EnableManagedSpotTraining"):
        return None
    return float(document["StoppingCondition"]["MaxWaitTimeInSeconds"])


def seconds_on_instances(document: Document) -> float:
    """Seconds that a training job that is over was on an instance: all but waiting for one."""
    return _seconds(step for step in _transitions(document) if step["Status"] not in _WITHOUT_INSTANCE)


def seconds_trained_before(document: Document) -> float:
    """Seconds that earlier containers of a job trained."""
    return _seconds(step for step in _transitions(document) if step["Status"] == "Training" and "EndTime" in step)


def interruptions(document: Document) -> int:
    """How often a spot job's instance was taken."""
    return sum(step["Status"] == "Interrupted" for step in _transitions(document))


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


def _transitions(document: Document) -> list[Document]:
    transitions: list[Document] = document.get("SecondaryStatusTransitions", [])
    return transitions


def _seconds(steps: Iterable[Document]) -> float:
    return float(sum(step["EndTime"] - step["StartTime"] for step in steps))


def _closed(transitions: list[Document], now: float) -> list[Document]:
    if not transitions:
        return []
    return [*transitions[:-1], {"EndTime": now, **transitions[-1]}]


def _duration(document: Document, market: SpotMarket) -> Document:
    if TRAINING.start_time not in document:
        return {}
    seconds = max(1, round(seconds_on_instances(document)))
    billable = market.billable(seconds) if document.get("EnableManagedSpotTraining") else seconds
    return {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": billable}
