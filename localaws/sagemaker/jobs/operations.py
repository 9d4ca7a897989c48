"""Create, Describe, List, Stop and Delete, which all kinds of jobs answer alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from localaws.sagemaker.core import errors, listing, quotas, tags
from localaws.sagemaker.core.request import Caller, Document, Handler
from localaws.sagemaker.jobs import job_documents, job_records
from localaws.sagemaker.jobs.engine import JobEngine
from localaws.sagemaker.jobs.job import Role
from localaws.sagemaker.jobs.job_documents import TERMINAL
from localaws.sagemaker.jobs.kind import JobKind
from localaws.sagemaker.jobs.led_job import LedJob

# What is done to a job before the engine has it.
Preparation = Callable[[LedJob], None]


@dataclass(frozen=True)
class Accepted:
    """A job that may begin: its document but for its status, its containers' role if it has any, its tags by key."""

    document: Document
    role: Role | None
    labels: dict[str, str]


def handlers(kind: JobKind, engine: JobEngine) -> dict[str, Handler]:
    """Operation name to handler."""
    return {name: partial(operation, kind, engine) for name, operation in kind.operations.items()}


def create(kind: JobKind, engine: JobEngine, request: Document, caller: Caller) -> Document:
    """Accept a job, write it down and hand it to the engine."""
    context, name = engine.context, request[kind.name]
    arn = context.arn(kind.resource_type, name)
    if context.store.get(kind.resource_type, name) is not None:
        raise _taken(kind, arn)
    labels = tags.as_map(request.get("Tags"))
    accepted, role = kind.accept(context, request, caller)
    try:
        _require_instances(kind, engine, accepted)
        begin(kind, engine, Accepted(accepted, role, labels))
    except errors.SageMakerError:
        if role is not None:
            role.objects.close()
        raise
    return {kind.arn: arn}


def begin(kind: JobKind, engine: JobEngine, accepted: Accepted, prepare: Preparation = lambda _job: None) -> Document:
    """Write a job down, `prepare` it and hand it to the engine; its document.

    Raises SageMakerError for a taken name.
    """
    context, name, arn = engine.context, accepted.document[kind.name], accepted.document[kind.arn]
    now = context.clock.now()
    document = job_documents.created(kind, accepted.document, *first_status(kind, engine), now)
    with context.store.transaction():
        document = kind.retention.claim(context.store, document, now)
        if not context.store.create(kind.resource_type, name, document):
            raise _taken(kind, arn)
        context.store.add_tags(arn, accepted.labels)
    job_records.announce(context, kind, document)
    job = kind.job(document, accepted.role, context)
    prepare(job)
    engine.submit(job, kind.run)
    return document


def describe(kind: JobKind, engine: JobEngine, request: Document, _caller: Caller) -> Document:
    """The job's document."""
    return kind.retention.seen(find(kind, engine, request[kind.name]), engine.context.clock.now())


def list_(kind: JobKind, engine: JobEngine, request: Document, _caller: Caller) -> Document:
    """A page of summaries."""
    now = engine.context.clock.now()
    documents = [kind.retention.seen(each, now) for each in engine.context.store.list(kind.resource_type)]
    found, more = listing.page(request, documents, name=kind.name, status=kind.status)
    return {f"{kind.stem}Summaries": [listing.summary(document, kind.summary) for document in found], **more}


def stop(kind: JobKind, engine: JobEngine, request: Document, _caller: Caller) -> Document:
    """Write down that the job is Stopping, and stop it."""
    name = request[kind.name]
    if find(kind, engine, name)[kind.status] != "Stopping":
        job_records.update(engine.context, kind, name, lambda before: _stopping(kind, engine, before))
        engine.stop(kind, name)
    return {}


def delete(kind: JobKind, engine: JobEngine, request: Document, _caller: Caller) -> Document:
    """Remove a job that is over."""
    context, name = engine.context, request[kind.name]
    with context.store.transaction():
        document = context.store.get(kind.resource_type, name)
        if document is None:
            raise errors.resource_not_found(kind.not_found.format(name=name))
        if document[kind.status] not in TERMINAL:
            raise errors.resource_in_use(
                f"The {kind.words} {name} is in status {document[kind.status]}; stop it first."
            )
        kept = kind.retention.kept(context.store, {}, context.clock.now())
        if any(each[kind.name] == name for each in kept):
            raise errors.resource_in_use(f"The {kind.words} {name} retains an Available warm pool; end it first.")
        context.store.delete(kind.resource_type, name)
        context.store.delete_tags(document[kind.arn])
    context.changes.announce(kind.resource_type, name)
    return {}


def _require_instances(kind: JobKind, engine: JobEngine, accepted: Document) -> None:
    """A request beyond a quota is refused, as is one that jobs which aren't over, or kept instances, leave no room."""
    context = engine.context
    if context.quotas:
        having = kind.instances_of or kind
        held = [each for each in context.store.list(having.resource_type) if each[having.status] not in TERMINAL]
        held += having.retention.kept(context.store, accepted, context.clock.now())
        quotas.require(context.quotas, [kind.instances(accepted)], map(having.instances, held))


def first_status(kind: JobKind, engine: JobEngine) -> tuple[str, str]:
    """Secondary status and message of a job that is handed to the engine now."""
    return ("Starting", f"Starting the {kind.words}") if engine.has_free_slot else ("Pending", "Waiting for a slot")


def _stopping(kind: JobKind, engine: JobEngine, before: Document) -> Document:
    status = before[kind.status]
    if status in TERMINAL:
        raise errors.validation(f"The request was rejected because the {kind.words} is in status {status}.")
    return job_documents.stopping(kind, before, engine.context.clock.now())


def find(kind: JobKind, engine: JobEngine, name: str) -> Document:
    """The job's document. Raises SageMakerError where there is none."""
    document = engine.context.store.get(kind.resource_type, name)
    if document is None:
        raise kind.not_found_error(kind.not_found.format(name=name))
    return document


def _taken(kind: JobKind, arn: str) -> errors.SageMakerError:
    return errors.resource_in_use(kind.name_taken.format(arn=arn, name=arn.rpartition("/")[2]))
