"""Managed spot training: taking a job's instance from it, and what its record says of that.

"Managed Spot Training Lifecycle" (developer guide): an interrupted job goes Training → Interrupted → Starting →
Downloading → Training on a new instance, with its checkpoints; one that isn't done within MaxWaitTimeInSeconds goes to
Stopping and ends as MaxWaitTimeExceeded.
"""

from __future__ import annotations

from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs.job_documents import TRAINING
from localaws.sagemaker.jobs.spot_market import Interruption


def interrupt(context: Context, name: str, interruption: Interruption) -> Document:
    """Take the instance of a spot job that trains; its description as it was before.

    Raises errors.SageMakerError for a job that isn't there, isn't spot or isn't in status Training.
    """
    document = context.store.get(TRAINING.kind, name)
    if document is None:
        raise errors.validation(f"There is no training job {name}.")
    if not document["EnableManagedSpotTraining"]:
        raise errors.validation(
            f"{name} isn't managed spot training (EnableManagedSpotTraining), so nobody takes its instance."
        )
    status = document["SecondaryStatus"]
    if status != "Training" or not context.jobs.interrupt(TRAINING, name, interruption):
        raise errors.validation(f"{name} is in status {status}; only a job in status Training can be interrupted.")
    return document
