"""The parents of a tuning job: earlier ones that it learns from, as far as SageMaker lets it.

SageMaker wants parents that have ended, of the same objective, of the same names of hyperparameters, and of the same
environment (developer guide, "Run a warm start hyperparameter tuning job"; aws/sagemaker-python-sdk #3693). One of this
pipeline's own that doesn't fit any more is left out, with the reason; one that the spec names is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError
from common.job_statuses import ENDED
from common.refusals import is_missing

from contract.tuning import GREATER
from planner.refined import Tried

Document = dict[str, Any]

IDENTICAL = "IdenticalDataAndAlgorithm"
# Of all parents together so many of the best trials are looked at: enough to tell where it is good.
MOST_TRIALS = 1000


class ParentRefusedError(ValueError):
    """A tuning job that the spec names can't be a parent; the message says why."""


@dataclass(frozen=True)
class Parents:
    """The tuning jobs to learn from, and why others that might have been are left out.

    manifests: the run whose manifests they were trained on, where the data are to be the very same.
    """

    jobs: Sequence[str] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    manifests: str | None = None


def chosen(settings: Mapping[str, Any], known: Sequence[Mapping[str, Any]], made_from: str, client: Any) -> Parents:
    """The parents that `tune.warm_start` means.

    Args:
        known: this pipeline's own tuning jobs, newest first (common.state, `tuning`).
        made_from: names the data, code and image of this run.
        client: a boto3 SageMaker client.

    Raises:
        ParentRefusedError: a named one doesn't fit.
    """
    warm = settings["warm_start"]
    identical = warm["type"] == IDENTICAL
    own = {entry["job"]: entry for entry in known}
    reasons = ((name, _misfit(name, own.get(name), settings, made_from, client)) for name in warm["jobs"] or own)
    found, left_out = _sorted_out(reasons, warm["last"] or len(warm["jobs"]))
    if warm["jobs"] and left_out:
        told = "; ".join(f"{name} {reason}" for name, reason in left_out.items())
        raise ParentRefusedError(f"tune.warm_start.jobs of pipeline.yaml: {told}")
    manifests = own[found[0]]["manifests"] if identical and found else None
    same = [name for name in found if not identical or own[name]["manifests"] == manifests]
    return Parents(same, left_out, manifests)


def _sorted_out(reasons: Iterator[tuple[str, str | None]], most: int) -> tuple[list[str], dict[str, str]]:
    found: list[str] = []
    left_out: dict[str, str] = {}
    for name, reason in reasons:
        if reason is None:
            found.append(name)
        else:
            left_out[name] = reason
        if len(found) == most:
            break
    return found, left_out


def _misfit(
    name: str, own: Mapping[str, Any] | None, settings: Mapping[str, Any], made_from: str, client: Any
) -> str | None:
    """Why a tuning job can't be a parent, as the end of a sentence; None where it can."""
    if settings["warm_start"]["type"] == IDENTICAL:
        if own is None:
            return "isn't one of this pipeline's last tuning jobs, so that its data aren't known to be identical"
        if own["made_from"] != made_from:
            return "was made from other data, code or another image, and only identical ones are asked for"
    described = described_job(client, name)
    return "is no more" if described is None else unlike(settings, described)


def described_job(client: Any, name: str) -> Document | None:
    """DescribeHyperParameterTuningJob; None where there is no such job."""
    try:
        found: Document = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    return found


def unlike(settings: Mapping[str, Any], parent: Mapping[str, Any]) -> str | None:
    """In what a tuning job differs so that SageMaker wouldn't take it for a parent; None where it would."""
    status = parent["HyperParameterTuningJobStatus"]
    if status not in ENDED:
        return f"is {status}; a parent has ended"
    config, definition = parent["HyperParameterTuningJobConfig"], parent.get("TrainingJobDefinition") or {}
    objective = config.get("HyperParameterTuningJobObjective")
    if objective != settings["objective"]:
        was = "another" if not objective else f"{objective['Type'].lower()} {objective['MetricName']}"
        return f"had the objective {was}"
    theirs, ours = set(names_of(config, definition)), set(settings["names"])
    if theirs != ours:
        return f"had other hyperparameters ({', '.join(sorted(theirs ^ ours))})"
    if (definition.get("Environment") or {}) != settings["variables"]:
        return "had other environment variables (rules and probe stand there)"
    return None


def names_of(config: Mapping[str, Any], definition: Mapping[str, Any]) -> Iterator[str]:
    """All of a tuning job's hyperparameters, static and tuned; SageMaker's own (`_tuning…`) aside."""
    ranges = config.get("ParameterRanges") or {}
    for entries in ranges.values():
        yield from (entry["Name"] for entry in entries)
    yield from (name for name in definition.get("StaticHyperParameters") or {} if not name.startswith("_tuning"))


def warm_start(settings: Mapping[str, Any], parents: Parents) -> Document | None:
    """WarmStartConfig; None without parents."""
    if not parents.jobs:
        return None
    return {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": name} for name in parents.jobs],
        "WarmStartType": settings["warm_start"]["type"],
    }


def trials_of(client: Any, jobs: Sequence[str], better: str) -> list[Tried]:
    """The trials of tuning jobs that came to an objective, the best of each first."""
    pages = client.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
    order = {"SortBy": "FinalObjectiveMetricValue", "SortOrder": "Descending" if better == GREATER else "Ascending"}
    sign = 1.0 if better == GREATER else -1.0
    found: list[Tried] = []
    for job in jobs:
        listed = pages.paginate(HyperParameterTuningJobName=job, **order)
        tried = (_tried(entry, sign) for page in listed for entry in page["TrainingJobSummaries"])
        found += islice((trial for trial in tried if trial is not None), MOST_TRIALS // len(jobs))
    return found


def _tried(summary: Mapping[str, Any], sign: float) -> Tried | None:
    metric = summary.get("FinalHyperParameterTuningJobObjectiveMetric")
    if metric is None:
        return None
    return Tried(summary["TunedHyperParameters"], sign * float(metric["Value"]))
