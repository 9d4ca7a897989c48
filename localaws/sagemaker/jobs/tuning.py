"""Hyperparameter tuning jobs: what is accepted, and the kind. What one does is in `tuning_run`."""

from __future__ import annotations

from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.quotas import Use
from localaws.sagemaker.core.request import Caller, Document
from localaws.sagemaker.jobs import (
    operations,
    training,
    tuning_documents,
    tuning_operations,
    tuning_request,
    tuning_warm_start,
)
from localaws.sagemaker.jobs.engine import JobEngine
from localaws.sagemaker.jobs.job_documents import TERMINAL, Ending
from localaws.sagemaker.jobs.kind import JobKind
from localaws.sagemaker.jobs.led_job import LedJob
from localaws.sagemaker.jobs.training import TRAINING
from localaws.sagemaker.jobs.tuning_resource import TUNING_JOB
from localaws.sagemaker.jobs.tuning_run import TuningRun
from localaws.sagemaker.tuning import space

_SUMMARY = ("HyperParameterTuningJobName", "HyperParameterTuningJobArn", "HyperParameterTuningJobStatus", "Strategy",
            "CreationTime", "HyperParameterTuningEndTime", "LastModifiedTime", "TrainingJobStatusCounters",
            "ObjectiveStatusCounters", "ResourceLimits")  # fmt: skip
_NOT_SUPPORTED = "not supported here: "


def accept(context: Context, request: Document, caller: Caller) -> tuple[Document, None]:
    """Check a request against the world around it, and a trial as CreateTrainingJob would; the new job's document."""
    tuning_request.check(request)
    parents = {name: context.store.get(TUNING_JOB, name) for name in tuning_warm_start.parents(request)}
    tuning_warm_start.check(request, parents, TUNING.not_found)
    document = tuning_documents.description(request, context.arn(TUNING_JOB, request[TUNING.name]))
    _check_a_trial(context, document, caller)
    return document, None


def _check_a_trial(context: Context, document: Document, caller: Caller) -> None:
    """Refuse a definition whose training jobs would be refused."""
    ranges = document["HyperParameterTuningJobConfig"]["ParameterRanges"]
    tried = space.from_ranges(ranges)
    values = tried.at([0.0] * len(tried.parameters))
    name = tuning_documents.trial_name(document[TUNING.name], 1, "0" * 8)
    try:
        _trial, role = training.accept(context, tuning_documents.trial_request(document, name, values), caller)
    except errors.SageMakerError as error:
        raise _of_the_definition(error) from error
    role.objects.close()


def _of_the_definition(error: errors.SageMakerError) -> errors.SageMakerError:
    """A refusal of a trial's member as one of the definition's."""
    if not error.message.startswith(_NOT_SUPPORTED):
        return error
    return errors.not_supported(f"TrainingJobDefinition: {error.message.removeprefix(_NOT_SUPPORTED)}")


def run(job: LedJob, engine: JobEngine) -> Ending:
    """Lead a tuning job to its end. Raises JobFailedError, StopRequestedError or ServerClosingError."""
    return TuningRun(job, engine, engine.context.tuner.suggest).to_its_end()


def resume(kind: JobKind, engine: JobEngine) -> None:
    """After a restart: go on with the tuning jobs that were under way, from what their trials have come to."""
    for document in engine.context.store.list(kind.resource_type):
        if document[kind.status] in TERMINAL:
            continue
        job = LedJob(kind, document, engine.context)
        if document[kind.status] == "Stopping":
            job.signals.stop()
        engine.submit(job, kind.run)


def _instances(document: Document) -> Use:
    """The instances of as many trials as may run at once; each has them as a training job."""
    use = TRAINING.instances(document["TrainingJobDefinition"])
    at_once = document["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxParallelTrainingJobs"]
    return Use(use.work, use.instance_type, use.count * at_once)


TUNING = JobKind(
    resource_type=TUNING_JOB,
    noun="HyperParameter Tuning Job",
    stem="HyperParameterTuningJob",
    managed_rule="StepFunctionsGetEventsForSageMakerTuningJobsRule",
    instances=_instances,
    instances_of=TRAINING,
    detail=tuning_documents.event_detail,
    recover=resume,
    operations={
        "CreateHyperParameterTuningJob": operations.create,
        "DescribeHyperParameterTuningJob": tuning_operations.describe,
        "ListHyperParameterTuningJobs": tuning_operations.list_,
        "ListTrainingJobsForHyperParameterTuningJob": tuning_operations.list_training_jobs,
        "StopHyperParameterTuningJob": operations.stop,
        "DeleteHyperParameterTuningJob": tuning_operations.delete,
    },
    accept=accept,
    run=run,
    summary=_SUMMARY,
    name_taken="A hyperparameter tuning job with the name, {name}, already exists. Choose a different name.",
    not_found="Amazon SageMaker can't find a tuning job called {name}. Type another name.",
    not_found_error=errors.resource_not_found,
)
