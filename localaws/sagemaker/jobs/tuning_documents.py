"""A tuning job's document and what its trials, which are training jobs, add to it. Pure.

What AWS's text leaves open, chosen here: a trial that was ended before its script was through, by early stopping, by
Hyperband or by a user, counts as Stopped; with a value of the objective it counts as Succeeded, and it can be the best.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from localaws.sagemaker.core import listing
from localaws.sagemaker.core.events import in_milliseconds
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs import tuning_ranges
from localaws.sagemaker.jobs.job_documents import TERMINAL
from localaws.sagemaker.jobs.tuning_request import OBJECTIVE_PARAMETER

SERVICE_FAULT = "InternalServerError"  # how the reason of a training job begins that failed by the service's own fault
_SUMMARY = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingStartTime", "TrainingEndTime",
            "TrainingJobStatus", "FailureReason")  # fmt: skip
# Members of a trial's request that its tuning job's definition has by the same names.
_SHARED = ("AlgorithmSpecification", "RoleArn", "InputDataConfig", "VpcConfig", "OutputDataConfig", "ResourceConfig",
           "StoppingCondition", "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption",
           "EnableManagedSpotTraining", "CheckpointConfig", "RetryStrategy", "Environment")  # fmt: skip
_NOT_IN_EVENTS = ("BestTrainingJob", "OverallBestTrainingJob", "ConsumedResources")


def description(request: Document, arn: str) -> Document:
    """The new job's Describe document, but for its status: the request, with AWS's defaults and nothing done yet."""
    described = {key: value for key, value in request.items() if key != "Tags"}
    config, definition = request["HyperParameterTuningJobConfig"], request["TrainingJobDefinition"]
    static = {OBJECTIVE_PARAMETER: objective(request), **definition.get("StaticHyperParameters", {})}
    described["HyperParameterTuningJobArn"] = arn
    ranges = {**{kind: [] for kind in tuning_ranges.KINDS}, **config["ParameterRanges"]}
    described["HyperParameterTuningJobConfig"] = {
        "TrainingJobEarlyStoppingType": "Off", **config, "ParameterRanges": ranges
    }  # fmt: skip
    described["TrainingJobDefinition"] = {
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
        **definition,
        **_resources(definition),
        "StaticHyperParameters": static,
    }
    return {**described, **counters([])}


def _resources(definition: Document) -> Document:
    """ResourceConfig without KeepAlivePeriodInSeconds, which the service drops: it keeps trials' instances by itself
    (aws-controllers-k8s/sagemaker-controller pull request 176).
    """
    if "ResourceConfig" not in definition:
        return {}
    found = definition["ResourceConfig"]
    return {"ResourceConfig": {name: found[name] for name in found if name != "KeepAlivePeriodInSeconds"}}


def objective(document: Document) -> str:
    """The name of the objective metric."""
    return str(document["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"])


def is_maximized(document: Document) -> bool:
    """Whether more of the objective is better."""
    wanted = document["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["Type"]
    return bool(wanted == "Maximize")


def seed(document: Document) -> int:
    """The request's RandomSeed; without one, a number that is this job's alone and stays the same after a restart."""
    wanted = document["HyperParameterTuningJobConfig"].get("RandomSeed")
    if wanted is not None:
        return int(wanted)
    return zlib.crc32(f"{document['HyperParameterTuningJobArn']} {document['CreationTime']}".encode())


def trial_request(document: Document, name: str, values: Mapping[str, str]) -> Document:
    """CreateTrainingJob's request for a trial with these values of the tuned hyperparameters.

    Its checkpoints are its own, below CheckpointConfig.S3Uri: AWS doesn't say whether trials share them, and one that
    found another's would go on with the wrong hyperparameters.
    """
    definition = document["TrainingJobDefinition"]
    shared = {member: definition[member] for member in _SHARED if member in definition}
    if "CheckpointConfig" in shared:
        uri = f"{shared['CheckpointConfig']['S3Uri'].rstrip('/')}/{name}"
        shared["CheckpointConfig"] = {**shared["CheckpointConfig"], "S3Uri": uri}
    static = {OBJECTIVE_PARAMETER: objective(document), **definition.get("StaticHyperParameters", {})}
    return {"TrainingJobName": name, "HyperParameters": {**static, **values}, **shared}


def trial_name(tuning_job: str, number: int, token: str) -> str:
    """``<tuning job>-NNN-<8 hex>``."""
    return f"{tuning_job}-{number:03}-{token}"


def trial_number(name: str) -> int:
    """The number in a trial's name."""
    return int(name.split("-")[-2])


def counters(trials: Sequence[Document]) -> Document:
    """TrainingJobStatusCounters and ObjectiveStatusCounters of a tuning job's training jobs."""
    status = dict.fromkeys(("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped"), 0)
    objectives = dict.fromkeys(("Succeeded", "Pending", "Failed"), 0)
    for trial in trials:
        status[_counted_as(trial)] += 1
        objectives[objective_status(trial)] += 1
    return {"TrainingJobStatusCounters": status, "ObjectiveStatusCounters": objectives}


def _counted_as(trial: Document) -> str:
    if trial["TrainingJobStatus"] not in TERMINAL:
        return "InProgress"
    if trial["TrainingJobStatus"] == "Failed":
        return "RetryableError" if is_service_fault(trial) else "NonRetryableError"
    return str(trial["TrainingJobStatus"])


def is_service_fault(trial: Document) -> bool:
    """Whether a training job failed by the service's own fault, which is what RetryStrategy retries."""
    reason = str(trial.get("FailureReason", ""))
    return trial["TrainingJobStatus"] == "Failed" and reason.startswith(SERVICE_FAULT)


def objective_status(trial: Document) -> str:
    """Succeeded, Pending or Failed: whether a trial's value of the objective is known and used."""
    if trial["TrainingJobStatus"] not in TERMINAL:
        return "Pending"
    return "Failed" if final_value(trial) is None else "Succeeded"


def final_value(trial: Document) -> float | None:
    """A trial's value of the objective: the last that it reported; None while it runs, if it failed or has none."""
    if trial["TrainingJobStatus"] not in ("Completed", "Stopped"):
        return None
    name = trial["HyperParameters"][OBJECTIVE_PARAMETER]
    found = [item["Value"] for item in trial.get("FinalMetricDataList", ()) if item["MetricName"] == name]
    return float(found[-1]) if found else None


def tuned_values(document: Document, trial: Document) -> dict[str, str]:
    """The values of the tuned hyperparameters that a trial has."""
    ranges = document["HyperParameterTuningJobConfig"]["ParameterRanges"]
    return {name: trial["HyperParameters"][name] for name in tuning_ranges.tuned(ranges)}


def summary(document: Document, trial: Document) -> Document:
    """A trial's HyperParameterTrainingJobSummary."""
    found = listing.summary(trial, _SUMMARY)
    value, definition = final_value(trial), document["TrainingJobDefinition"].get("DefinitionName")
    if definition is not None:
        found["TrainingJobDefinitionName"] = definition
    if value is not None:
        found["FinalHyperParameterTuningJobObjectiveMetric"] = {"MetricName": objective(document), "Value": value}
    return {**found, "TunedHyperParameters": tuned_values(document, trial), "ObjectiveStatus": objective_status(trial)}


def best(document: Document, trials: Sequence[Document]) -> Document | None:
    """The summary of the trial with the best value of the objective, the first of several; None without one."""
    ended = [trial for trial in trials if final_value(trial) is not None]
    if not ended:
        return None
    choose = max if is_maximized(document) else min
    return summary(document, choose(ended, key=lambda trial: final_value(trial) or 0.0))


def event_detail(document: Document) -> Document:
    """The document as events tell it: times are strings of milliseconds, and the best training job isn't there."""
    kept = {member: value for member, value in document.items() if member not in _NOT_IN_EVENTS}
    return {**kept, **{name: str(moment) for name, moment in _times(kept).items()}}


def _times(document: Document) -> dict[str, Any]:
    told = in_milliseconds(document)
    return {name: told[name] for name, value in document.items() if told[name] != value and not isinstance(value, dict)}
