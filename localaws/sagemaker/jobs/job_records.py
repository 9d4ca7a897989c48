"""Jobs' documents in the store: every change is told to waiters and to the event bus."""

from __future__ import annotations

from collections.abc import Callable

from localaws.sagemaker.containers.beneath import remove
from localaws.sagemaker.context import Context
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs import job_documents
from localaws.sagemaker.jobs.job_documents import TERMINAL, Ending
from localaws.sagemaker.jobs.job_resource import JobResource


def update(context: Context, kind: JobResource, name: str, change: Callable[[Document], Document]) -> Document | None:
    """Change a job's document, then tell of it; None when the job is gone."""
    after = context.store.update(kind.resource_type, name, change)
    if after is not None:
        announce(context, kind, after)
    return after


def announce(context: Context, kind: JobResource, document: Document) -> None:
    """Tell waiters and the event bus about a job's document."""
    context.changes.announce(kind.resource_type, document[kind.name])
    arn = document[kind.arn]
    context.events.state_change(kind.noun, kind.detail(document), arn, context.store.tags(arn))


def begin_stopping(context: Context, kind: JobResource, name: str) -> None:
    """Write down that the job stops for a reason of the platform's own; nothing for one that is over."""
    now = context.clock.now()

    def stopping(before: Document) -> Document:
        return before if before[kind.status] in TERMINAL else job_documents.stopping(kind, before, now)

    update(context, kind, name, stopping)


def end(context: Context, kind: JobResource, name: str, ending: Ending) -> None:
    """Write down how a job ended; one that was asked to stop meanwhile is Stopped rather than Completed."""
    now = context.clock.now()

    def ended(before: Document) -> Document:
        told = job_documents.unless_stopping(kind, before, ending)
        after = job_documents.ended(kind, before, told, now, context.spot_market)
        return kind.retention.settle(context.store, context.quotas, after)

    update(context, kind, name, ended)


def recover(context: Context, kind: JobResource) -> None:
    """After a restart: jobs that were under way are over, and say so; their files go."""
    for document in context.store.list(kind.resource_type):
        if document[kind.status] not in TERMINAL:
            end(context, kind, document[kind.name], job_documents.failed(_cut_off(document, kind)))
    remove(context.jobs_dir(kind.resource_type))


def _cut_off(document: Document, kind: JobResource) -> str:
    phase = document.get("SecondaryStatus", document[kind.status])
    return (
        f"InternalServerError: the job was cut off in status {phase}, because the server that ran it ended. "
        "Its output, if there was any, is lost; start it again."
    )
