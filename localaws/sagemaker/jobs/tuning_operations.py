"""The operations of tuning jobs that differ from other kinds': what is told of one, what goes with one."""

from __future__ import annotations

from localaws.sagemaker.core import listing
from localaws.sagemaker.core.request import Caller, Document
from localaws.sagemaker.jobs import operations, tuning_documents
from localaws.sagemaker.jobs.engine import JobEngine
from localaws.sagemaker.jobs.kind import JobKind
from localaws.sagemaker.jobs.tuning_trials import CURVES, of_tuning_job

_SORTED_BY_VALUE = "FinalObjectiveMetricValue"


def describe(kind: JobKind, engine: JobEngine, request: Document, _caller: Caller) -> Document:
    """The tuning job's document, with the seconds that it has run so far."""
    document = operations.find(kind, engine, request[kind.name])
    until = document.get(kind.end_time, engine.context.clock.now())
    return {**document, "ConsumedResources": {"RuntimeInSeconds": round(until - document["CreationTime"])}}


def list_(kind: JobKind, engine: JobEngine, request: Document, _caller: Caller) -> Document:
    """A page of tuning jobs, by name unless the request says otherwise."""
    documents = [_with_summary(document) for document in engine.context.store.list(kind.resource_type)]
    asked = {"SortBy": "Name", "SortOrder": "Ascending", **request}
    found, more = listing.page(asked, documents, name=kind.name, status=kind.status)
    return {"HyperParameterTuningJobSummaries": [listing.summary(each, kind.summary) for each in found], **more}


def delete(kind: JobKind, engine: JobEngine, request: Document, caller: Caller) -> Document:
    """Remove a tuning job that is over; its training jobs stay, as does all that they made."""
    document = engine.context.store.get(kind.resource_type, request[kind.name])
    jobs = [] if document is None else of_tuning_job(engine, document)
    answer = operations.delete(kind, engine, request, caller)
    for job in jobs:
        engine.context.store.delete(CURVES, job["TrainingJobName"])
    return answer


def list_training_jobs(kind: JobKind, engine: JobEngine, request: Document, _caller: Caller) -> Document:
    """A page of a tuning job's training jobs, by name unless the request says otherwise."""
    document = operations.find(kind, engine, request[kind.name])
    wanted = request.get("StatusEquals")
    jobs = [job for job in of_tuning_job(engine, document) if wanted in (None, job["TrainingJobStatus"])]
    by = request.get("SortBy", "Name")
    if by == _SORTED_BY_VALUE:
        jobs = [job for job in jobs if tuning_documents.final_value(job) is not None]
        jobs.sort(key=lambda job: tuning_documents.final_value(job) or 0.0)
    else:
        member = {"Name": "TrainingJobName", "Status": "TrainingJobStatus"}.get(by, "CreationTime")
        jobs.sort(key=lambda job: (job[member], job["TrainingJobName"]))
    if request.get("SortOrder") == "Descending":
        jobs.reverse()
    found, more = listing.cut(request, jobs)
    return {"TrainingJobSummaries": [tuning_documents.summary(document, job) for job in found], **more}


def _with_summary(document: Document) -> Document:
    config = document["HyperParameterTuningJobConfig"]
    return {**document, "Strategy": config["Strategy"], "ResourceLimits": config["ResourceLimits"]}
