"""Processing jobs: what is accepted, and a job's way from its document to its outputs in S3."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from localaws.confinement import startup
from localaws.sagemaker.containers import artifacts, channels, container, image_table, own_images, warm_start
from localaws.sagemaker.containers.beneath import Folder
from localaws.sagemaker.containers.container import ContainerSpec
from localaws.sagemaker.containers.images import ImageEnvironment
from localaws.sagemaker.containers.logs import failure_message
from localaws.sagemaker.containers.objects import TransferError
from localaws.sagemaker.containers.opt_ml import write_json
from localaws.sagemaker.containers.warm_start import Warm
from localaws.sagemaker.context import Context
from localaws.sagemaker.core import quotas
from localaws.sagemaker.core.quotas import Use
from localaws.sagemaker.core.request import Caller, Document
from localaws.sagemaker.jobs import (
    host_network,
    hosts,
    job_container,
    job_data,
    job_documents,
    job_limits,
    operations,
    own_image_job,
)
from localaws.sagemaker.jobs import processing_request as request_of
from localaws.sagemaker.jobs.engine import JobEngine
from localaws.sagemaker.jobs.job import Host, Job, Role
from localaws.sagemaker.jobs.job_documents import Ending
from localaws.sagemaker.jobs.kind import JobKind
from localaws.sagemaker.jobs.outcomes import MAX_RUNTIME, SCRIPT, STOP, JobFailedError, Outcome
from localaws.sagemaker.jobs.own_image_job import OwnContainer

_DIRECTORIES = ("config", "processing/input", "processing/output", "output")
_MAX_MESSAGE = 1024  # characters of ExitMessage
_MAX_READ = 4 * _MAX_MESSAGE  # bytes of /opt/ml/output/message
_SUMMARY = ("ProcessingJobName", "ProcessingJobArn", "CreationTime", "ProcessingEndTime", "LastModifiedTime",
            "ProcessingJobStatus", "FailureReason", "ExitMessage")  # fmt: skip


def accept(context: Context, request: Document, caller: Caller) -> tuple[Document, Role]:
    """Check a request against the world around it; the new job's document, and its role."""
    request_of.check(request)
    own_images.refuse_missing(context.platform, request["AppSpecification"]["ImageUri"], request["RoleArn"])
    arn = context.arn(PROCESSING.resource_type, request["ProcessingJobName"])
    with job_container.passed_role(context, caller, request["RoleArn"], arn) as role:
        for source in request_of.sources(request, Path()):
            channels.check_exists(source, role.objects, request["RoleArn"], context.platform.region)
        for output in request_of.outputs(request):
            channels.check_bucket(output["S3Uri"], role.objects)
    return request_of.description(request, arn), role


def run(job: Job, _engine: JobEngine) -> Ending:
    """Lead a processing job to its end. Raises JobFailedError, StopRequestedError or ServerClosingError."""
    job_limits.check_capacity(job.context, _instances(job.document))
    for host in job.hosts:
        prepare_directories(host)
    job.move("Downloading", "Downloading input data", ProcessingStartTime=job.context.clock.now())
    _download(job)
    specs = [_container_spec(host) for host in job.hosts]
    job.signals.keep_going()
    return _conclude(job, _process(job, specs))


def prepare_directories(host: Host) -> None:
    """Make what a processing container finds on an empty disk."""
    job_container.prepare_directories(host, _DIRECTORIES)


def write_configuration(host: Host) -> None:
    """Write the files under config (developer guide, "How Amazon SageMaker Processing configures ...")."""
    resources = {"current_host": host.name, "hosts": hosts.names(len(host.job.hosts))}
    write_json(host.ml / "config" / "processingjobconfig.json", host.job.document)
    write_json(host.ml / "config" / "resourceconfig.json", resources)


def variables(host: Host, image: ImageEnvironment) -> dict[str, str]:
    """A processing container's environment variables."""
    return {**job_container.variables(host, image), **_own_variables(host.job)}


def _own_variables(job: Job) -> dict[str, str]:
    """The variables of a processing job, whatever its image."""
    return {
        "PROCESSING_JOB_NAME": job.name,
        "PROCESSING_JOB_ARN": job.document["ProcessingJobArn"],
        **job.document.get("Environment", {}),
    }


def _download(job: Job) -> None:
    for source in request_of.sources(job.document, Path()):
        job_data.fetch(job, source, "input")
    for output in request_of.outputs(job.document):
        for host in job.hosts:
            request_of.output_directory(output, host.ml).mkdir(parents=True, exist_ok=True)


def _container_spec(host: Host) -> ContainerSpec:
    job, application = host.job, host.job.document["AppSpecification"]
    write_configuration(host)
    if image_table.is_own(application["ImageUri"]):
        return _own_container_spec(host)
    installed = job_container.image_environment(host, application["ImageUri"])
    if host.is_first:
        job_container.say_all(host, installed, request_of.remarks(job.document))
    command = [*application["ContainerEntrypoint"], *application.get("ContainerArguments", [])]
    isolated = request_of.is_isolated(job.document)
    image, cwd = installed.image, container.ml_dir(host.ml)
    given = variables(host, image)
    spec = job_container.spec(host, command, given, cwd=cwd, isolated=isolated)
    reading = warm_start.reading_of_command(command, host.ml, image.imports)
    warm = None if reading is None else Warm(image.python, image.imports, _of_program(command, given), reading)
    return replace(host_network.joined(host, installed.given_to(spec)), warm=warm)


def _own_container_spec(host: Host) -> ContainerSpec:
    """The container in an image of one's own: `docker run IMAGE`. Raises JobFailedError."""
    document = host.job.document
    application = document["AppSpecification"]
    entrypoint, arguments = application.get("ContainerEntrypoint", []), application.get("ContainerArguments", [])
    wanted = OwnContainer(
        application["ImageUri"],
        lambda config: config.run(entrypoint, arguments),
        _own_variables(host.job),
        request_of.remarks(document),
        isolated=request_of.is_isolated(document),
    )
    return own_image_job.container_spec(host, wanted)


def _of_program(command: Sequence[str], given: dict[str, str]) -> Mapping[str, str]:
    """The variables of what a command starts, behind env(1)."""
    return startup.without_env(list(command), given)[1]


def _process(job: Job, specs: Sequence[ContainerSpec]) -> Outcome:
    max_runtime = job.document["StoppingCondition"]["MaxRuntimeInSeconds"]
    kms_key = request_of.kms_key(job.document)
    try:
        with ExitStack() as stack:
            for host, output in _outputs(job, "Continuous"):
                folder, say = _output_folder(host, output), host.log.say
                sync = artifacts.DirectorySync(folder, output["S3Uri"], job.role.objects, say, kms_key)
                stack.enter_context(sync)
            return job.run_all(specs, max_runtime)
    except TransferError as error:
        raise JobFailedError(f"ClientError: Output upload failed: {error}") from error


def _conclude(job: Job, outcome: Outcome) -> Ending:
    host = job.hosts[outcome.host]
    said = _exit_message(host)
    if outcome.cause == SCRIPT and outcome.exit_code != 0:
        told = f"AlgorithmError: {host.named(failure_message(host.log.tail))}, exit code: {outcome.exit_code}"
        return job_documents.failed(job_limits.why_ended(host, outcome) or told, **said)
    _upload(job)
    if outcome.cause == STOP:
        return job_documents.stopped(**said)
    if outcome.cause == MAX_RUNTIME:
        limit = job.document["StoppingCondition"]["MaxRuntimeInSeconds"]
        return job_documents.max_runtime_exceeded(limit, **said)
    return job_documents.completed(**said)


def _exit_message(host: Host) -> Document:
    """The beginning of /opt/ml/output/message. Raises JobFailedError where it isn't UTF-8."""
    message = host.read("output/message", _MAX_READ)
    if message is None:
        return {}
    # Of a longer one, the last character read may be half a character.
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        said = decoder.decode(message, final=len(message) < _MAX_READ)
        return {"ExitMessage": said[:_MAX_MESSAGE]}
    except UnicodeDecodeError as error:
        raise JobFailedError(f"ClientError: /opt/ml/output/message isn't UTF-8: {error}") from error


def _upload(job: Job) -> None:
    for host, output in _outputs(job, "EndOfJob"):
        folder, kms_key = _output_folder(host, output), request_of.kms_key(job.document)
        try:
            artifacts.upload_files([folder], output["S3Uri"], job.role.objects, kms_key, host.log.say)
        except TransferError as error:
            raise JobFailedError(f"ClientError: Output upload failed: {error}") from error


def _outputs(job: Job, mode: str) -> Iterator[tuple[Host, Document]]:
    """Every host's outputs that are uploaded so; of files with one name, the last that is uploaded stays in S3."""
    for output in request_of.outputs(job.document):
        if output["S3UploadMode"] == mode:
            yield from ((host, output) for host in job.hosts)


def _output_folder(host: Host, output: Document) -> Folder:
    return host.folder(str(request_of.output_directory(output, Path())))


def _instances(document: Document) -> Use:
    cluster = document["ProcessingResources"]["ClusterConfig"]
    return Use(quotas.PROCESSING, cluster["InstanceType"], cluster["InstanceCount"])


PROCESSING = JobKind(
    resource_type="processing-job",
    noun="Processing Job",
    stem="ProcessingJob",
    log_group="/aws/sagemaker/ProcessingJobs",
    managed_rule="StepFunctionsGetEventsForSageMakerProcessingJobsRule",
    instances=_instances,
    operations={
        "CreateProcessingJob": operations.create,
        "DescribeProcessingJob": operations.describe,
        "ListProcessingJobs": operations.list_,
        "StopProcessingJob": operations.stop,
        "DeleteProcessingJob": operations.delete,
    },
    accept=accept,
    run=run,
    summary=_SUMMARY,
    name_taken="Job name must be unique within an AWS account and region, and a job with this name already exists "
    "({arn})",
    not_found="Could not find requested job with name: {name}",
)
