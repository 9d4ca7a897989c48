"""A kind of job, whole: everything in which it differs from other kinds hangs on one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from localaws.sagemaker.context import Context
from localaws.sagemaker.core.quotas import Use
from localaws.sagemaker.core.request import Caller, Document
from localaws.sagemaker.jobs.engine import JobEngine, Work
from localaws.sagemaker.jobs.job import Role
from localaws.sagemaker.jobs.job_resource import JobResource

# One of the functions of `operations`, which answer for every kind.
Operation = Callable[["JobKind", JobEngine, Document, Caller], Document]


@dataclass(frozen=True, kw_only=True, eq=False)
class JobKind(JobResource):
    """A kind of job: its names, its operations, and how a job of it runs.

    operations: by their literal names. summary: members of the List operation's summaries.
    accept: checks a request against the world; the new job's document, but for its status, and its role.
    run: leads a job to its end, in the job's thread.
    name_taken, not_found: AWS's messages; ``{arn}`` and ``{name}`` are filled in.
    instances: what a job's document takes of the account's quotas.
    managed_rule: the EventBridge rule by which Step Functions' ``.sync`` learns of the job's end (Developer Guide, "IAM
    policies for calling Amazon SageMaker AI with Step Functions"); None where there is no ``.sync``.
    """

    operations: Mapping[str, Operation]
    accept: Callable[[Context, Document, Caller], tuple[Document, Role]]
    run: Work
    summary: Sequence[str]
    name_taken: str
    not_found: str
    instances: Callable[[Document], Use]
    managed_rule: str | None = None

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
