"""What a run's spot training came to: pure functions over what the state machine knows of the job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recorder.failures import document_in

Document = dict[str, Any]


def figures(training: Mapping[str, Any] | None, failure: Mapping[str, str] | None) -> Document | None:
    """{"interruptions", "training_seconds", "billable_seconds", "saved"}; None where nothing was trained on spot.

    `saved` is the part of the on-demand price that wasn't paid, from 0 to 1 (DescribeTrainingJob, API reference:
    1 - BillableTimeInSeconds / TrainingTimeInSeconds); absent for a job that never had an instance.
    """
    found = (training or {}).get("spot") or described(document_in(failure["cause"]) if failure else {})
    if not found:
        return None
    trained, billable = found.get("training_seconds"), found.get("billable_seconds")
    saved = {"saved": round(1 - billable / trained, 4)} if trained and billable is not None else {}
    return {**found, **saved}


def described(job: Mapping[str, Any]) -> Document | None:
    """The same of a DescribeTrainingJob answer, which is the cause of a task whose job failed or was stopped."""
    if not job.get("EnableManagedSpotTraining"):
        return None
    transitions = job.get("SecondaryStatusTransitions") or []
    found = {
        "interruptions": sum(step.get("Status") == "Interrupted" for step in transitions),
        "training_seconds": job.get("TrainingTimeInSeconds"),
        "billable_seconds": job.get("BillableTimeInSeconds"),
    }
    return {name: value for name, value in found.items() if value is not None}
