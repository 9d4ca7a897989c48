"""A training job's times, read off its document: on instances, trained before, waited and billed. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable

from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs.spot_market import SpotMarket

_WITHOUT_INSTANCE = frozenset({"Starting", "Pending", "Interrupted"})


def max_wait(document: Document) -> float | None:
    """Seconds that a job has from its creation to its end; None for one that isn't managed spot training."""
    if not document.get("EnableManagedSpotTraining"):
        return None
    return float(document["StoppingCondition"]["MaxWaitTimeInSeconds"])


def left_to_wait(document: Document, now: float) -> float:
    """Seconds until MaxWaitTimeInSeconds have passed since the job was made; infinite where it isn't spot."""
    seconds = max_wait(document)
    return math.inf if seconds is None else float(document["CreationTime"]) + seconds - now


def left_to_train(document: Document, now: float) -> float:
    """Seconds of MaxRuntimeInSeconds that are left over, while the job trains or before."""
    max_runtime = float(document["StoppingCondition"]["MaxRuntimeInSeconds"])
    begun = (step for step in _transitions(document) if step["Status"] == "Training" and "EndTime" not in step)
    trained = seconds_trained_before(document) + _seconds({**step, "EndTime": now} for step in begun)
    return max(0.0, max_runtime - trained)


def seconds_on_instances(document: Document) -> float:
    """Seconds that a job that is over was on an instance: all but waiting for one."""
    return _seconds(step for step in _transitions(document) if step["Status"] not in _WITHOUT_INSTANCE)


def seconds_trained_before(document: Document) -> float:
    """Seconds that earlier containers of a job trained."""
    return _seconds(step for step in _transitions(document) if step["Status"] == "Training" and "EndTime" in step)


def interruptions(document: Document) -> int:
    """How often a spot job's instance was taken."""
    return sum(step["Status"] == "Interrupted" for step in _transitions(document))


def billed(document: Document, market: SpotMarket) -> Document:
    """TrainingTimeInSeconds and BillableTimeInSeconds of a job that is over; neither if it never had an instance."""
    if "TrainingStartTime" not in document:
        return {}
    seconds = max(1, round(seconds_on_instances(document)))
    billable = market.billable(seconds) if document.get("EnableManagedSpotTraining") else seconds
    return {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": billable}


def _transitions(document: Document) -> list[Document]:
    transitions: list[Document] = document.get("SecondaryStatusTransitions", [])
    return transitions


def _seconds(steps: Iterable[Document]) -> float:
    return float(sum(step["EndTime"] - step["StartTime"] for step in steps))
