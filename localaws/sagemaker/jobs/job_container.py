"""The container of a job on a host: its role, its image, its environment variables, and what it sees."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from localaws.sagemaker.containers import container, environment, layers, sdk_settings
from localaws.sagemaker.containers.container import ContainerSpec
from localaws.sagemaker.containers.image_table import ImageNotFoundError
from localaws.sagemaker.containers.images import ImageBuildError, ImageEnvironment
from localaws.sagemaker.containers.layers import Writable
from localaws.sagemaker.containers.objects import Objects
from localaws.sagemaker.containers.opt_ml import OPT_ML, make_directories
from localaws.sagemaker.context import Context
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.core.request import Caller
from localaws.sagemaker.jobs import hosts, job_limits, shared_cores
from localaws.sagemaker.jobs.job import Host, Role
from localaws.sagemaker.jobs.outcomes import JobFailedError


@contextmanager
def passed_role(context: Context, caller: Caller, role_arn: str, job_arn: str) -> Iterator[Role]:
    """The execution role, if the caller may pass it and it trusts SageMaker for this job.

    Its client is closed when the request is refused meanwhile; otherwise the job closes it.
    """
    context.platform.authorize(caller, "iam:PassRole", role_arn)
    role = assumed_role(context, role_arn, job_arn)
    try:
        yield role
    except SageMakerError:
        role.objects.close()
        raise


def assumed_role(context: Context, role_arn: str, job_arn: str) -> Role:
    """The execution role. Raises SageMakerError where it doesn't trust SageMaker for this job."""
    credentials = context.platform.assume_role(role_arn, "SageMaker", job_arn)
    return Role(credentials, Objects(context.wire.s3(credentials), role_arn))


def prepare_directories(host: Host, names: Sequence[str]) -> None:
    """Make the directories of the contract, and the container's /tmp, on an empty disk."""
    platform = host.job.context.platform
    make_directories(host.ml, names)
    host.tmp.mkdir()
    sdk_settings.write(host.tmp, platform.region, platform.account)


def image_environment(host: Host, image_uri: str) -> Writable:
    """The environment of the job's image, as its container may change it. Raises JobFailedError."""
    try:
        image = host.job.context.images.environment(image_uri, host.log.say)
    except ImageNotFoundError as error:
        raise JobFailedError(f"ClientError: Requested image {image_uri} not found.") from error
    except ImageBuildError as error:
        raise JobFailedError(f"ClientError: CannotPullContainerError: {error}") from error
    return layers.writable(image, host.directory / "layer", host.tmp)


def variables(host: Host, image: ImageEnvironment) -> dict[str, str]:
    """The environment variables of every job, before its own."""
    job = host.job
    base, tmp = container.ml_dir(host.ml), container.tmp_view(host.tmp)
    return {
        "PYTHONIOENCODING": "UTF-8",
        **environment.variables(job.context.platform, job.role.credentials, image, base=base, tmp=tmp),
        sdk_settings.VARIABLE: str(tmp / sdk_settings.FILE_NAME),
        **of_every_job(host),
    }


def of_every_job(host: Host) -> dict[str, str]:
    """The environment variables that every job's container has, whatever its image: SageMaker's, and on its cores."""
    count = len(host.job.hosts)
    threads = shared_cores.variables(count, os.cpu_count() or 1)
    return {**threads, "CURRENT_HOST": host.name, "DMLC_INTERFACE": hosts.interface(count)}


def spec(
    host: Host, command: Sequence[str], variables: Mapping[str, str], *, cwd: Path, isolated: bool
) -> ContainerSpec:
    """The container of a host. Raises JobFailedError when network isolation is asked for and can't be had."""
    if isolated and container.isolation() == "none":
        raise JobFailedError("ClientError: EnableNetworkIsolation: this machine's kernel allows no network namespaces")
    return ContainerSpec(
        command=[_where_it_is(word, host.ml) for word in command],
        environment=variables,
        base_dir=host.ml,
        tmp_dir=host.tmp,
        cwd=cwd,
        hide=host.job.context.platform.private_dirs,
        network="none" if isolated else "host",
        limits=job_limits.limits(host.job.document),
    )


def say_all(host: Host, installed: Writable, remarks: Sequence[str]) -> None:
    """Write everything in which this machine differs from AWS into the job's log."""
    say_notes(host, [*installed.image.notes, *remarks], layers.describe(installed))


def say_notes(host: Host, notes: Sequence[str], of_layer: str | None = None) -> None:
    """Write lines into a host's log on what differs, and on what a container shares or isn't kept from."""
    job, own = host.job, host.job.document.get("Environment", {})
    threads = job.remarks or shared_cores.remarks(len(job.hosts), os.cpu_count() or 1, own, "hosts")
    host.log.say(*filter(None, [*notes, *threads, container.describe_isolation(), of_layer]))


def _where_it_is(word: str, ml: Path) -> str:
    """A path of the contract in a command, as the container finds it: itself, where there is a literal /opt/ml."""
    return f"{container.ml_dir(ml)}/{word.removeprefix(OPT_ML)}" if word.startswith(OPT_ML) else word
