"""Script mode on an instance: the source archive in /opt/ml/code, and the command and variables of its entry point."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

from localaws.sagemaker.containers import container, script_mode, tensorflow_training, torch_distributed
from localaws.sagemaker.containers.archives import BrokenArchiveError, UnsafeArchiveError, unpack, why_no_gzip
from localaws.sagemaker.containers.images import ImageEnvironment
from localaws.sagemaker.containers.objects import Download, S3Object, TransferError
from localaws.sagemaker.containers.opt_ml import OPT_ML, located
from localaws.sagemaker.containers.script_mode import EntryPointError, MachineFacts, ScriptJob
from localaws.sagemaker.core.wire import split_s3_uri
from localaws.sagemaker.jobs import hosts, job_limits, training_channels
from localaws.sagemaker.jobs.job import Host
from localaws.sagemaker.jobs.outcomes import JobFailedError

# The toolkit downloads the source inside the container (files.py, download_and_extract).
_UNREACHABLE = (
    "AlgorithmError: Framework Error: \nthe source {directory} can't be downloaded in a container without a network "
    "(EnableNetworkIsolation): give the job a channel with it, and name its place in sagemaker_submit_directory, for "
    "example /opt/ml/input/data/code/sourcedir.tar.gz, exit code: 1"
)


def script_job(host: Host, image: ImageEnvironment | None = None) -> ScriptJob:
    """The job as the framework container in its image sees it."""
    job, document = host.job, host.job.document
    instance_type = document["ResourceConfig"]["InstanceType"]
    return ScriptJob(
        name=job.name,
        base=container.ml_dir(host.ml),
        hyperparameters=document.get("HyperParameters", {}),
        input_data_config=training_channels.input_data_config(document),
        resource_config=hosts.resource_config(instance_type, len(job.hosts), host.number),
        machine=MachineFacts(cpus=os.cpu_count() or 1),
        framework_module=image.variables.get("SAGEMAKER_TRAINING_MODULE") if image else None,
        start=image.start if image else "direct",
    )


def unpack_source(host: Host) -> Path:
    """sagemaker_submit_directory into /opt/ml/code; where that is. Raises JobFailedError."""
    job = host.job
    directory, code = str(script_job(host).submit_directory), host.ml / "code"
    if directory.startswith(OPT_ML):
        _copy_source(host, directory, code)
        return code
    if job.document["EnableNetworkIsolation"]:
        raise JobFailedError(_UNREACHABLE.format(directory=directory))
    bucket, key = split_s3_uri(directory)
    archive = host.directory / "sourcedir.tar.gz"
    try:
        job.role.objects.download([Download(S3Object(bucket, key), archive)])
    except TransferError as error:
        raise JobFailedError(f"ClientError: Source download failed: {error}") from error
    _unpack(host, archive, directory)
    archive.unlink()
    return code


def _copy_source(host: Host, directory: str, code: Path) -> None:
    """What lies in a channel: a directory, an archive of one, or a single file (the toolkit's files.py)."""
    source = located(directory, host.ml)
    if not source.resolve().is_relative_to(host.ml.resolve()) or not source.exists():
        raise JobFailedError(f"ClientError: sagemaker_submit_directory {directory} isn't the job's")
    if source.is_dir():
        shutil.copytree(source, code, dirs_exist_ok=True)
    elif tarfile.is_tarfile(source):
        _unpack(host, source, directory)
    else:
        shutil.copy2(source, code)


def _unpack(host: Host, archive: Path, place: str) -> None:
    try:
        if (refusal := why_no_gzip(archive)) is not None:
            raise BrokenArchiveError(f"{archive.name} is not a readable tar.gz: {refusal}")
        unpack(archive, host.ml / "code", job_limits.limits(host.job.document).disk)
    except (UnsafeArchiveError, BrokenArchiveError) as error:
        raise JobFailedError(f"ClientError: Source archive {place} refused: {error}") from error


def command(host: Host, script: ScriptJob) -> list[str]:
    """The command that starts the entry point. Raises JobFailedError when it isn't there."""
    program, code = script.entry_point, host.ml / "code"
    if not (code / program).is_file():
        there = ", ".join(sorted(path.name for path in code.iterdir())) or "nothing"
        raise JobFailedError(
            f"ClientError: sagemaker_program {program!r} isn't in the source archive, which holds {there}"
        )
    if not program.endswith(".py"):
        (code / program).chmod(0o755)
    try:
        return script_mode.command(script, code)
    except EntryPointError as error:
        raise JobFailedError(f"AlgorithmError: {error}, exit code: 1") from error


def variables(host: Host, script: ScriptJob, image: ImageEnvironment) -> dict[str, str]:
    """The variables that the framework container sets for the script."""
    job = host.job
    own = job.document.get("Environment", {}).get("PYTHONPATH", "")
    region = str(script.decoded.get("sagemaker_region", job.context.platform.region))
    is_tensorflow = tensorflow_training.is_tensorflow(script.framework_module)
    return {
        **_of_pytorch(host, script),
        **(tensorflow_training.variables(region) if is_tensorflow else {}),
        **script_mode.variables(script),
        "PYTHONPATH": ":".join([*script_mode.module_path(script.base / "code", image.python), *filter(None, [own])]),
        "SAGEMAKER_JOB_NAME": str(script.decoded.get("sagemaker_job_name", "")),
        "SAGEMAKER_REGION": region,
    }


def _of_pytorch(host: Host, script: ScriptJob) -> dict[str, str]:
    """What PyTorch's container sets for processes of several hosts, or that torchrun starts; else nothing here."""
    count, by_torchrun = len(host.job.hosts), script.is_torch_distributed
    if not torch_distributed.is_pytorch(script.framework_module) or (count == 1 and not by_torchrun):
        return {}
    found = torch_distributed.variables(hosts.names(count), hosts.interface(count), by_torchrun=by_torchrun)
    return found if count > 1 else {**found, "PET_MASTER_PORT": str(_own_port(host.job.directory.name))}


def _own_port(directory: str) -> int:
    """A port for torchrun's own of a job on one host, which shares this machine's with others; by random digits."""
    return 20_000 + int(directory[-4:], 16) % 10_000
