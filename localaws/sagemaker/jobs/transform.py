"""Batch transform jobs: what is accepted, and a job's way from objects in S3 through its model to their results.

Every result is kept on this machine until the job is over: "When you stop a batch transform job before it is completed,
Amazon SageMaker doesn't store the job's output in Amazon S3" (StopTransformJob), and of a job that fails it stores that
of the files which were answered as a whole (TransformOutput).
"""

from __future__ import annotations

import secrets
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from localaws.sagemaker.containers import channels
from localaws.sagemaker.containers.channels import ManifestError, Source
from localaws.sagemaker.containers.logs import ContainerLog
from localaws.sagemaker.containers.objects import TransferError
from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors, quotas
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.core.quotas import Use
from localaws.sagemaker.core.request import Caller, Document
from localaws.sagemaker.core.wire import split_s3_uri
from localaws.sagemaker.hosting.instances import VariantPlan
from localaws.sagemaker.hosting.model_container import ContainerStarter
from localaws.sagemaker.hosting.model_request import is_direct
from localaws.sagemaker.hosting.models import find_model, resolved
from localaws.sagemaker.hosting.snapshots import served
from localaws.sagemaker.jobs import job_container, job_documents, job_limits, operations, transform_request
from localaws.sagemaker.jobs.engine import JobEngine
from localaws.sagemaker.jobs.job import Job, Role
from localaws.sagemaker.jobs.job_documents import Ending
from localaws.sagemaker.jobs.kind import JobKind
from localaws.sagemaker.jobs.outcomes import JobFailedError
from localaws.sagemaker.jobs.transform_instance import ALGORITHM, File, FileFailedError, Instance

_SUMMARY = ("TransformJobName", "TransformJobArn", "CreationTime", "TransformEndTime", "LastModifiedTime",
            "TransformJobStatus", "FailureReason")  # fmt: skip
_DOWNLOAD_SECONDS = 3600.0  # of the model's artifact
_POLL_SECONDS = 5.0  # a signal wakes the wait at once; this only bounds it


class TransformJob(Job):
    """A transform job; what it says itself stands in a data log of its own."""

    def new_log(self, _host: str) -> ContainerLog:
        """The job's own log; its containers' are their instances' (`transform_instance`)."""
        clock, telemetry = self.context.clock, self.context.platform.telemetry_of(self.role.objects.role_arn)
        stream = f"{self.name}/{int(clock.now())}/data-log"
        return ContainerLog(telemetry, clock, self.kind.log_group, stream)


def accept(context: Context, request: Document, _caller: Caller) -> tuple[Document, Role]:
    """Check a request against the world around it; the new job's document, and its model's role.

    The caller passes no role: the model has one.
    """
    transform_request.check(request)
    model = find_model(context, request["ModelName"])
    containers = resolved(context, model)
    if is_direct(model):
        raise errors.not_supported("a transform job with a model whose InferenceExecutionConfig has Mode=Direct")
    if any("ModelDataSource" in container for container in containers):
        raise errors.validation(
            "SageMaker Batch currently doesn't support Model entity with container definitions which use "
            "ModelDataSource attribute"
        )
    arn = context.arn(TRANSFORM.resource_type, request["TransformJobName"])
    role = job_container.assumed_role(context, model["ExecutionRoleArn"], arn)
    try:
        channels.check_exists(_source(request), role.objects, role.objects.role_arn, context.platform.region)
        channels.check_bucket(request["TransformOutput"]["S3OutputPath"], role.objects)
    except SageMakerError:
        role.objects.close()
        raise
    return transform_request.description(request, arn), role


def describe(kind: JobKind, engine: JobEngine, request: Document, caller: Caller) -> Document:
    """The job's document, as AWS tells it."""
    return _told(operations.describe(kind, engine, request, caller))


def run(job: Job, _engine: JobEngine) -> Ending:
    """Lead a transform job to its end. Raises JobFailedError, StopRequestedError or ServerClosingError."""
    job_limits.check_capacity(job.context, _instances(job.document))
    files = _files(job)
    plan = _plan(job)
    job.move("", "", TransformStartTime=job.context.clock.now())
    starter, identities = ContainerStarter(job.context), _identities(plan.instance_count, len(files))
    instances = [Instance(job, identity, plan, starter) for identity in identities]
    failed = _work(job, instances, deque(files))
    job.signals.keep_going()
    _upload(job, files)
    if not failed:
        return job_documents.completed()
    side = max((each.side for each in failed), key=lambda side: side == ALGORITHM)
    return job_documents.failed(f"{side}: See job logs for more information")


def _source(document: Document, directory: Path = Path()) -> Source:
    s3 = document["TransformInput"]["DataSource"]["S3DataSource"]
    return Source("the transform input", s3["S3DataType"], s3["S3Uri"], directory)


def _files(job: Job) -> list[File]:
    results = job.directory / "results"
    try:
        found = channels.plan(_source(job.document, results), job.role.objects)
    except (TransferError, ManifestError, ValueError) as error:
        raise JobFailedError(f"ClientError: Data download failed: {error}") from error
    return [
        # The result's own name, so that no file can be another's folder.
        File(each.source, str(each.target.relative_to(results)), results / str(number))
        for number, each in enumerate(found)
    ]


def _plan(job: Job) -> VariantPlan:
    """What the instances are started from: the model as it is now."""
    context, document = job.context, job.document
    variables = transform_request.variables(document) | document.get("Environment", {})
    try:
        model = find_model(context, document["ModelName"])
        runs = served(context, model, variables)
    except SageMakerError as error:
        raise JobFailedError(f"ClientError: {error.message}") from error
    resources = document["TransformResources"]
    source = {
        "RoleArn": model["ExecutionRoleArn"],
        "InstanceType": resources["InstanceType"],
        "DownloadSeconds": _DOWNLOAD_SECONDS,
        **runs,
    }
    return VariantPlan("transform", 1.0, resources["InstanceCount"], source)


def _identities(instances: int, files: int) -> list[str]:
    """Names for the instances that have something to do."""
    return [f"i-{secrets.token_hex(9)[:17]}" for _ in range(max(1, min(instances, files)))]


def _work(job: Job, instances: list[Instance], waiting: deque[File]) -> list[FileFailedError]:
    """Have the instances take the files, each in a thread of its own; the failures. The containers are over then."""
    with ThreadPoolExecutor(len(instances), thread_name_prefix=f"transform-{job.name}") as pool:
        futures = [pool.submit(instance.work, waiting) for instance in instances]
        for future in futures:
            future.add_done_callback(lambda _future: job.signals.wake())
        try:
            _wait(job, futures)
        finally:
            waiting.clear()
            with ThreadPoolExecutor(len(instances)) as ending:
                list(ending.map(Instance.end, instances))
    return [failure for future in futures for failure in future.result()]


def _wait(job: Job, futures: list[Future[Any]]) -> None:
    """Until all are done or one has raised, or the job mustn't go on."""
    while not all(future.done() for future in futures):
        job.signals.keep_going()
        if any(future.done() and future.exception() for future in futures):
            return
        if job.context.clock.wait([job.signals.descriptor], _POLL_SECONDS):
            job.signals.heard()


def _upload(job: Job, files: list[File]) -> None:
    kms_key = job.document["TransformOutput"].get("KmsKeyId") or None
    for file in files:
        if not file.result.exists():
            continue
        job.signals.keep_going()
        bucket, key = split_s3_uri(transform_request.output_uri(job.document, file.name))
        try:
            with file.result.open("rb") as content:
                job.role.objects.upload(content, file.result.stat().st_size, bucket, key, kms_key)
        except TransferError as error:
            raise JobFailedError(f"ClientError: Output upload failed: {error}") from error


def _told(document: Document) -> Document:
    """A document without what neither DescribeTransformJob nor the event has."""
    return {member: value for member, value in document.items() if member != "LastModifiedTime"}


def _instances(document: Document) -> Use:
    resources = document["TransformResources"]
    return Use(quotas.TRANSFORM, resources["InstanceType"], resources["InstanceCount"])


TRANSFORM = JobKind(
    resource_type="transform-job",
    noun="Transform Job",
    stem="TransformJob",
    log_group="/aws/sagemaker/TransformJobs",
    managed_rule="StepFunctionsGetEventsForSageMakerTransformJobsRule",
    instances=_instances,
    detail=_told,
    operations={
        "CreateTransformJob": operations.create,
        "DescribeTransformJob": describe,
        "ListTransformJobs": operations.list_,
        "StopTransformJob": operations.stop,
    },
    accept=accept,
    with_containers=TransformJob,
    run=run,
    summary=_SUMMARY,
    name_taken="Job name must be unique within an AWS account and region, and a job with this name already exists "
    "({arn})",
    not_found="Could not find requested job with name: {name}",
    not_found_error=errors.resource_not_found,
)
