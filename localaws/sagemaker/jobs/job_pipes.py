"""Channels in Pipe mode, streamed to each of a job's hosts while its containers run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from localaws.sagemaker.containers import streams
from localaws.sagemaker.containers.channels import ManifestError, Source
from localaws.sagemaker.containers.objects import TransferError
from localaws.sagemaker.containers.pipes import Pipes
from localaws.sagemaker.containers.streams import Stream
from localaws.sagemaker.jobs.job import Host, Job
from localaws.sagemaker.jobs.outcomes import JobFailedError

FOLDER = "input/data"


def plan(job: Job, source: Source) -> Stream:
    """What a channel streams. Raises JobFailedError."""
    try:
        return streams.plan(source, job.role.objects)
    except (TransferError, ManifestError, ValueError) as error:
        raise JobFailedError(_failed(source, error)) from error


@contextmanager
def fed(job: Job, planned: Sequence[Stream]) -> Iterator[None]:
    """Stream channels to all hosts meanwhile; what can't be is the job's failure. No pipe is left."""
    with ExitStack() as stack:
        for host in job.hosts:
            for stream in planned:
                stack.enter_context(_pipes(host, stream))
        yield


def _pipes(host: Host, stream: Stream) -> Pipes:
    job, source = host.job, stream.source

    def epoch(number: int) -> Iterator[bytes]:
        records = stream.epoch(number, host.number - 1, len(job.hosts))
        return streams.content(records, source, job.role.objects)

    def failed(why: str) -> None:
        job.signals.fail(_failed(source, why))

    return Pipes(host.ml, FOLDER, source.name, epoch, failed=failed, say=host.log.say)


def _failed(source: Source, why: object) -> str:
    return f"ClientError: Data download failed for channel {source.name}: {why}"
