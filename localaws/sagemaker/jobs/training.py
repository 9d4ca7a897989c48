"""Training jobs: the operations, and a job's way from its request to its model in S3."""

from __future__ import annotations

import math
import os
import shutil
import time
from contextlib import ExitStack
from pathlib import Path

from localaws.sagemaker.containers import artifacts, channels, container, script_mode
from localaws.sagemaker.containers.archives import BrokenArchiveError, UnsafeArchiveError, unpack
from localaws.sagemaker.containers.channels import ManifestError, Source
from localaws.sagemaker.containers.container import ContainerSpec
from localaws.sagemaker.containers.images import ImageEnvironment
from localaws.sagemaker.containers.logs import failure_message
from localaws.sagemaker.containers.objects import Download, S3Object, TransferError
from localaws.sagemaker.containers.script_mode import MachineFacts, ScriptJob
from localaws.sagemaker.context import Context
from localaws.sagemaker.core.request import Caller, Document, Handler
from localaws.sagemaker.core.wire import split_s3_uri
from localaws.sagemaker.debugger import hook as debugger
from localaws.sagemaker.debugger.hook import Debugger
from localaws.sagemaker.jobs import job as jobs
from localaws.sagemaker.jobs import job_container, job_documents
from localaws.sagemaker.jobs import training_request as request_of
from localaws.sagemaker.jobs.job import End, Job, JobFailedError, Outcome, Role, StopRequestedError
from localaws.sagemaker.jobs.job_documents import TRAINING, Ending
from localaws.sagemaker.jobs.operations import JobOperations
from localaws.sagemaker.jobs.training_metrics import NAMESPACE, MetricParser, metric_data

_DIRECTORIES = ("input/config", "input/data", "model", "code", "output/data", "output/intermediate", "checkpoints")
_MAX_FAILURE_FILE = 1024  # characters of /opt/ml/output/failure that SageMaker reads
_SUMMARY = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime",
            "TrainingJobStatus", "SecondaryStatus")  # fmt: skip


def operations(context: Context) -> dict[str, Handler]:
    """Operation name to handler."""
    return JobOperations(
        context,
        TRAINING,
        create=lambda request, caller: _create(context, request, caller),
        work=lambda request: lambda job: TrainingRun(job, request).run(),
        summary=_SUMMARY,
        name_taken="Training job names must be unique within an AWS account and region, and a training job with this "
        "name already exists ({arn})",
        not_found="Requested resource not found.",
    ).handlers()


def _create(context: Context, request: Document, caller: Caller) -> tuple[Document, Role]:
    """Check a request against the world around it; the new job's document, and its role."""
    request_of.check(request)
    job_container.check_image(context, request["AlgorithmSpecification"]["TrainingImage"])
    debugger.check_rules(context, request)
    with job_container.passed_role(context, caller, request["RoleArn"]) as role:
        for source in request_of.sources(request, Path()):
            channels.check_exists(source, role.objects, request["RoleArn"], context.platform.region)
        channels.check_bucket(request["OutputDataConfig"]["S3OutputPath"], role.objects)
        debugger.check_output(request, role.objects)
    return request_of.description(request, context.arn(TRAINING.kind, request["TrainingJobName"])), role


class TrainingRun:
    """One training job in its thread. Steps raise JobFailedError, StopRequestedError or ServerClosingError."""

    def __init__(self, job: Job, request: Document) -> None:
        self._job = job
        self._request = request
        self._ml = job.directory / "ml"
        self._base = container.ml_dir(self._ml)
        self._objects = job.role.objects
        self._kms_key = request["OutputDataConfig"].get("KmsKeyId")
        self._debugger = Debugger(job, request, self._ml)
        self._metrics = MetricParser(request["AlgorithmSpecification"].get("MetricDefinitions", []))
        job.log.listen(self._measure)

    def run(self) -> Ending:
        """From Starting to the ending."""
        job = self._job
        if job.document["SecondaryStatus"] == "Pending":
            job.move("Starting", "Starting the training job")
        while True:
            outcome = self._train(self._on_an_instance())
            if outcome.cause != jobs.INTERRUPTION:
                return self._conclude(outcome)
            job.move("Interrupted", "The instance was taken; waiting for spot capacity")
            taken = job.lose_instance()
            job.log.listen(self._measure)
            left = self._left_to_wait()
            job.without_instance(min(taken.absence, left))
            if left <= taken.absence:
                jobs.begin_stopping(job)
                return job_documents.max_wait_exceeded(**self._final_metrics())
            job.move("Starting", "Launching requested ML instances")

    def _on_an_instance(self) -> ContainerSpec:
        """From an empty instance to a container that can start, with the last checkpoints."""
        job = self._job
        job_container.make_directories(self._ml, _DIRECTORIES)
        (job.directory / "tmp").mkdir()
        began = job.document.get("TrainingStartTime", job.context.clock())
        job.move("Downloading", "Downloading input data", TrainingStartTime=began)
        self._download()
        spec = self._spec(self._prepare_image())
        job.move("Training", "Training image download completed. Training in progress.")
        return spec

    def _download(self) -> None:
        job = self._job
        job_container.write_json(self._config("hyperparameters"), self._request.get("HyperParameters", {}))
        job_container.write_json(self._config("inputdataconfig"), request_of.input_data_config(self._request))
        instance_type = self._request["ResourceConfig"]["InstanceType"]
        job_container.write_json(self._config("resourceconfig"), request_of.resource_config(instance_type))
        self._debugger.prepare()
        data_dir = self._ml / "input" / "data"
        for source in request_of.sources(self._request, data_dir):
            source.directory.mkdir()
            self._fetch(source)
        if self._checkpoints is not None:
            self._checkpoints.mkdir(parents=True, exist_ok=True)
            self._fetch(
                Source("checkpoints", "S3Prefix", self._request["CheckpointConfig"]["S3Uri"], self._checkpoints)
            )
        job.keep_going()

    def _fetch(self, source: Source) -> None:
        try:
            downloads = channels.plan(source, self._objects, may_be_empty=source.name == "checkpoints")
            self._objects.download(downloads, self._job.keep_going)
        except (TransferError, ManifestError, ValueError) as error:
            raise JobFailedError(f"ClientError: Data download failed for channel {source.name}: {error}") from error

    def _prepare_image(self) -> ImageEnvironment:
        requirements = None
        if not request_of.has_own_entrypoint(self._request):
            self._unpack_source()
            requirements = self._ml / "code" / "requirements.txt"
        image = job_container.image_environment(
            self._job, self._request["AlgorithmSpecification"]["TrainingImage"], requirements
        )
        job_container.say_all(self._job, image, request_of.remarks(self._request))
        return image

    def _unpack_source(self) -> None:
        """Script mode: sagemaker_submit_directory into /opt/ml/code."""
        directory = str(self._script_job(None).submit_directory)
        code = self._ml / "code"
        if directory.startswith("/opt/ml/"):
            self._copy_source(self._ml / directory.removeprefix("/opt/ml/"), directory)
            return
        bucket, key = split_s3_uri(directory)
        archive = self._job.directory / "sourcedir.tar.gz"
        try:
            self._objects.download([Download(S3Object(bucket, key), archive)])
            unpack(archive, code)
        except TransferError as error:
            raise JobFailedError(f"ClientError: Source download failed: {error}") from error
        except (UnsafeArchiveError, BrokenArchiveError) as error:
            raise JobFailedError(f"ClientError: Source archive {directory} refused: {error}") from error
        finally:
            archive.unlink(missing_ok=True)

    def _copy_source(self, source: Path, shown: str) -> None:
        if source.is_dir() and source.resolve().is_relative_to(self._ml.resolve()):
            shutil.copytree(source, self._ml / "code", dirs_exist_ok=True)
        else:
            raise JobFailedError(f"ClientError: sagemaker_submit_directory {shown} is no directory of the job's")

    def _spec(self, image: ImageEnvironment) -> ContainerSpec:
        job, algorithm = self._job, self._request["AlgorithmSpecification"]
        tmp = container.tmp_view(job.directory / "tmp")
        environment = {
            **job_container.variables(job, image, self._base, tmp),
            "TRAINING_JOB_NAME": job.name,
            "TRAINING_JOB_ARN": job.document["TrainingJobArn"],
            **self._request.get("Environment", {}),
        }
        if request_of.has_own_entrypoint(self._request):
            command = [*algorithm["ContainerEntrypoint"], *algorithm.get("ContainerArguments", [])]
            cwd = self._base
        else:
            command = self._script_command(image)
            environment |= self._script_variables(image)
            cwd = self._base / "code"
        isolated = bool(self._request.get("EnableNetworkIsolation"))
        return job_container.spec(job, self._ml, command, environment, cwd=cwd, isolated=isolated)

    def _script_command(self, image: ImageEnvironment) -> list[str]:
        script, code = self._script_job(image), self._ml / "code"
        program = script.entry_point
        if not (code / program).is_file():
            there = ", ".join(sorted(path.name for path in code.iterdir())) or "nothing"
            raise JobFailedError(
                f"ClientError: sagemaker_program {program!r} isn't in the source archive, which holds {there}"
            )
        if not program.endswith(".py"):
            (code / program).chmod(0o755)
        command = script_mode.command(script, code)
        self._job.log.say(f"Invoking script with the following command: {' '.join(command)}")
        return command

    def _script_variables(self, image: ImageEnvironment) -> dict[str, str]:
        script = self._script_job(image)
        return {
            **script_mode.variables(script),
            "SAGEMAKER_JOB_NAME": str(script.decoded.get("sagemaker_job_name", "")),
            "SAGEMAKER_REGION": str(script.decoded.get("sagemaker_region", self._job.context.platform.region)),
        }

    def _script_job(self, image: ImageEnvironment | None) -> ScriptJob:
        instance_type = self._request["ResourceConfig"]["InstanceType"]
        return ScriptJob(
            name=self._job.name,
            base=self._base,
            hyperparameters=self._request.get("HyperParameters", {}),
            input_data_config=request_of.input_data_config(self._request),
            resource_config=request_of.resource_config(instance_type),
            machine=MachineFacts(cpus=os.cpu_count() or 1),
            framework_module=image.variables.get("SAGEMAKER_TRAINING_MODULE") if image else None,
        )

    def _train(self, spec: ContainerSpec) -> Outcome:
        job = self._job
        max_runtime = job.document["StoppingCondition"]["MaxRuntimeInSeconds"]
        left = max_runtime - job_documents.seconds_trained_before(job.document)
        try:
            with ExitStack() as stack:
                if self._checkpoints is not None:
                    uri = self._request["CheckpointConfig"]["S3Uri"]
                    stack.enter_context(artifacts.DirectorySync(self._checkpoints, uri, self._objects))
                return self._debugger.watch(lambda: job.run(spec, max(0.0, left), *self._spot_ends()))
        except TransferError as error:
            raise JobFailedError(f"ClientError: Checkpoint upload failed: {error}") from error

    def _spot_ends(self) -> list[End]:
        """What may take a spot job's instance: the schedule, and the end of its time."""
        if not self._request.get("EnableManagedSpotTraining"):
            return []
        market, now = self._job.context.spot_market, time.monotonic()
        ends = [End(now + self._left_to_wait(), "max wait")]
        if market.interrupt_every and job_documents.interruptions(self._job.document) < market.interruptions:
            ends.append(End(now + market.interrupt_every, jobs.INTERRUPTION, market.notice))
        return ends

    def _left_to_wait(self) -> float:
        """Seconds until MaxWaitTimeInSeconds have passed since the job was made; infinite where it isn't spot."""
        seconds = job_documents.max_wait(self._job.document)
        return math.inf if seconds is None else self._job.document["CreationTime"] + seconds - self._job.context.clock()

    def _final_metrics(self) -> Document:
        return {"FinalMetricDataList": final} if (final := self._metrics.final()) else {}

    def _conclude(self, outcome: Outcome) -> Ending:
        metrics = self._final_metrics()
        if outcome.cause == "script" and outcome.exit_code != 0:
            return job_documents.failed(self._failure_reason(outcome.exit_code), **metrics)
        if outcome.cause == "max wait":
            jobs.begin_stopping(self._job)
            return job_documents.max_wait_exceeded(**metrics, **self._upload())
        if outcome.cause != "stop":
            try:
                self._job.move("Uploading", "Uploading generated training model")
            except StopRequestedError:
                outcome = Outcome(outcome.exit_code, "stop")
        members = {**metrics, **self._upload()}
        if outcome.cause == "stop":
            return job_documents.stopped(**members)
        if outcome.cause == "max runtime":
            limit = self._job.document["StoppingCondition"]["MaxRuntimeInSeconds"]
            return job_documents.max_runtime_exceeded(limit, **members)
        return job_documents.completed(**members)

    def _upload(self) -> Document:
        """Upload model and output; the members that say where the model is."""
        place = f"{self._request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{self._job.name}/output"
        try:
            artifacts.upload_archive(
                self._ml / "output" / "data", f"{place}/output.tar.gz", self._objects, self._kms_key
            )
            if self._request["OutputDataConfig"].get("CompressionType") == "NONE":
                uri = f"{place}/model/"
                found = artifacts.upload_files(self._ml / "model", uri, self._objects, self._kms_key) > 0
            else:
                uri = f"{place}/model.tar.gz"
                found = artifacts.upload_archive(self._ml / "model", uri, self._objects, self._kms_key)
        except TransferError as error:
            raise JobFailedError(f"ClientError: Artifact upload failed: {error}") from error
        if not found:
            self._job.log.say("The job left nothing in /opt/ml/model, so there is no model artifact.")
            return {}
        return {"ModelArtifacts": {"S3ModelArtifacts": uri}}

    def _failure_reason(self, exit_code: int) -> str:
        """As AWS composes it: the failure file, or what the framework container would have written there."""
        failure = self._ml / "output" / "failure"
        if failure.is_file():
            message = failure.read_text(encoding="utf-8", errors="replace")[:_MAX_FAILURE_FILE]
        else:
            told = failure_message(self._job.log.tail)
            message = f'ExecuteUserScriptError:\nExitCode {exit_code}\nErrorMessage "{told}"'
        return f"AlgorithmError: {message}, exit code: {exit_code}"

    def _measure(self, line: str, now: float) -> None:
        measured = self._metrics.parse(line, now)
        if measured:
            self._job.context.platform.put_metric_data(NAMESPACE, metric_data(measured, self._job.name))

    @property
    def _checkpoints(self) -> Path | None:
        path = request_of.checkpoint_path(self._request)
        return None if path is None else self._ml / path.removeprefix("/opt/ml/")

    def _config(self, name: str) -> Path:
        return self._ml / "input" / "config" / f"{name}.json"
