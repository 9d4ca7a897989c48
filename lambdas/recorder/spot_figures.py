"""Figures of a run's managed spot training: pure functions over what the state machine knows of the jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from contract.causes import document_in

Document = dict[str, Any]


def figures(
    training: Mapping[str, Any] | None,
    failure: Mapping[str, str] | None,
    rounds: Mapping[str, Any] | None = None,
) -> Document | None:
    """{"interruptions", "training_seconds", "billable_seconds", "saved"} of all the run's training jobs together.

    None where nothing was trained on spot. `saved` is the part of the on-demand price that wasn't paid, from 0 to 1
    (DescribeTrainingJob, API reference: 1 - BillableTimeInSeconds / TrainingTimeInSeconds); absent, like the seconds,
    where no job ever had an instance.
    """
    found = list(_by_job(training or {}, failure, (rounds or {}).get("rows") or ()).values())
    if not found:
        return None
    total: Document = {}
    for name in ("interruptions", "training_seconds", "billable_seconds"):
        known = [job[name] for job in found if job.get(name) is not None]
        if known:
            total[name] = sum(known)
    trained, billable = total.get("training_seconds"), total.get("billable_seconds")
    saved = {"saved": round(1 - billable / trained, 4)} if trained and billable is not None else {}
    return {**total, **saved}


def _by_job(
    training: Mapping[str, Any], failure: Mapping[str, str] | None, rows: Iterable[Mapping[str, Any]]
) -> dict[str, Document]:
    """The figures of each job once: of rounds that ended, the last job that did, and one that failed."""
    failed = document_in(failure["cause"]) if failure else {}
    last = (training.get("description") or {}).get("TrainingJobName", "")
    jobs = {str(row.get("job")): row.get("spot") for row in rows}
    jobs[str(last)] = training.get("spot")
    if failed_on_spot := described(failed):
        jobs[str(failed.get("TrainingJobName", ""))] = failed_on_spot
    return {job: spot for job, spot in jobs.items() if spot}


def described(job: Mapping[str, Any]) -> Document | None:
    """The figures of a DescribeTrainingJob answer, the cause of a task whose job failed or was stopped."""
    if not job.get("EnableManagedSpotTraining"):
        return None
    transitions = job.get("SecondaryStatusTransitions") or []
    found = {
        "interruptions": sum(step.get("Status") == "Interrupted" for step in transitions),
        "training_seconds": job.get("TrainingTimeInSeconds"),
        "billable_seconds": job.get("BillableTimeInSeconds"),
    }
    return {name: value for name, value in found.items() if value is not None}
