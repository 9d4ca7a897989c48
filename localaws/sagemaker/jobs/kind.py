"""A kind of job, whole: everything in which it differs from other kinds hangs on one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.core.quotas import Use
from localaws.sagemaker.core.request import Caller, Document
from localaws.sagemaker.jobs import job_records
from localaws.sagemaker.jobs.engine import JobEngine, Work
from localaws.sagemaker.jobs.job import Job, Role
from localaws.sagemaker.jobs.job_resource import JobResource
from localaws.sagemaker.jobs.led_job import LedJob

# One of the functions of `operations`, which answer for every kind, or one of the kind's own.
Operation = Callable[["JobKind", JobEngine, Document, Caller], Document]


def _end_what_was_under_way(kind: JobKind, engine: JobEngine) -> None:
    job_records.recover(engine.context, kind)


@dataclass(frozen=True, kw_only=True, eq=False)
class JobKind(JobResource):
    """A kind of job: its names, its operations, and how a job of it runs.

    operations: by their literal names. summary: members of the List operation's summaries.
    accept: checks a request against the world; the new job's document, but for its status, and the role that its
    containers have; none where it has no containers.
    with_containers: a job as the engine leads it, where it has containers.
    run: leads a job to its end, in the job's thread.
    name_taken, not_found: AWS's messages; ``{arn}`` and ``{name}`` are filled in. not_found_error: what tells the last.
    instances: what a job's document takes of the account's quotas. instances_of: the kind whose jobs have them, where
    it is another.
    recover: what to do after a restart about jobs that were under way.
    managed_rule: the EventBridge rule by which Step Functions' ``.sync`` learns of the job's end (Developer Guide, "IAM
    policies for calling Amazon SageMaker AI with Step Functions"); None where there is no ``.sync``.
    """

    operations: Mapping[str, Operation]
    accept: Callable[[Context, Document, Caller], tuple[Document, Role | None]]
    run: Work
    summary: Sequence[str]
    name_taken: str
    not_found: str
    instances: Callable[[Document], Use]
    instances_of: JobKind | None = None
    with_containers: Callable[[JobResource, Document, Role, Context], Job] = Job
    managed_rule: str | None = None
    not_found_error: Callable[[str], SageMakerError] = errors.validation
    recover: Callable[[JobKind, JobEngine], None] = _end_what_was_under_way

    def job(self, document: Document, role: Role | None, context: Context) -> LedJob:
        """A job of the kind, as the engine leads it."""
        return LedJob(self, document, context) if role is None else self.with_containers(self, document, role, context)

    @property
    def create(self) -> str:
        """The operation that starts a job."""
        return f"Create{self.stem}"

    @property
    def describe(self) -> str:
        """The operation that describes one."""
        return f"Describe{self.stem}"

    @property
    def stop(self) -> str:
        """The operation that stops one."""
        return f"Stop{self.stem}"
