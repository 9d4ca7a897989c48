"""A job's limits: its instance's memory and its volume, and the reason of a job that has used more."""

from __future__ import annotations

from collections.abc import Sequence

from localaws.sagemaker.containers import instance_sizes
from localaws.sagemaker.containers.instance_sizes import GIB
from localaws.sagemaker.containers.limits import DISK, MAX_PROCESSES, MEMORY, PROCESSES, Limits, held
from localaws.sagemaker.containers.objects import INSUFFICIENT_SPACE, Download
from localaws.sagemaker.context import Context
from localaws.sagemaker.core import scarcity
from localaws.sagemaker.core.quotas import Use
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs import hosts
from localaws.sagemaker.jobs.hosts import resources
from localaws.sagemaker.jobs.job import Host
from localaws.sagemaker.jobs.outcomes import SCRIPT, JobFailedError, Outcome

_OUT_OF_MEMORY = (
    "ClientError: Please use an instance type with more memory, or reduce the size of job data processed "
    "on an instance."
)


def check_capacity(context: Context, wanted: Use) -> None:
    """Raises JobFailedError where the instance type is not to be had."""
    if wanted.instance_type in context.without_capacity:
        raise JobFailedError(scarcity.OF_A_JOB)


def limits(document: Document) -> Limits:
    """What each host of a training or processing job may use of this machine."""
    config = resources(document)
    memory = instance_sizes.usable(config["InstanceType"], hosts.count(document))
    return Limits(memory=memory, disk=config["VolumeSizeInGB"] * GIB)


def why_ended(host: Host, outcome: Outcome) -> str | None:
    """The reason of a job whose host has ended because of a limit, told in its log; None for any other."""
    if outcome.cause != SCRIPT or outcome.exit_code == 0 or outcome.exceeded is None:
        return None
    config, found = resources(host.job.document), limits(host.job.document)
    if outcome.exceeded == MEMORY:
        count = hosts.count(host.job.document)
        each = "a container" if count == 1 else f"each of {count} hosts"
        host.log.say(
            f"The container used more than {found.memory / GIB:.1f} GiB of memory, which {config['InstanceType']} has, "
            f"or this machine for {each}."
        )
        return _OUT_OF_MEMORY
    if outcome.exceeded == DISK:
        volume = f"volume of {config['VolumeSizeInGB']} GB (VolumeSizeInGB)"
        host.log.say(f"The container filled its {volume}, or this machine's disk.")
        return (
            f"AlgorithmError: {INSUFFICIENT_SPACE}: [Errno 28] No space left on device, exit code: {outcome.exit_code}"
        )
    if outcome.exceeded == PROCESSES:
        host.log.say(f"The container started more than {MAX_PROCESSES} processes.")
    return None


def check_room(host: Host, downloads: Sequence[Download]) -> None:
    """Refuse data that is larger than the job's volume, in AWS's words. Raises JobFailedError."""
    wanted = sum(download.source.size for download in downloads)
    volume = limits(host.job.document).disk
    if wanted > volume or wanted > volume - held([host.ml]):
        raise JobFailedError(f"ClientError: Data download failed:{INSUFFICIENT_SPACE}")
