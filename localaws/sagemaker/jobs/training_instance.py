"""A training job on a host: from an empty disk to a container that can start, with the last checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from localaws.sagemaker.containers import (
    container,
    image_table,
    script_mode,
    script_reading,
    train_command,
    warm_start,
)
from localaws.sagemaker.containers.container import ContainerSpec
from localaws.sagemaker.containers.layers import Writable
from localaws.sagemaker.containers.opt_ml import write_json
from localaws.sagemaker.containers.train_command import Plan
from localaws.sagemaker.containers.warm_start import Warm
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.jobs import (
    host_network,
    hosts,
    job_container,
    own_image_job,
    training_channels,
    training_install,
    training_request,
    training_source,
    warm_pool_cache,
)
from localaws.sagemaker.jobs.job import Host
from localaws.sagemaker.jobs.outcomes import JobFailedError
from localaws.sagemaker.jobs.own_image_job import OwnContainer
from localaws.sagemaker.jobs.training_install import RunContainer

DIRECTORIES = ("input/config", "input/data", "model", "code", "output/data", "output/intermediate", "checkpoints")


def write_configuration(host: Host) -> None:
    """Write the files under input/config (developer guide, "How SageMaker AI provides training information")."""
    document, config = host.job.document, host.ml / "input" / "config"
    resources = hosts.resource_config(document["ResourceConfig"]["InstanceType"], len(host.job.hosts), host.number)
    write_json(config / "hyperparameters.json", document.get("HyperParameters", {}))
    write_json(config / "inputdataconfig.json", training_channels.input_data_config(document))
    write_json(config / "resourceconfig.json", resources)


def container_spec(host: Host, run: RunContainer) -> ContainerSpec:
    """The container, once its image, its source and what it needs are there; `run` runs another one before it.

    Raises JobFailedError, and EndedEarlyError where that other one is ended from outside.
    """
    document = host.job.document
    if image_table.is_own(document["AlgorithmSpecification"]["TrainingImage"]):
        return _own_container_spec(host)
    installed = job_container.image_environment(host, document["AlgorithmSpecification"]["TrainingImage"])
    if host.is_first:
        job_container.say_all(host, installed, training_request.remarks(document))
    installed, plan = _with_plan(host, installed, run)
    environment = {**job_container.variables(host, installed.image), **_own_variables(host)}
    command, tools = training_request.own_command(document), None
    is_train = plan is not None and not command
    if plan is not None:
        tools = host.directory / "tools"
        train_command.install(tools, plan, installed.image.python)
        environment["PATH"] = f"{container.tools_view(tools)}:{environment['PATH']}"
        program = f"{container.tools_view(tools)}/{train_command.NAME}"
        # Without its environment's packages (-S) Python starts twice as fast.
        command = command or [str(installed.image.python), "-I", "-S", program]
    isolated = bool(document["EnableNetworkIsolation"])
    spec = job_container.spec(host, command, environment, cwd=container.ml_dir(host.ml), isolated=isolated)
    warm = None if plan is None else _warm(host, installed, plan, environment)
    installs = plan is not None and plan.install is not None
    spec = host_network.joined(host, installed.given_to(spec), installs=installs)
    return replace(spec, as_process_1=True, is_train=is_train, tools=tools, warm=warm)


def _own_variables(host: Host) -> dict[str, str]:
    """The variables of a training job, whatever its image."""
    job = host.job
    return {
        "TRAINING_JOB_NAME": job.name,
        "TRAINING_JOB_ARN": job.document["TrainingJobArn"],
        **warm_pool_cache.variables(host),
        **job.variables,
        **job.document.get("Environment", {}),
    }


def _own_container_spec(host: Host) -> ContainerSpec:
    """The container in an image of one's own: `docker run IMAGE train`. Raises JobFailedError."""
    document = host.job.document
    words = training_request.own_command(document)
    wanted = OwnContainer(
        document["AlgorithmSpecification"]["TrainingImage"],
        lambda config: words or config.run([], [train_command.NAME]),
        _own_variables(host),
        training_request.remarks(document),
        isolated=bool(document["EnableNetworkIsolation"]),
    )
    return own_image_job.container_spec(host, wanted)


def _warm(host: Host, installed: Writable, plan: Plan, environment: Mapping[str, str]) -> Warm | None:
    """How the script may begin warm; None where it isn't a script that Python runs, with nothing to install."""
    if plan.install or plan.failure or plan.command[0] != "python" or plan.command[1].startswith("-"):
        return None
    code, image = host.ml / "code", installed.image
    forks: Literal["train", "scripts"] = "scripts" if training_request.own_command(host.job.document) else "train"
    reading = script_reading.of_file(code / plan.command[1], [code], warm_start.framework(image.imports))
    return Warm(image.python, image.imports, {**environment, **plan.variables}, reading, forks)


def _with_plan(host: Host, installed: Writable, run: RunContainer) -> tuple[Writable, Plan | None]:
    """What the image's `train` is to do, where the request names a script, and the environment that it does it in.

    A job with an entry point of its own may never ask for the script: what is wrong with it is `train`'s to say.
    Raises JobFailedError.
    """
    if not training_request.is_script_mode(host.job.document):
        return installed, None
    try:
        return _with_script(host, installed, run)
    except JobFailedError as error:
        if not training_request.own_command(host.job.document):
            raise
        return installed, Plan(failure=str(error))


def _with_script(host: Host, installed: Writable, run: RunContainer) -> tuple[Writable, Plan]:
    try:
        training_request.check_script_mode(host.job.document["HyperParameters"])
    except SageMakerError as error:
        raise JobFailedError(f"ClientError: {error.message}") from error
    training_source.unpack_source(host)
    script = training_source.script_job(host, installed.image)
    command = training_source.command(host, script)
    installed, install = training_install.plan(host, script, installed, run)
    host.log.say(f"Invoking script with the following command: {' '.join(command)}")
    return installed, Plan(
        command=command,
        told=script_mode.told(script, command),
        reason_file=str(container.ml_dir(host.ml) / "output" / "failure"),
        cwd=str(container.ml_dir(host.ml) / "code"),
        variables=training_source.variables(host, script, installed.image),
        install=install,
    )
