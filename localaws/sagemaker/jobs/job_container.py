"""What training and processing jobs' containers have in common: environment variables, image, and what they may see."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localaws.sagemaker.containers import container
from localaws.sagemaker.containers.container import ContainerSpec
from localaws.sagemaker.containers.images import ImageBuildError, ImageEnvironment, ImageNotFoundError
from localaws.sagemaker.containers.objects import Objects
from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.core.request import Caller
from localaws.sagemaker.jobs.job import Job, JobFailedError, Role

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def check_image(context: Context, image_uri: str) -> None:
    """Refuse an image that can't be pulled."""
    try:
        context.images.check(image_uri)
    except ImageNotFoundError as error:
        raise errors.validation(f"Requested image {image_uri} not found.") from error


@contextmanager
def passed_role(context: Context, caller: Caller, role_arn: str) -> Iterator[Role]:
    """The execution role, if the caller may pass it and it trusts SageMaker.

    Its client is closed when the request is refused meanwhile; otherwise the job closes it.
    """
    context.platform.authorize(caller, "iam:PassRole", role_arn)
    credentials = context.platform.assume_role(role_arn, "SageMaker")
    objects = Objects(context.wire.client("s3", credentials), role_arn)
    try:
        yield Role(credentials, objects)
    except SageMakerError:
        objects.close()
        raise


def image_environment(job: Job, image_uri: str, requirements: Path | None = None) -> ImageEnvironment:
    """The environment of the job's image, with a requirements.txt if there is one. Raises JobFailedError."""
    try:
        if requirements is not None and requirements.is_file():
            return job.context.images.with_requirements(image_uri, requirements, job.log.say)
        return job.context.images.environment(image_uri, job.log.say)
    except ImageNotFoundError as error:
        raise JobFailedError(f"ClientError: Requested image {image_uri} not found.") from error
    except ImageBuildError as error:
        what = "InstallRequirementsError" if requirements and requirements.is_file() else "CannotPullContainerError"
        raise JobFailedError(f"ClientError: {what}: {error}") from error


def variables(job: Job, image: ImageEnvironment, base: Path, tmp: Path) -> dict[str, str]:
    """The environment variables of every job, before its own: nothing of the server's environment."""
    platform = job.context.platform
    return {
        "PATH": f"{image.python.parent}:{_SYSTEM_PATH}",
        "HOME": str(tmp),
        "TMPDIR": str(tmp),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "UTF-8",
        **image.variables,
        "SAGEMAKER_BASE_DIR": str(base),
        "CURRENT_HOST": "algo-1",
        "DMLC_INTERFACE": "eth0",
        "AWS_REGION": platform.region,
        "AWS_DEFAULT_REGION": platform.region,
        "AWS_ENDPOINT_URL": platform.endpoint_url,
        "AWS_ACCESS_KEY_ID": job.role.credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": job.role.credentials.secret_access_key,
        "AWS_SESSION_TOKEN": job.role.credentials.session_token,
    }


def spec(  # noqa: PLR0913 - what makes a container
    job: Job, ml: Path, command: Sequence[str], environment: Mapping[str, str], *, cwd: Path, isolated: bool
) -> ContainerSpec:
    """The container of a job. Raises JobFailedError when network isolation is asked for and can't be had."""
    if isolated and container.isolation() == "none":
        raise JobFailedError("ClientError: EnableNetworkIsolation: this machine's kernel allows no network namespaces")
    return ContainerSpec(
        command=[_where_it_is(word, ml) for word in command],
        environment=environment,
        base_dir=ml,
        tmp_dir=job.directory / "tmp",
        cwd=cwd,
        hide=job.context.platform.private_dirs,
        needs=[job.context.platform.image_dir],
        network="none" if isolated else "host",
    )


def make_directories(base: Path, names: Sequence[str]) -> None:
    """Directories of the contract that must be there before the job looks."""
    for name in names:
        (base / name).mkdir(parents=True, exist_ok=True)


def write_json(path: Path, document: Any) -> None:
    """A configuration file of the contract."""
    path.write_text(json.dumps(document), encoding="utf-8")


def say_all(job: Job, image: ImageEnvironment, remarks: Sequence[str]) -> None:
    """Everything in which this machine differs from AWS, into the job's log."""
    for line in [*image.notes, *remarks, container.describe_isolation()]:
        if line:
            job.log.say(line)


def _where_it_is(word: str, ml: Path) -> str:
    """A path of the contract in a command, as the container finds it: itself, where there is a literal /opt/ml."""
    literal = f"{container.OPT_ML}/"
    return f"{container.ml_dir(ml)}/{word.removeprefix(literal)}" if word.startswith(literal) else word
