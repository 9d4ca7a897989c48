"""Create, Describe, List, Stop and Delete, which training and processing jobs answer alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors, listing, tags
from localaws.sagemaker.core.request import Caller, Document, Handler
from localaws.sagemaker.jobs import job as jobs
from localaws.sagemaker.jobs import job_documents
from localaws.sagemaker.jobs.job import Job, Role, Work
from localaws.sagemaker.jobs.job_documents import TERMINAL, JobKind


@dataclass(frozen=True)
class JobOperations:
    """The operations of one kind of job.

    create: checks a request against the world; the new job's document, but for its status, and its role.
    work: what the job's thread does for a request.
    summary: members of the List operation's summaries.
    name_taken, not_found: AWS's messages; ``{arn}`` and ``{name}`` are filled in.
    """

    context: Context
    kind: JobKind
    create: Callable[[Document, Caller], tuple[Document, Role]]
    work: Callable[[Document], Work]
    summary: Sequence[str]
    name_taken: str
    not_found: str

    def handlers(self) -> dict[str, Handler]:
        """Operation name to handler; recovery and closing are registered with the server's lifecycle."""
        stem = self.kind.stem
        self.context.lifecycle.on_recover.append(lambda: jobs.recover(self.context, self.kind))
        return {
            f"Create{stem}": self._create,
            f"Describe{stem}": self._describe,
            f"List{stem}s": self._list,
            f"Stop{stem}": self._stop,
            f"Delete{stem}": self._delete,
        }

    def _create(self, request: Document, caller: Caller) -> Document:
        context, kind = self.context, self.kind
        name = request[kind.name]
        arn = context.arn(kind.kind, name)
        if context.store.get(kind.kind, name) is not None:
            raise self._taken(arn)
        labels = tags.as_map(request.get("Tags"))
        document, role = self.create(request, caller)
        engine = context.jobs
        first = ("Starting", "Starting the training job") if engine.has_free_slot else ("Pending", "Waiting for a slot")
        document = job_documents.created(kind, document, *first, context.clock())
        with context.store.transaction():
            if not context.store.create(kind.kind, name, document):
                role.objects.close()
                raise self._taken(arn)
            context.store.add_tags(arn, labels)
        jobs.announce(context, kind, document)
        engine.submit(Job(kind, document, role, context), self.work(request))
        return {kind.arn: arn}

    def _describe(self, request: Document, _caller: Caller) -> Document:
        return self._get(request[self.kind.name])

    def _list(self, request: Document, _caller: Caller) -> Document:
        kind = self.kind
        found, more = listing.page(request, self.context.store.list(kind.kind), name=kind.name, status=kind.status)
        return {f"{kind.stem}Summaries": [listing.summary(document, self.summary) for document in found], **more}

    def _stop(self, request: Document, _caller: Caller) -> Document:
        kind, context = self.kind, self.context
        name = request[kind.name]
        before = self._get(name)[kind.status]
        if before != "Stopping":
            jobs.change_document(context, kind, name, self._stopping)
            context.jobs.stop(kind, name)
        return {}

    def _stopping(self, before: Document) -> Document:
        status = before[self.kind.status]
        if status in TERMINAL:
            noun = self.kind.noun.lower()
            raise errors.validation(f"The request was rejected because the {noun} is in status {status}.")
        return job_documents.stopping(self.kind, before, self.context.clock())

    def _delete(self, request: Document, _caller: Caller) -> Document:
        kind, store = self.kind, self.context.store
        name = request[kind.name]
        with store.transaction():
            document = store.get(kind.kind, name)
            if document is None:
                raise errors.resource_not_found(self.not_found.format(name=name))
            if document[kind.status] not in TERMINAL:
                noun = kind.noun.lower()
                raise errors.resource_in_use(f"The {noun} {name} is in status {document[kind.status]}; stop it first.")
            store.delete(kind.kind, name)
            store.delete_tags(document[kind.arn])
        self.context.changes.announce(kind.kind, name)
        return {}

    def _get(self, name: str) -> Document:
        document = self.context.store.get(self.kind.kind, name)
        if document is None:
            raise errors.validation(self.not_found.format(name=name))
        return document

    def _taken(self, arn: str) -> errors.SageMakerError:
        return errors.resource_in_use(self.name_taken.format(arn=arn))
