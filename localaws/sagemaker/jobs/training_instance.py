"""A training job on an instance: from an empty disk to a container that can start, with the last checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from localaws.sagemaker.containers import (
    channels,
    container,
    image_table,
    script_mode,
    script_reading,
    train_command,
    warm_start,
)
from localaws.sagemaker.containers.channels import ManifestError, Source
from localaws.sagemaker.containers.container import ContainerSpec
from localaws.sagemaker.containers.layers import Writable
from localaws.sagemaker.containers.objects import TransferError
from localaws.sagemaker.containers.opt_ml import located, write_json
from localaws.sagemaker.containers.train_command import Plan
from localaws.sagemaker.containers.warm_start import Warm
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.jobs import (
    job_container,
    job_limits,
    own_image_job,
    training_install,
    training_request,
    training_source,
    warm_pool_cache,
)
from localaws.sagemaker.jobs.job import Job
from localaws.sagemaker.jobs.outcomes import JobFailedError
from localaws.sagemaker.jobs.own_image_job import OwnContainer
from localaws.sagemaker.jobs.training_install import RunContainer

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


def container_spec(job: Job, run: RunContainer) -> ContainerSpec:
    """The container, once its image, its source and what it needs are there; `run` runs another one before it.

    Raises JobFailedError, and EndedEarlyError where that other one is ended from outside.
    """
    document = job.document
    if image_table.is_own(document["AlgorithmSpecification"]["TrainingImage"]):
        return _own_container_spec(job)
    installed = job_container.image_environment(job, document["AlgorithmSpecification"]["TrainingImage"])
    job_container.say_all(job, installed, [*training_request.remarks(document), *job.remarks])
    installed, plan = _with_plan(job, installed, run)
    environment = {**job_container.variables(job, installed.image), **_own_variables(job)}
    command, tools = training_request.own_command(document), None
    is_train = plan is not None and not command
    if plan is not None:
        tools = job.directory / "tools"
        train_command.install(tools, plan, installed.image.python)
        environment["PATH"] = f"{container.tools_view(tools)}:{environment['PATH']}"
        program = f"{container.tools_view(tools)}/{train_command.NAME}"
        # Without its environment's packages (-S) Python starts twice as fast.
        command = command or [str(installed.image.python), "-I", "-S", program]
    isolated = bool(document["EnableNetworkIsolation"])
    spec = job_container.spec(job, command, environment, cwd=container.ml_dir(job.ml), isolated=isolated)
    warm = None if plan is None else _warm(job, installed, plan, environment)
    return replace(installed.given_to(spec), as_process_1=True, is_train=is_train, tools=tools, warm=warm)


def _own_variables(job: Job) -> dict[str, str]:
    """The variables of a training job, whatever its image."""
    return {
        "TRAINING_JOB_NAME": job.name,
        "TRAINING_JOB_ARN": job.document["TrainingJobArn"],
        **warm_pool_cache.variables(job),
        **job.variables,
        **job.document.get("Environment", {}),
    }


def _own_container_spec(job: Job) -> ContainerSpec:
    """The container in an image of one's own: `docker run IMAGE train`. Raises JobFailedError."""
    document = job.document
    algorithm = document["AlgorithmSpecification"]
    words, remarks = training_request.own_command(document), [*training_request.remarks(document), *job.remarks]
    wanted = OwnContainer(
        algorithm["TrainingImage"],
        lambda config: words or config.run([], [train_command.NAME]),
        _own_variables(job),
        remarks,
        isolated=bool(document["EnableNetworkIsolation"]),
    )
    return own_image_job.container_spec(job, wanted)


def _warm(job: Job, installed: Writable, plan: Plan, environment: Mapping[str, str]) -> Warm | None:
    """How the script may begin warm; None where it isn't a script that Python runs, with nothing to install."""
    if plan.install or plan.failure or plan.command[0] != "python" or plan.command[1].startswith("-"):
        return None
    code, image = job.ml / "code", installed.image
    forks: Literal["train", "scripts"] = "scripts" if training_request.own_command(job.document) else "train"
    reading = script_reading.of_file(code / plan.command[1], [code], warm_start.framework(image.imports))
    return Warm(image.python, image.imports, {**environment, **plan.variables}, reading, forks)


def _with_plan(job: Job, installed: Writable, run: RunContainer) -> tuple[Writable, Plan | None]:
    """What the image's `train` is to do, where the request names a script, and the environment that it does it in.

    A job with an entry point of its own may never ask for the script: what is wrong with it is `train`'s to say.
    Raises JobFailedError.
    """
    if not training_request.is_script_mode(job.document):
        return installed, None
    try:
        return _with_script(job, installed, run)
    except JobFailedError as error:
        if not training_request.own_command(job.document):
            raise
        return installed, Plan(failure=str(error))


def _with_script(job: Job, installed: Writable, run: RunContainer) -> tuple[Writable, Plan]:
    try:
        training_request.check_script_mode(job.document["HyperParameters"])
    except SageMakerError as error:
        raise JobFailedError(f"ClientError: {error.message}") from error
    training_source.unpack_source(job)
    script = training_source.script_job(job, installed.image)
    command = training_source.command(job, script)
    installed, install = training_install.plan(job, script, installed, run)
    job.log.say(f"Invoking script with the following command: {' '.join(command)}")
    return installed, Plan(
        command=command,
        told=script_mode.told(script, command),
        reason_file=str(container.ml_dir(job.ml) / "output" / "failure"),
        cwd=str(container.ml_dir(job.ml) / "code"),
        variables=training_source.variables(job, script, installed.image),
        install=install,
    )


def _fetch(job: Job, source: Source) -> None:
    try:
        downloads = channels.plan(source, job.role.objects, may_be_empty=source.name == "checkpoints")
        job_limits.check_room(job, downloads)
        job.role.objects.download(downloads, job.signals.keep_going)
    except (TransferError, ManifestError, ValueError) as error:
        raise JobFailedError(f"ClientError: Data download failed for channel {source.name}: {error}") from error
