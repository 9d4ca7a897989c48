"""A tuning job's documents as a study, which strategies, early stopping and completion are functions of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs import tuning_documents, tuning_ranges
from localaws.sagemaker.jobs.tuning_request import resources, static_parameters
from localaws.sagemaker.tuning import space
from localaws.sagemaker.tuning.history import Status, Study, Trial

_STATUS: dict[str, Status] = {"Completed": "completed", "Stopped": "stopped", "Failed": "failed"}


def settings(document: Document, inherited: Sequence[Trial] = ()) -> Study:
    """What is known of a tuning job before its first trial; `inherited` are its parents' trials."""
    config = document["HyperParameterTuningJobConfig"]
    limits = config["ResourceLimits"]
    return Study(
        space=space.from_ranges(config["ParameterRanges"]),
        strategy=config["Strategy"],
        maximize=tuning_documents.is_maximized(document),
        early_stopping=config.get("TrainingJobEarlyStoppingType") == "Auto",
        seed=tuning_documents.seed(document),
        max_jobs=limits.get("MaxNumberOfTrainingJobs"),
        max_parallel=limits["MaxParallelTrainingJobs"],
        resources=resources(document),
        static=static_parameters(document),
        trials=tuple(inherited),
    )


def follows_curves(study: Study) -> bool:
    """Whether what a trial reports while it runs matters: early stopping and Hyperband look at it."""
    return study.early_stopping or study.strategy == "Hyperband"


def trial(document: Document, training_job: Document, curve: Iterable[float]) -> Trial:
    """One of a tuning job's training jobs as a trial of its study."""
    return Trial(
        number=tuning_documents.trial_number(training_job["TrainingJobName"]),
        values=tuning_documents.tuned_values(document, training_job),
        status=_STATUS.get(training_job["TrainingJobStatus"], "running"),
        objective=tuning_documents.final_value(training_job),
        curve=tuple(curve),
    )


def inherited(document: Document, parents: Sequence[Sequence[Document]]) -> tuple[Trial, ...]:
    """The training jobs of a tuning job's parents, a sequence a parent, as trials: those that say something.

    A parent may have had a hyperparameter static that is tuned now: its trials' values are those that they ran with.
    """
    names = tuning_ranges.tuned(document["HyperParameterTuningJobConfig"]["ParameterRanges"])
    useful = [job for jobs in parents for job in jobs if tuning_documents.final_value(job) is not None]
    return tuple(
        Trial(
            number=number,
            values={name: job["HyperParameters"][name] for name in names if name in job["HyperParameters"]},
            status=_STATUS[job["TrainingJobStatus"]],
            objective=tuning_documents.final_value(job),
            parent=True,
        )
        for number, job in enumerate(useful, 1)
    )
