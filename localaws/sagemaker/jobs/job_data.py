"""A job's data on its way to its hosts: each gets the whole of a channel, or its share of one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from localaws.sagemaker.containers import channels
from localaws.sagemaker.containers.channels import ManifestError, Source
from localaws.sagemaker.containers.objects import Download, TransferError
from localaws.sagemaker.jobs import job_limits
from localaws.sagemaker.jobs.job import Job
from localaws.sagemaker.jobs.outcomes import JobFailedError

Give = Callable[[Path, Path], object]

MOST_COPIED = 256 * 1024 * 1024  # bytes of a channel of which each host gets a copy of its own


def fetch(job: Job, source: Source, what: str = "channel") -> None:
    """Fetch a source, whose directory is below /opt/ml, to the hosts. Raises JobFailedError.

    What all hosts get is downloaded once. The files of a large source are the same for all of them, so that it takes
    its room once; they are read-only, and who makes one writable changes it for all.
    """
    downloads = _fetch(job, source, what)
    if not source.is_sharded:
        targets = _targets(downloads)
        size = sum((job.first.ml / target).stat().st_size for target in targets)
        _give_to_others(job, targets, shutil.copyfile if size <= MOST_COPIED else _link)


def fetch_checkpoints(job: Job, source: Source) -> None:
    """The same for checkpoints, of which there may be none; each host gets copies, however large they are."""
    _give_to_others(job, _targets(_fetch(job, source, "channel", may_be_empty=True)), shutil.copyfile)


def _fetch(job: Job, source: Source, what: str, *, may_be_empty: bool = False) -> list[Download]:
    """Fetch a source to the first host, or each host's share to it; all of it, by its paths below /opt/ml."""
    for host in job.hosts:
        (host.ml / source.directory).mkdir(parents=True, exist_ok=True)
    try:
        downloads = channels.plan(source, job.role.objects, may_be_empty=may_be_empty)
        dealt = channels.shares(source, downloads, len(job.hosts)) if source.is_sharded else [downloads]
        job.role.objects.download(_placed(job, dealt), job.signals.keep_going)
    except (TransferError, ManifestError, ValueError) as error:
        raise JobFailedError(f"ClientError: Data download failed for {what} {source.name}: {error}") from error
    return downloads


def _placed(job: Job, dealt: Sequence[Sequence[Download]]) -> list[Download]:
    """What the first of the hosts download, by this machine's paths; there must be room for it on each of them."""
    placed = []
    for host, share in zip(job.hosts, dealt, strict=False):
        job_limits.check_room(host, share)
        placed += [replace(download, target=host.ml / download.target) for download in share]
    return placed


def _targets(downloads: Sequence[Download]) -> list[Path]:
    return list(dict.fromkeys(download.target for download in downloads))


def _give_to_others(job: Job, targets: Sequence[Path], give: Give) -> None:
    for host in job.hosts[1:]:
        for target in targets:
            (host.ml / target).parent.mkdir(parents=True, exist_ok=True)
            give(job.first.ml / target, host.ml / target)


def _link(source: Path, target: Path) -> None:
    """The same file under another name, or, where its disk has no such names, a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    else:
        source.chmod(0o444)
