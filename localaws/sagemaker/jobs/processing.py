"""Processing jobs: the operations, and a job's way from its request to its outputs in S3."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from localaws.sagemaker.containers import artifacts, channels, container
from localaws.sagemaker.containers.channels import ManifestError
from localaws.sagemaker.containers.container import ContainerSpec
from localaws.sagemaker.containers.images import ImageEnvironment
from localaws.sagemaker.containers.logs import failure_message
from localaws.sagemaker.containers.objects import TransferError
from localaws.sagemaker.context import Context
from localaws.sagemaker.core.request import Caller, Document, Handler
from localaws.sagemaker.jobs import job_container, job_documents
from localaws.sagemaker.jobs import processing_request as request_of
from localaws.sagemaker.jobs.job import Job, JobFailedError, Outcome, Role
from localaws.sagemaker.jobs.job_documents import PROCESSING, Ending
from localaws.sagemaker.jobs.operations import JobOperations

_DIRECTORIES = ("config", "processing/input", "processing/output", "output")
_MAX_MESSAGE = 1024  # characters of ExitMessage
_SUMMARY = ("ProcessingJobName", "ProcessingJobArn", "CreationTime", "ProcessingEndTime", "LastModifiedTime",
            "ProcessingJobStatus", "FailureReason", "ExitMessage")  # fmt: skip


def operations(context: Context) -> dict[str, Handler]:
    """Operation name to handler."""
    return JobOperations(
        context,
        PROCESSING,
        create=lambda request, caller: _create(context, request, caller),
        work=lambda request: lambda job: ProcessingRun(job, request).run(),
        summary=_SUMMARY,
        name_taken="Job name must be unique within an AWS account and region, and a job with this name already exists "
        "({arn})",
        not_found="Could not find requested job with name: {name}",
    ).handlers()


def _create(context: Context, request: Document, caller: Caller) -> tuple[Document, Role]:
    """Check a request against the world around it; the new job's document, and its role."""
    request_of.check(request)
    job_container.check_image(context, request["AppSpecification"]["ImageUri"])
    with job_container.passed_role(context, caller, request["RoleArn"]) as role:
        for source in request_of.sources(request, Path()):
            channels.check_exists(source, role.objects, request["RoleArn"], context.platform.region)
        for output in request_of.outputs(request):
            channels.check_bucket(output["S3Uri"], role.objects)
    return request_of.description(request, context.arn(PROCESSING.kind, request["ProcessingJobName"])), role


def make_directories(job: Job, ml: Path) -> None:
    """What a processing container finds on an empty disk; `ml` is what it sees as /opt/ml."""
    job_container.make_directories(ml, _DIRECTORIES)
    (job.directory / "tmp").mkdir()


def write_configuration(job: Job, ml: Path) -> None:
    """What a container reads about its job (developer guide, "How Amazon SageMaker Processing configures ...")."""
    job_container.write_json(ml / "config" / "processingjobconfig.json", job.document)
    hosts = {"current_host": "algo-1", "hosts": ["algo-1"]}
    job_container.write_json(ml / "config" / "resourceconfig.json", hosts)


def variables(job: Job, image: ImageEnvironment, base: Path) -> dict[str, str]:
    """A processing container's environment variables; `base` is where it sees /opt/ml."""
    return {
        **job_container.variables(job, image, base, container.tmp_view(job.directory / "tmp")),
        "PROCESSING_JOB_NAME": job.name,
        "PROCESSING_JOB_ARN": job.document["ProcessingJobArn"],
        **job.document.get("Environment", {}),
    }


class ProcessingRun:
    """One processing job in its thread. Steps raise JobFailedError, StopRequestedError or ServerClosingError."""

    def __init__(self, job: Job, request: Document) -> None:
        self._job = job
        self._request = request
        self._ml = job.directory / "ml"
        self._base = container.ml_dir(self._ml)
        self._objects = job.role.objects
        self._kms_key = request.get("ProcessingOutputConfig", {}).get("KmsKeyId")

    def run(self) -> Ending:
        """From InProgress to the ending."""
        job = self._job
        make_directories(job, self._ml)
        job.move("Downloading", "Downloading input data", ProcessingStartTime=job.context.clock())
        self._download()
        spec = self._spec()
        job.keep_going()
        return self._conclude(self._process(spec))

    def _download(self) -> None:
        for source in request_of.sources(self._request, self._ml):
            source.directory.mkdir(parents=True, exist_ok=True)
            try:
                self._objects.download(channels.plan(source, self._objects), self._job.keep_going)
            except (TransferError, ManifestError, ValueError) as error:
                raise JobFailedError(f"ClientError: Data download failed for input {source.name}: {error}") from error
        for output in request_of.outputs(self._request):
            request_of.output_directory(output, self._ml).mkdir(parents=True, exist_ok=True)

    def _spec(self) -> ContainerSpec:
        job, application = self._job, self._request["AppSpecification"]
        write_configuration(job, self._ml)
        image = job_container.image_environment(job, application["ImageUri"])
        job_container.say_all(job, image, request_of.remarks(self._request))
        environment = variables(job, image, self._base)
        command = [*application["ContainerEntrypoint"], *application.get("ContainerArguments", [])]
        isolated = request_of.is_isolated(self._request)
        return job_container.spec(job, self._ml, command, environment, cwd=self._base, isolated=isolated)

    def _process(self, spec: ContainerSpec) -> Outcome:
        max_runtime = self._job.document["StoppingCondition"]["MaxRuntimeInSeconds"]
        try:
            with ExitStack() as stack:
                for output in request_of.outputs(self._request):
                    if output["S3UploadMode"] == "Continuous":
                        directory = request_of.output_directory(output, self._ml)
                        sync = artifacts.DirectorySync(directory, output["S3Uri"], self._objects, self._kms_key)
                        stack.enter_context(sync)
                return self._job.run(spec, max_runtime)
        except TransferError as error:
            raise JobFailedError(f"ClientError: Output upload failed: {error}") from error

    def _conclude(self, outcome: Outcome) -> Ending:
        message = self._ml / "output" / "message"
        said: Document = {}
        if message.is_file():
            said["ExitMessage"] = message.read_text(encoding="utf-8", errors="replace")[:_MAX_MESSAGE]
        if outcome.cause == "script" and outcome.exit_code != 0:
            told = failure_message(self._job.log.tail)
            return job_documents.failed(f"AlgorithmError: {told}, exit code: {outcome.exit_code}", **said)
        self._upload()
        if outcome.cause == "stop":
            return job_documents.stopped(**said)
        if outcome.cause == "max runtime":
            limit = self._job.document["StoppingCondition"]["MaxRuntimeInSeconds"]
            return job_documents.max_runtime_exceeded(limit, **said)
        return job_documents.completed(**said)

    def _upload(self) -> None:
        for output in request_of.outputs(self._request):
            if output["S3UploadMode"] == "EndOfJob":
                try:
                    directory = request_of.output_directory(output, self._ml)
                    artifacts.upload_files(directory, output["S3Uri"], self._objects, self._kms_key)
                except TransferError as error:
                    raise JobFailedError(f"ClientError: Output upload failed: {error}") from error
