"""Reads tuning jobs, their trials and what these reported, from SageMaker and CloudWatch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from contract import refusals
from ratchet.account import Account
from ratchet.errors import UserError
from ratchet.tuning import trials
from ratchet.tuning.trials import Trial, TuningJob

# Where training jobs' metrics are (developer guide, "Amazon SageMaker AI metrics in Amazon CloudWatch").
NAMESPACE, DIMENSION = "/aws/sagemaker/TrainingJobs", "TrainingJobName"
# GetMetricData takes at most so many metrics; PAGE is the largest that the lists take.
METRICS, PAGE = 500, 100
# CloudWatch keeps a metric in seconds for three hours, in minutes for 15 days, in five minutes for 63, then in hours
# (GetMetricData, MetricStat.Period); finer than it is kept, it answers with nothing.
PERIODS = (1, 60, 300, 3600)


@dataclass(frozen=True)
class Curve:
    """What a trial reported of the objective: (seconds since it started, value) each."""

    trial: str
    points: tuple[tuple[float, float], ...]


def newest(account: Account, limit: int) -> list[dict[str, Any]]:
    """The summaries of the last tuning jobs, newest first."""
    pages = account.client("sagemaker").get_paginator("list_hyper_parameter_tuning_jobs")
    asked = pages.paginate(SortBy="CreationTime", SortOrder="Descending", MaxResults=min(limit, PAGE))
    return list(islice((each for page in asked for each in page["HyperParameterTuningJobSummaries"]), limit))


def job(account: Account, name: str) -> TuningJob:
    """A tuning job with its trials.

    Raises:
        UserError: there is none of that name.
    """
    found = _described(account, name)
    if found is None:
        raise UserError(f"there is no tuning job {name!r}; see `{account.command('tune list')}`")
    return found


def with_parents(account: Account, names: Sequence[str]) -> tuple[list[TuningJob], list[str]]:
    """Tuning jobs in the order asked for, each before it its parents; and the parents that are no more."""
    found: dict[str, TuningJob | None] = {}
    for asked in [job(account, name) for name in dict.fromkeys(names)]:
        for parent in asked.parents:
            if parent not in found:
                found[parent] = _described(account, parent)
        found.setdefault(asked.name, asked)
    return [each for each in found.values() if each], [name for name, each in found.items() if each is None]


def _described(account: Account, name: str) -> TuningJob | None:
    client = account.client("sagemaker")
    try:
        description = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFound" or refusals.says_missing(
            error.response["Error"].get("Message")
        ):
            return None
        raise
    pages = client.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
    asked = pages.paginate(HyperParameterTuningJobName=name, MaxResults=PAGE)
    return trials.of_documents(description, [each for page in asked for each in page["TrainingJobSummaries"]])


def curves(account: Account, found: TuningJob) -> list[Curve]:
    """What the job's trials reported of its objective, as finely as CloudWatch still has it."""
    trained = [trial for trial in found.trials if trial.started]
    for period in PERIODS:
        read = [
            curve
            for start in range(0, len(trained), METRICS)
            for curve in _curves(account, trained[start : start + METRICS], found.objective.metric, period)
        ]
        if read:
            return read
    return []


def _curves(account: Account, trained: Sequence[Trial], metric: str, period: int) -> Iterator[Curve]:
    client = account.client("cloudwatch")
    started = [trial.started for trial in trained if trial.started]
    ended = [trial.ended or datetime.now(UTC) for trial in trained]
    asked = client.get_paginator("get_metric_data").paginate(
        MetricDataQueries=[_query(f"t{index}", trial.name, metric, period) for index, trial in enumerate(trained)],
        StartTime=_whole(min(started), period),
        EndTime=max(ended) + timedelta(seconds=max(period, 60)),
        ScanBy="TimestampAscending",
    )
    points: dict[str, list[tuple[datetime, float]]] = {}
    for page in asked:
        for result in page["MetricDataResults"]:
            points.setdefault(result["Id"], []).extend(zip(result["Timestamps"], result["Values"], strict=True))
    for index, trial in enumerate(trained):
        if points.get(f"t{index}"):
            yield Curve(trial.name, _since(trial.started or min(started), points[f"t{index}"]))


def _query(identifier: str, trial: str, metric: str, period: int) -> dict[str, Any]:
    of = {"Namespace": NAMESPACE, "MetricName": metric, "Dimensions": [{"Name": DIMENSION, "Value": trial}]}
    return {"Id": identifier, "MetricStat": {"Metric": of, "Period": period, "Stat": "Average"}}


def _whole(moment: datetime, period: int) -> datetime:
    """The period that a moment is in: CloudWatch stamps a period's values with its beginning."""
    return datetime.fromtimestamp(moment.timestamp() // period * period, UTC)


def _since(start: datetime, points: Sequence[tuple[datetime, float]]) -> tuple[tuple[float, float], ...]:
    return tuple((max((at - start).total_seconds(), 0.0), value) for at, value in sorted(points))
