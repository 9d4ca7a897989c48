"""A training job on an instance: from an empty disk to a container that can start, with the last checkpoints."""

from __future__ import annotations

from pathlib import Path

from localaws.sagemaker.containers import channels, container
from localaws.sagemaker.containers.channels import ManifestError, Source
from localaws.sagemaker.containers.container import ContainerSpec
from localaws.sagemaker.containers.layers import Writable
from localaws.sagemaker.containers.objects import TransferError
from localaws.sagemaker.containers.opt_ml import located, write_json
from localaws.sagemaker.jobs import job_container, training_request, training_source
from localaws.sagemaker.jobs.job import Job
from localaws.sagemaker.jobs.outcomes import JobFailedError

DIRECTORIES = ("input/config", "input/data", "model", "code", "output/data", "output/intermediate", "checkpoints")


def write_configuration(job: Job) -> None:
    """Write the files under input/config (developer guide, "How SageMaker AI provides training information")."""
    document, config = job.document, job.ml / "input" / "config"
    instance_type = document["ResourceConfig"]["InstanceType"]
    write_json(config / "hyperparameters.json", document.get("HyperParameters", {}))
    write_json(config / "inputdataconfig.json", training_request.input_data_config(document))
    write_json(config / "resourceconfig.json", training_request.resource_config(instance_type))


def download(job: Job) -> None:
    """Fetch the channels and the checkpoints. Raises JobFailedError."""
    for source in training_request.sources(job.document, job.ml / "input" / "data"):
        source.directory.mkdir()
        _fetch(job, source)
    directory = checkpoints(job)
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        _fetch(job, Source("checkpoints", "S3Prefix", job.document["CheckpointConfig"]["S3Uri"], directory))
    job.signals.keep_going()


def checkpoints(job: Job) -> Path | None:
    """The directory of the job's checkpoints, None without CheckpointConfig."""
    path = training_request.checkpoint_path(job.document)
    return None if path is None else located(path, job.ml)


def container_spec(job: Job) -> ContainerSpec:
    """The container, once its image and its source are there. Raises JobFailedError."""
    document = job.document
    installed = _prepare_image(job)
    environment = {
        **job_container.variables(job, installed.image),
        "TRAINING_JOB_NAME": job.name,
        "TRAINING_JOB_ARN": document["TrainingJobArn"],
        **document.get("Environment", {}),
    }
    cwd = container.ml_dir(job.ml)
    if training_request.has_own_entrypoint(document):
        algorithm = document["AlgorithmSpecification"]
        command = [*algorithm["ContainerEntrypoint"], *algorithm.get("ContainerArguments", [])]
    else:
        script = training_source.script_job(job, installed.image)
        command = training_source.command(job, script)
        environment |= training_source.variables(job, script)
        cwd /= "code"
    isolated = bool(document["EnableNetworkIsolation"])
    return installed.given_to(job_container.spec(job, command, environment, cwd=cwd, isolated=isolated))


def _prepare_image(job: Job) -> Writable:
    if not training_request.has_own_entrypoint(job.document):
        training_source.unpack_source(job)
    installed = job_container.image_environment(job, job.document["AlgorithmSpecification"]["TrainingImage"])
    job_container.say_all(job, installed, training_request.remarks(job.document))
    return installed


def _fetch(job: Job, source: Source) -> None:
    try:
        downloads = channels.plan(source, job.role.objects, may_be_empty=source.name == "checkpoints")
        job.role.objects.download(downloads, job.signals.keep_going)
    except (TransferError, ManifestError, ValueError) as error:
        raise JobFailedError(f"ClientError: Data download failed for channel {source.name}: {error}") from error
