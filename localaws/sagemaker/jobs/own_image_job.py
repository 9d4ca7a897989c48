"""A job in an image of one's own: what its container is, from the image's configuration and the job's request.

"Run image with your own container": `docker run IMAGE train` for training, `docker run IMAGE` for processing, and the
entry point and arguments of a request over the image's. The image needs nothing of ours, so nothing of a framework's
image is here: no script, no toolkit, no warm interpreter.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from localaws.sagemaker.containers import container, environment, own_images, sdk_settings
from localaws.sagemaker.containers.container import ContainerSpec
from localaws.sagemaker.containers.image_config import ImageConfig
from localaws.sagemaker.containers.own_images import CannotRunImageError
from localaws.sagemaker.jobs import host_network, job_container
from localaws.sagemaker.jobs.job import Host
from localaws.sagemaker.jobs.outcomes import JobFailedError

_NO_COMMAND = "CannotStartContainerError: No command specified: the image has neither ENTRYPOINT nor CMD"


@dataclass(frozen=True)
class OwnContainer:
    """What a job asks of a container in an image of one's own.

    uri: of the image. command: what runs in an image of such a configuration. variables: of the job, over the image's.
    remarks: for the job's log. isolated: whether it has no network, and so no credentials.
    """

    uri: str
    command: Callable[[ImageConfig], list[str]]
    variables: Mapping[str, str]
    remarks: Sequence[str]
    isolated: bool


def container_spec(host: Host, wanted: OwnContainer) -> ContainerSpec:
    """The container of a host, once the image is pulled and unpacked. Raises JobFailedError."""
    job = host.job
    platform, role = job.context.platform, job.document["RoleArn"]
    try:
        image = own_images.resolve(
            job.context.images, platform, wanted.uri, role, host.log.say, keep_going=job.signals.keep_going
        )
        root, notes = own_images.prepare(image, host.directory, host.name, {}, has_network=not wanted.isolated)
    except CannotRunImageError as error:
        host.log.say(*error.details)
        raise JobFailedError(f"ClientError: {error}") from error
    except OSError as error:
        raise JobFailedError(
            f"InternalServerError: the image's files can't be given to a container: {error}"
        ) from error
    if host.is_first:
        job_container.say_notes(host, [*notes, *wanted.remarks])
    words = wanted.command(image.config)
    if not words:
        raise JobFailedError(f"ClientError: {_NO_COMMAND}")
    host.tmp.chmod(0o1777)
    with contextlib.suppress(OSError):
        (host.ml / "code").rmdir()  # a framework's toolkit puts a script there; here it is the image's
    of_aws = environment.of_the_role(platform, job.role.credentials)
    if wanted.isolated:
        of_aws = environment.of_the_region(platform)
    of_sdk = {sdk_settings.VARIABLE: str(container.TMP / sdk_settings.FILE_NAME)}
    given = {"HOSTNAME": host.name, **of_aws, **of_sdk, **job_container.of_every_job(host), **wanted.variables}
    seen = image.config.environment(given, image.account.home)
    spec = job_container.spec(host, words, seen, cwd=Path(image.config.cwd), isolated=wanted.isolated)
    return host_network.joined(host, replace(spec, image_root=root, hostname=host.name))
