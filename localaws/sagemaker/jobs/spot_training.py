"""Managed spot training: a job's instance is taken, by command or by schedule, and another one is waited for.

"Managed Spot Training Lifecycle" (developer guide): an interrupted job goes Training → Interrupted → Starting →
Downloading → Training on a new instance, with its checkpoints; one that isn't done within MaxWaitTimeInSeconds goes to
Stopping and ends as MaxWaitTimeExceeded.
"""

from __future__ import annotations

from localaws.sagemaker.core import errors
from localaws.sagemaker.jobs import training_times
from localaws.sagemaker.jobs.engine import JobEngine
from localaws.sagemaker.jobs.job import Job
from localaws.sagemaker.jobs.job_resource import JobResource
from localaws.sagemaker.jobs.outcomes import INTERRUPTION, MAX_WAIT, End
from localaws.sagemaker.jobs.spot_market import Interruption


def ends(job: Job) -> list[End]:
    """The ends that may come to a spot job's container: the schedule's interruption, and the end of its time."""
    if not job.document["EnableManagedSpotTraining"]:
        return []
    market, clock = job.context.spot_market, job.context.clock
    now = clock.monotonic()
    found = [End(now + training_times.left_to_wait(job.document, clock.now()), MAX_WAIT)]
    if market.interrupt_every and training_times.interruptions(job.document) < market.interruptions:
        found.append(End(now + market.interrupt_every, INTERRUPTION, market.notice))
    return found


def wait_for_instance(job: Job, taken: Interruption) -> bool:
    """Wait for the next instance; False when the job's time is up before there is one."""
    left = training_times.left_to_wait(job.document, job.context.clock.now())
    job.without_instance(min(taken.absence, left))
    return left > taken.absence


def interrupt(engine: JobEngine, kind: JobResource, name: str, interruption: Interruption) -> None:
    """Take the instance of a spot job that trains.

    Raises errors.SageMakerError for a job that isn't there, isn't spot or isn't in status Training.
    """
    document = engine.context.store.get(kind.resource_type, name)
    if document is None:
        raise errors.validation(f"There is no {kind.words} {name}.")
    if not document["EnableManagedSpotTraining"]:
        raise errors.validation(
            f"{name} isn't managed spot training (EnableManagedSpotTraining), so nobody takes its instance."
        )
    status = document["SecondaryStatus"]
    if status != "Training" or not engine.interrupt(kind, name, interruption):
        raise errors.validation(f"{name} is in status {status}; only a job in status Training can be interrupted.")
