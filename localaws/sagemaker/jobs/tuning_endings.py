"""How a tuning job ends by what its trials came to. Pure.

NO_SUCCESS is AWS's own sentence, told in aws/amazon-sagemaker-examples issues 2436 and 2437, here as newer jobs say it.
No source tells AWS's for trials of which none printed the objective; NO_OBJECTIVE says what is wrong and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence

from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs import job_documents, tuning_documents
from localaws.sagemaker.jobs.job_documents import TERMINAL, Ending
from localaws.sagemaker.jobs.tuning_request import OBJECTIVE_PARAMETER

MOST_FAILURES = 5  # without any success
NO_SUCCESS = (
    "No training job succeeded after {count} attempts. For additional details, please take a look at the training job "
    "failures by listing training jobs for the hyperparameter tuning job."
)
NO_OBJECTIVE = (
    "None of {count} training jobs has reported the objective metric {metric}: nothing that they printed matches its "
    "regular expression, {regex}. Print it, or correct AlgorithmSpecification.MetricDefinitions."
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
    count = min(len(ended), MOST_FAILURES)
    if all(job["TrainingJobStatus"] == "Failed" for job in ended):
        return job_documents.failed(NO_SUCCESS.format(count=count))
    metric = ended[0]["HyperParameters"][OBJECTIVE_PARAMETER]
    definitions = ended[0]["AlgorithmSpecification"]["MetricDefinitions"]
    regex = next(each["Regex"] for each in definitions if each["Name"] == metric)
    return job_documents.failed(NO_OBJECTIVE.format(count=count, metric=metric, regex=regex))
