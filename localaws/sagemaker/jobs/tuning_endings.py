"""How a tuning job ends by what its trials came to, in AWS's own sentences. Pure.

NO_SUCCESS is told in aws/amazon-sagemaker-examples issues 2436 and 2437, here as newer jobs say it. NO_OBJECTIVE is as
users of AWS have quoted it; no page of AWS's has it.
"""

from __future__ import annotations

from collections.abc import Sequence

from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs import job_documents, tuning_documents
from localaws.sagemaker.jobs.job_documents import TERMINAL, Ending

MOST_FAILURES = 5  # without any success
NO_SUCCESS = (
    "No training job succeeded after {count} attempts. For additional details, please take a look at the training job "
    "failures by listing training jobs for the hyperparameter tuning job."
)
NO_OBJECTIVE = (
    "No objective metrics found after running {count} training jobs. Please ensure that the custom algorithm is "
    "emitting the objective metric as defined by the regular expression provided."
)


def of_failures(jobs: Sequence[Document]) -> Ending | None:
    """The ending of a tuning job none of whose first trials was of use; None while that isn't known."""
    ended = [job for job in jobs if job["TrainingJobStatus"] in TERMINAL]
    return _failed(ended) if len(ended) >= MOST_FAILURES else None


def of_all(jobs: Sequence[Document]) -> Ending:
    """The ending of a tuning job whose trials are all over."""
    return _failed(jobs) or job_documents.completed()


def _failed(ended: Sequence[Document]) -> Ending | None:
    if not ended or any(tuning_documents.objective_status(job) == "Succeeded" for job in ended):
        return None
    all_failed = all(job["TrainingJobStatus"] == "Failed" for job in ended)
    sentence = NO_SUCCESS if all_failed else NO_OBJECTIVE
    return job_documents.failed(sentence.format(count=min(len(ended), MOST_FAILURES)))
