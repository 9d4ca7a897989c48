"""The request for a tuning job: `tune` of pipeline.yaml, and the training job that each of its trials is.

What of it the plan alone knows (the job's name, narrower ranges, parents) are expressions over `$plan.tuning`.
"""

from __future__ import annotations

from typing import Any

from contract import environment, files, names
from contract.tuning import GREATER, LESS
from infra.workflow.capacity import capacity
from infra.workflow.conditions import exists
from infra.workflow.expressions import expression, jsonata
from infra.workflow.judging import judging
from infra.workflow.requests import Document, run_uri, tags
from infra.workflow.surroundings import ARTIFACT_BUCKET, Surroundings
from infra.workflow.training_request import found_by, training_job, whose_always, with_manifests
from infra.workflow.way import Way
from ratchet.spec.tune import Tune
from ratchet.spec.tune_ranges import parameter_ranges

NAME = expression("$plan.tuning.job")

# What a trial's definition has of a training job's request (HyperParameterTrainingJobDefinition, API reference): no
# container of its own, so that a script doesn't hear of a stop; no KeepAlivePeriodInSeconds, since SageMaker keeps a
# tuning job's instances warm by itself.
_SHARED = (
    "InputDataConfig",
    "OutputDataConfig",
    "StoppingCondition",
    "EnableManagedSpotTraining",
    "CheckpointConfig",
    "RoleArn",
    "VpcConfig",
)
_ALGORITHM = ("TrainingImage", "TrainingInputMode", "MetricDefinitions")
# How often a trial is tried again that SageMaker itself has failed (InternalServerError), as no script's failure is.
SERVICE_FAULTS = 2
_RESOURCES = ("InstanceType", "InstanceCount", "VolumeSizeInGB")


class Trials(Way):
    """The training jobs of a tuning job, which are told the same: each fills in its run and its own name.

    What they are told doesn't change from run to run, or SageMaker would take no parents (contract.environment).
    """

    def job_name(self, at: Surroundings) -> str:  # noqa: ARG002 - as of any way
        return environment.OWN_JOB

    def job_arns(self, at: Surroundings) -> list[str]:
        return [at.sagemaker("training-job", names.any_trial(at.environment, at.pipeline))]

    def folder(self, at: Surroundings, folder: str) -> str:
        return self.uri(at, files.of_trial(folder, environment.OWN_JOB))

    def uri(self, at: Surroundings, name: str) -> str:
        return f"s3://{ARTIFACT_BUCKET}/{files.run_folder(at.pipeline, environment.OWN_RUN)}{name}"


def trials(then: str = "") -> Trials:
    """The trials of a tuning job, whose best goes on to `then`. No views are drawn of them: they would take a share of
    each of many jobs, and of SageMaker's 48 variables of a trial."""
    return Trials(completed=then, draws=False)


def tuning_job(at: Surroundings, tune: Tune, trials: Trials, role: str) -> Document | str:
    """CreateHyperParameterTuningJob; with parents where the plan has some.

    Args:
        role: the ARN of the trials' role.
    """
    request = {
        "HyperParameterTuningJobName": NAME,
        "HyperParameterTuningJobConfig": _config(tune),
        "TrainingJobDefinition": definition(at, trials, role),
        "Tags": tags(at),
    }
    if tune.warm_start is None:
        return request
    parents = "$plan.tuning.warm_start"
    return expression(f"$merge([{jsonata(request)}, {exists(parents)} ? {{'WarmStartConfig': {parents}}} : {{}}])")


def objective(tune: Tune) -> Document:
    """HyperParameterTuningJobObjective."""
    return {"Type": "Maximize" if better(tune) == GREATER else "Minimize", "MetricName": tune.objective.metric}


def better(tune: Tune) -> str:
    """Which value of the objective is better."""
    return GREATER if tune.objective.maximize is not None else LESS


def definition(at: Surroundings, trials: Trials, role: str) -> Document:
    """HyperParameterTrainingJobDefinition: what a training job of this pipeline is, as far as trials may have it.

    The job's name among the hyperparameters is nobody's: it would change with each run, and SageMaker counts what
    changes between a tuning job and its parents.
    """
    judged = judging(at, trials)
    request = training_job(at, trials, capacity(at.spec, run_uri(at, files.CHECKPOINTS)), judged, role)
    static = {**at.spec.train.hyperparameters, **found_by(at, names.endpoint(at.environment, at.pipeline))}
    return {
        "StaticHyperParameters": static,
        "AlgorithmSpecification": _only(request["AlgorithmSpecification"], _ALGORITHM),
        "ResourceConfig": _only(request["ResourceConfig"], _RESOURCES),
        **_only(request, _SHARED),
        "RetryStrategy": {"MaximumRetryAttempts": SERVICE_FAULTS},
        "Environment": {**whose_always(at), **with_manifests(at), **judged.environment},
    }


def _only(document: Document, names: tuple[str, ...]) -> Document:
    return {name: document[name] for name in names if name in document}


def _config(tune: Tune) -> Document:
    limits = {
        "MaxNumberOfTrainingJobs": tune.max_jobs,
        "MaxParallelTrainingJobs": tune.parallel,
        "MaxRuntimeInSeconds": tune.max_runtime,
    }
    ranges = expression("$plan.tuning.ranges") if tune.refine else parameter_ranges(tune.ranges)
    return {
        "Strategy": tune.strategy,
        **_hyperband(tune),
        "HyperParameterTuningJobObjective": objective(tune),
        "ResourceLimits": _said(limits),
        "ParameterRanges": ranges,
        "TrainingJobEarlyStoppingType": "Auto" if tune.early_stopping else "Off",
        **_criteria(tune),
        **_said({"RandomSeed": tune.seed}),
    }


def _said(document: Document) -> Document:
    """The members that have a value."""
    return {name: value for name, value in document.items() if value is not None}


def _hyperband(tune: Tune) -> Document:
    if tune.resource is None:
        return {}
    resource = _said({"MinResource": tune.resource.min, "MaxResource": tune.resource.max})
    return {"StrategyConfig": {"HyperbandStrategyConfig": resource}}


def _criteria(tune: Tune) -> Document:
    stop = tune.stop_when
    if stop is None:
        return {}
    none_better: Any = stop.not_improving and {"MaxNumberOfTrainingJobsNotImproving": stop.not_improving}
    criteria = {
        "TargetObjectiveMetricValue": stop.target,
        "BestObjectiveNotImproving": none_better,
        "ConvergenceDetected": {"CompleteOnConvergence": "Enabled"} if stop.converged else None,
    }
    return {"TuningJobCompletionCriteria": _said(criteria)}
