"""A warm pool's persistent cache: a folder of its volume, which one job after another finds as the last has left it.

"Using persistent cache" (Developer Guide, SageMaker AI Managed Warm Pools). A job has it where it is to leave a pool or
has taken one. A pool that nobody takes ends without anybody noticing, so its cache goes later, at the latest when the
next job needs a cache, or when the server starts again.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from localaws.sagemaker.containers import container
from localaws.sagemaker.containers.beneath import remove
from localaws.sagemaker.context import Context
from localaws.sagemaker.jobs import job_records, warm_pool_operations, warm_pools
from localaws.sagemaker.jobs.engine import JobEngine
from localaws.sagemaker.jobs.job import Host, Job
from localaws.sagemaker.jobs.job_documents import TERMINAL
from localaws.sagemaker.jobs.kind import JobKind

_ABOVE, _NAME = "sagemaker", "warmpoolcache"


def variables(host: Host) -> dict[str, str]:
    """The variable by which a container finds its cache; none where it has none."""
    if not _has_one(host.job):
        return {}
    return {"SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY": str(container.ml_dir(host.ml) / _ABOVE / _NAME)}


def prepare(job: Job) -> None:
    """Give each host of a job its cache, with what is in it if the job has taken a pool."""
    if not _has_one(job):
        return
    before = warm_pool_operations.taken_from(job.context.store, job.name)
    for host in job.hosts:
        (host.ml / _ABOVE).mkdir()
        cache, left = host.ml / _ABOVE / _NAME, _folder(job.context) / before / host.name if before else None
        if left is not None and left.is_dir():
            left.rename(cache)
        else:
            cache.mkdir()
    sweep(job.context)


def leave(job: Job) -> None:
    """Keep the caches of a job that is over for the next one, if it is to leave a pool."""
    if not warm_pools.period(job.document):
        return
    remove(_folder(job.context) / job.name)
    for host in job.hosts:
        if (host.ml / _ABOVE).exists():
            _leave(host, _folder(job.context) / job.name / host.name)


def _leave(host: Host, left: Path) -> None:
    left.parent.mkdir(parents=True, exist_ok=True)
    with host.folder(_ABOVE).open(host.log.say) as above:
        try:
            if above is not None and stat.S_ISDIR(os.lstat(_NAME, dir_fd=above.descriptor).st_mode):
                os.rename(_NAME, left, src_dir_fd=above.descriptor)
        except OSError as error:
            host.log.say(f"{container.ml_dir(host.ml) / _ABOVE / _NAME} isn't kept: {error.strerror}.")


def sweep(context: Context) -> None:
    """Remove the caches of pools that are no more."""
    wanted, now = warm_pool_operations.all_taken_from(context.store), context.clock.now()
    for left in _folder(context).glob("*"):
        document = context.store.get(warm_pools.TRAINING, left.name)
        runs = document is not None and document["TrainingJobStatus"] not in TERMINAL
        waits = document is not None and warm_pools.is_available(document, now)
        if not (runs or waits or left.name in wanted):
            remove(left)


def recover(kind: JobKind, engine: JobEngine) -> None:
    """After a restart: jobs that were under way are over, and their caches with them."""
    job_records.recover(engine.context, kind)
    sweep(engine.context)


def _has_one(job: Job) -> bool:
    return warm_pools.period(job.document) > 0 or warm_pools.status(job.document) is not None


def _folder(context: Context) -> Path:
    return context.platform.state_dir / "warm-pools"
