"""SageMaker and CloudWatch in memory, with made-up tuning jobs, for the commands' world."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from botocore.validate import ParamValidator
from memory_aws import service_model
from memory_services import Service
from tuning_documents import Made

Document = dict[str, Any]


class SageMaker(Service):
    """The tuning jobs that it was given; any other is not found, with SageMaker's words."""

    def __init__(self, made: Iterable[Made]) -> None:
        self.made = {each.name: each for each in made}

    def describe_hyper_parameter_tuning_job(self, *, HyperParameterTuningJobName: str) -> Document:  # noqa: N803 - boto3's
        if HyperParameterTuningJobName not in self.made:
            message = f"Amazon SageMaker can't find a tuning job with name {HyperParameterTuningJobName}"
            raise self.error("describe_hyper_parameter_tuning_job", "ResourceNotFound", message)
        return self.made[HyperParameterTuningJobName].description

    def list_training_jobs_for_hyper_parameter_tuning_job(
        self,
        *,
        HyperParameterTuningJobName: str,  # noqa: N803 - boto3's
        **_: Any,
    ) -> Document:
        return {"TrainingJobSummaries": self.made[HyperParameterTuningJobName].summaries}

    def list_hyper_parameter_tuning_jobs(self, **_: Any) -> Document:
        newest = sorted(self.made.values(), key=lambda made: made.description["CreationTime"], reverse=True)
        return {"HyperParameterTuningJobSummaries": [summary_of(made) for made in newest]}


def summary_of(made: Made) -> Document:
    """A tuning job as lists show it."""
    kept = ("HyperParameterTuningJobName", "HyperParameterTuningJobArn", "HyperParameterTuningJobStatus")
    counters = ("CreationTime", "TrainingJobStatusCounters", "ObjectiveStatusCounters")
    config = made.description["HyperParameterTuningJobConfig"]
    found = {key: made.description[key] for key in (*kept, *counters)}
    return {**found, "Strategy": config["Strategy"], "ResourceLimits": config["ResourceLimits"]}


class CloudWatch(Service):
    """Metrics as it keeps them: in no finer period than `kept`."""

    def __init__(self, made: Iterable[Made], kept: int = 1) -> None:
        self.curves = {trial: points for each in made for trial, points in each.curves.items()}
        self.kept = kept

    def get_metric_data(self, *, MetricDataQueries: list[Document], **_: Any) -> Document:  # noqa: N803 - boto3's
        assert len(MetricDataQueries) <= 500, "as CloudWatch takes them"
        return {"MetricDataResults": [self._result(query) for query in MetricDataQueries]}

    def _result(self, query: Document) -> Document:
        metric, period = query["MetricStat"]["Metric"], query["MetricStat"]["Period"]
        [dimension] = metric["Dimensions"]
        found: dict[float, list[float]] = {}
        for at, value in self.curves.get(dimension["Value"], ()) if period >= self.kept else ():
            found.setdefault(at.timestamp() // period * period, []).append(value)
        times = [datetime.fromtimestamp(at).astimezone() for at in found]
        return {
            "Id": query["Id"],
            "Timestamps": times,
            "Values": [sum(values) / len(values) for values in found.values()],
        }


class Sts(Service):
    def get_caller_identity(self) -> Document:
        return {"Account": "000000000000"}


def check_answer(operation: str, answer: Document) -> None:
    """That an answer has the shape of SageMaker's."""
    shape = service_model("sagemaker").operation_model(operation).output_shape
    report = ParamValidator().validate(answer, shape)
    assert not report.has_errors(), report.generate_report()
