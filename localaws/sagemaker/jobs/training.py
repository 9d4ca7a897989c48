"""Training jobs: what is accepted, and a job's way from its document to its model in S3."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from localaws.sagemaker.containers import artifacts, channels, own_images
from localaws.sagemaker.containers.channels import Source
from localaws.sagemaker.containers.container import ContainerSpec
from localaws.sagemaker.containers.objects import TransferError
from localaws.sagemaker.containers.opt_ml import located
from localaws.sagemaker.containers.streams import Stream
from localaws.sagemaker.context import Context
from localaws.sagemaker.core import quotas
from localaws.sagemaker.core.quotas import Use
from localaws.sagemaker.core.request import Caller, Document
from localaws.sagemaker.debugger import hook
from localaws.sagemaker.debugger.hook import Debugger
from localaws.sagemaker.jobs import (
    job_container,
    job_data,
    job_documents,
    job_limits,
    job_pipes,
    job_records,
    operations,
    spot_training,
    training_channels,
    training_instance,
    training_output,
    training_request,
    training_times,
    warm_pool_cache,
    warm_pool_operations,
)
from localaws.sagemaker.jobs.engine import JobEngine
from localaws.sagemaker.jobs.job import Host, Job, Role
from localaws.sagemaker.jobs.job_documents import Ending
from localaws.sagemaker.jobs.kind import JobKind
from localaws.sagemaker.jobs.outcomes import (
    INTERRUPTION,
    MAX_RUNTIME,
    MAX_WAIT,
    SCRIPT,
    STOP,
    EndedEarlyError,
    JobFailedError,
    Outcome,
    StopRequestedError,
)
from localaws.sagemaker.jobs.training_metrics import TrainingMetrics

_SUMMARY = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime",
            "TrainingJobStatus", "SecondaryStatus", "WarmPoolStatus")  # fmt: skip


def accept(context: Context, request: Document, caller: Caller) -> tuple[Document, Role]:
    """Check a request against the world around it; the new job's document, and its role."""
    training_request.check(request)
    own_images.refuse_missing(context.platform, request["AlgorithmSpecification"]["TrainingImage"], request["RoleArn"])
    hook.check_rules(context, request)
    arn = context.arn(TRAINING.resource_type, request["TrainingJobName"])
    with job_container.passed_role(context, caller, request["RoleArn"], arn) as role:
        for source in training_channels.sources(request, Path()):
            channels.check_exists(source, role.objects, request["RoleArn"], context.platform.region)
        channels.check_bucket(request["OutputDataConfig"]["S3OutputPath"], role.objects)
        hook.check_output(request, role.objects)
    return training_request.description(request, arn), role


def run(job: Job, engine: JobEngine) -> Ending:
    """Lead a training job to its end. Raises JobFailedError, StopRequestedError or ServerClosingError."""
    try:
        return TrainingRun(job, Debugger(job, engine)).to_its_end()
    finally:
        warm_pool_cache.leave(job)


class TrainingRun:
    """One training job in its thread. Steps raise JobFailedError, StopRequestedError or ServerClosingError."""

    def __init__(self, job: Job, debugger: Debugger) -> None:
        self._job = job
        self._debugger = debugger
        self._metrics = TrainingMetrics(job)
        self._streams: Sequence[Stream] = ()

    def to_its_end(self) -> Ending:
        """From Starting to the ending, on one instance after another where they are taken."""
        job = self._job
        if job.document["SecondaryStatus"] == "Pending":
            job.move("Starting", "Starting the training job")
        job_limits.check_capacity(job.context, _instances(job.document))
        while True:
            self._metrics.listen()
            outcome = self._on_an_instance()
            if outcome.cause != INTERRUPTION:
                return self._conclude(outcome)
            job.move("Interrupted", "The instance was taken; waiting for spot capacity")
            if not spot_training.wait_for_instance(job, job.lose_instance()):
                self._begin_stopping()
                return job_documents.max_wait_exceeded(**self._metrics.final())
            job.move("Starting", "Launching requested ML instances")

    def _on_an_instance(self) -> Outcome:
        job = self._job
        for host in job.hosts:
            job_container.prepare_directories(host, training_instance.DIRECTORIES)
        warm_pool_cache.prepare(job)
        began = job.document.get("TrainingStartTime", job.context.clock.now())
        job.move("Downloading", "Downloading input data", TrainingStartTime=began)
        for host in job.hosts:
            training_instance.write_configuration(host)
        self._debugger.prepare()
        self._download()
        try:
            specs = [training_instance.container_spec(host, self._install) for host in job.hosts]
        except EndedEarlyError as ended:
            return ended.outcome
        self._begin_training()
        return self._train(specs)

    def _download(self) -> None:
        job, checkpoints = self._job, self._checkpoints()
        found = training_channels.sources(job.document, Path(job_pipes.FOLDER))
        for source in found:
            if not source.is_piped:
                job_data.fetch(job, source)
        self._streams = [job_pipes.plan(job, source) for source in found if source.is_piped]
        if checkpoints is not None:
            job_data.fetch_checkpoints(job, checkpoints)
        job.signals.keep_going()

    def _checkpoints(self) -> Source | None:
        """The job's checkpoints, each host's in the folder that the request names; None without CheckpointConfig."""
        path = training_request.checkpoint_path(self._job.document)
        if path is None:
            return None
        uri = self._job.document["CheckpointConfig"]["S3Uri"]
        return Source("checkpoints", "S3Prefix", uri, located(path, Path()))

    def _begin_training(self) -> None:
        if self._job.document["SecondaryStatus"] != "Training":
            self._job.move("Training", "Training image download completed. Training in progress.")

    def _install(self, spec: ContainerSpec) -> Outcome:
        self._begin_training()
        return self._run([spec])

    def _run(self, specs: Sequence[ContainerSpec]) -> Outcome:
        """Run a container on each of the first hosts in what is left of the job's time."""
        job = self._job
        left = training_times.left_to_train(job.document, job.context.clock.now())
        return job.run_all(specs, left, *spot_training.ends(job))

    def _train(self, specs: Sequence[ContainerSpec]) -> Outcome:
        job, checkpoints = self._job, self._checkpoints()
        try:
            with ExitStack() as stack:
                if checkpoints is not None:
                    for host in job.hosts:
                        stack.enter_context(_synced(host, checkpoints))
                stack.enter_context(job_pipes.fed(job, self._streams))
                return self._debugger.watch(lambda: self._run(specs))
        except TransferError as error:
            raise JobFailedError(f"ClientError: Checkpoint upload failed: {error}") from error

    def _conclude(self, outcome: Outcome) -> Ending:
        job, metrics = self._job, self._metrics.final()
        if job.signals.failure is not None and outcome.cause != STOP:
            return job_documents.failed(job.signals.failure, **metrics)
        if outcome.cause == SCRIPT and outcome.exit_code != 0:
            host = job.hosts[outcome.host]
            reason = job_limits.why_ended(host, outcome) or training_output.failure_reason(host, outcome.exit_code)
            return job_documents.failed(reason, **metrics)
        if outcome.cause == MAX_WAIT:
            self._begin_stopping()
            return job_documents.max_wait_exceeded(**metrics, **training_output.upload(job))
        cause = STOP if outcome.cause == STOP or not self._begin_uploading() else outcome.cause
        members = {**metrics, **training_output.upload(job)}
        if cause == STOP:
            return job_documents.stopped(**members)
        if cause == MAX_RUNTIME:
            limit = job.document["StoppingCondition"]["MaxRuntimeInSeconds"]
            return job_documents.max_runtime_exceeded(limit, **members)
        return job_documents.completed(**members)

    def _begin_uploading(self) -> bool:
        """False when somebody has asked the job to stop; what it made is uploaded all the same."""
        try:
            self._job.move("Uploading", "Uploading generated training model")
        except StopRequestedError:
            return False
        return True

    def _begin_stopping(self) -> None:
        job_records.begin_stopping(self._job.context, self._job.kind, self._job.name)


def _synced(host: Host, checkpoints: Source) -> artifacts.DirectorySync:
    """A host's checkpoints on their way to S3: to one place for all hosts, whose files should have names of their own
    ("Amazon SageMaker AI checkpoints", considerations).
    """
    folder = host.folder(str(checkpoints.directory))
    return artifacts.DirectorySync(folder, checkpoints.uri, host.job.role.objects, host.log.say)


def _instances(document: Document) -> Use:
    """The instances of a training job, on demand or from spot capacity, each with a quota of its own."""
    resources = document["ResourceConfig"]
    work = quotas.SPOT_TRAINING if document.get("EnableManagedSpotTraining") else quotas.TRAINING
    return Use(work, resources["InstanceType"], resources["InstanceCount"])


TRAINING = JobKind(
    resource_type="training-job",
    noun="Training Job",
    stem="TrainingJob",
    log_group="/aws/sagemaker/TrainingJobs",
    managed_rule="StepFunctionsGetEventsForSageMakerTrainingJobsRule",
    has_secondary_status=True,
    instances=_instances,
    max_wait=training_times.max_wait,
    at_end=training_times.billed,
    retention=warm_pool_operations.WARM_POOLS,
    operations={
        "CreateTrainingJob": operations.create,
        "DescribeTrainingJob": operations.describe,
        "ListTrainingJobs": operations.list_,
        "UpdateTrainingJob": warm_pool_operations.update,
        "StopTrainingJob": operations.stop,
        "DeleteTrainingJob": operations.delete,
    },
    accept=accept,
    run=run,
    recover=warm_pool_cache.recover,
    summary=_SUMMARY,
    name_taken="Training job names must be unique within an AWS account and region, and a training job with this name "
    "already exists ({arn})",
    not_found="Requested resource not found.",
)
