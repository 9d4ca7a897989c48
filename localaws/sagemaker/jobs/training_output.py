"""A training job's results: its model and output in S3, and the reason why it failed."""

from __future__ import annotations

from localaws.sagemaker.containers import artifacts
from localaws.sagemaker.containers.logs import failure_message
from localaws.sagemaker.containers.objects import InsufficientSpaceError, TransferError
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs.job import Host, Job
from localaws.sagemaker.jobs.outcomes import JobFailedError

_MAX_FAILURE_FILE = 1024  # characters of /opt/ml/output/failure that SageMaker reads
_MAX_UTF8 = 4  # bytes of a character
_ROOM_FOR_EXIT_CODE = len("AlgorithmError: , exit code: 255")
_NO_MESSAGE = 'ErrorMessage ""'


def upload(job: Job) -> Document:
    """Upload what the hosts have left as model and output; the members that say where the model is. JobFailedError.

    "SageMaker AI aggregates the result in a TAR file", and hosts "should ensure no file/directory names clash" ("How
    Amazon SageMaker AI Processes Training Output"). Where they do, the first host's file is taken.
    """
    try:
        uri = _upload(job)
    except InsufficientSpaceError as error:
        raise JobFailedError(f"ClientError: Artifact upload failed:{error}") from error
    except TransferError as error:
        raise JobFailedError(f"ClientError: Artifact upload failed: {error}") from error
    if uri is None:
        job.log.say("The job left nothing in /opt/ml/model, so there is no model artifact.")
        return {}
    return {"ModelArtifacts": {"S3ModelArtifacts": uri}}


def _upload(job: Job) -> str | None:
    """Where the model is, None when there is none."""
    wanted, objects = job.document["OutputDataConfig"], job.role.objects
    model, data = ([host.folder(name) for host in job.hosts] for name in ("model", "output/data"))
    place, kms_key = f"{wanted['S3OutputPath'].rstrip('/')}/{job.name}/output", wanted.get("KmsKeyId")
    artifacts.upload_archive(data, f"{place}/output.tar.gz", objects, kms_key, job.log.say)
    if wanted.get("CompressionType") == "NONE":
        uri = f"{place}/model/"
        found = artifacts.upload_files(model, uri, objects, kms_key, job.log.say) > 0
    else:
        uri = f"{place}/model.tar.gz"
        found = artifacts.upload_archive(model, uri, objects, kms_key, job.log.say)
    return uri if found else None


def failure_reason(host: Host, exit_code: int) -> str:
    """As AWS composes it: the failure file and the exit code, with what the job said last where the file has nothing.

    The toolkits of some images leave the message empty, and an entry point of one's own leaves no file.
    """
    failure, told = host.read("output/failure", _MAX_UTF8 * _MAX_FAILURE_FILE), failure_message(host.log.tail)
    if failure is None:
        return f"AlgorithmError: {host.named(told)}, exit code: {exit_code}"
    message = failure.decode("utf-8", "replace")[:_MAX_FAILURE_FILE]
    return f"AlgorithmError: {host.named(with_message(message, told))}, exit code: {exit_code}"


def with_message(reason: str, told: str) -> str:
    """A toolkit's reason with `told` for the message that it lacks; the command is cut to leave room for it."""
    head, empty, command = reason.partition(_NO_MESSAGE)
    if not empty:
        return reason
    said = f'{head}{_NO_MESSAGE[:-1]}{told}"'
    return said + command[: max(_MAX_FAILURE_FILE - len(said) - _ROOM_FOR_EXIT_CODE, 0)]
