"""Tuning jobs for tests of their parts: requests, documents of trials, and an engine whose training jobs are played."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from image_uris import SKLEARN
from quiet_platform import QuietPlatform

from localaws.sagemaker.context import Context
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs import job_documents, operations, tuning_documents
from localaws.sagemaker.jobs.engine import JobEngine, Work
from localaws.sagemaker.jobs.job import Job, Measurement
from localaws.sagemaker.jobs.job_documents import Ending
from localaws.sagemaker.jobs.led_job import LedJob
from localaws.sagemaker.jobs.training import TRAINING
from localaws.sagemaker.jobs.tuning import TUNING
from localaws.sagemaker.jobs.tuning_ahead import Suggest

METRIC = "validation:f1"
RANGES: Document = {
    "ContinuousParameterRanges": [{"Name": "lr", "MinValue": "0.001", "MaxValue": "0.1"}],
    "IntegerParameterRanges": [{"Name": "depth", "MinValue": "2", "MaxValue": "9"}],
    "CategoricalParameterRanges": [{"Name": "kernel", "Values": ["rbf", "linear"]}],
}
DEFINITION: Document = {
    "StaticHyperParameters": {
        "sagemaker_program": '"train.py"',
        "sagemaker_submit_directory": '"s3://b/code.tar.gz"',
        "classes": "10",
    },
    "AlgorithmSpecification": {
        "TrainingImage": SKLEARN,
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": METRIC, "Regex": "f1=([0-9.]+)"}],
    },
    "RoleArn": "arn:aws:iam::000000000000:role/training",
    "OutputDataConfig": {"S3OutputPath": "s3://b/out"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}


def request(
    *,
    name: str = "tune",
    limits: Document | None = None,
    ranges: Document | None = None,
    definition: Document | None = None,
    warm_start: Document | None = None,
    **config: Any,
) -> Document:
    """CreateHyperParameterTuningJob's request: four random trials, two at once, unless a test says otherwise."""
    document = {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": METRIC},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 2, **(limits or {})},
            "ParameterRanges": RANGES if ranges is None else ranges,
            "RandomSeed": 7,
            **config,
        },
        "TrainingJobDefinition": {**DEFINITION, **(definition or {})},
    }
    return document if warm_start is None else {**document, "WarmStartConfig": warm_start}


def tuning_job(status: str = "InProgress", **changes: Any) -> Document:
    """A tuning job's document."""
    asked = request(**changes)
    arn = f"arn:aws:sagemaker:us-east-1:000000000000:hyper-parameter-tuning-job/{asked['HyperParameterTuningJobName']}"
    described = tuning_documents.description(asked, arn)
    return {**described, "HyperParameterTuningJobStatus": status, "CreationTime": 100.0}


def trial(number: int, status: str, value: float | None = None, reason: str = "", **values: str) -> Document:
    """The document of a training job of `tuning_job`."""
    request = tuning_documents.trial_request(
        tuning_job(), f"tune-{number:03}-0123abcd", {"lr": "0.01", "depth": "3", "kernel": "rbf", **values}
    )
    made = {
        **request,
        "TrainingJobArn": f"arn:aws:sagemaker:us-east-1:000000000000:training-job/tune-{number:03}-0123abcd",
        "TrainingJobStatus": status,
        "CreationTime": 100.0 + number,
    }
    if value is not None:
        made["FinalMetricDataList"] = [{"MetricName": METRIC, "Value": value, "Timestamp": 100.0 + number}]
    return {**made, "FailureReason": reason} if reason else made


@dataclass(frozen=True)
class Script:
    """What a trial's script does: the values that it reports, an epoch each, what it does then, and how it ends."""

    reports: tuple[float, ...] = ()
    fails: str = ""
    then: Callable[[], object] = lambda: None


Play = Callable[[Mapping[str, str], Job], Script]


class PlayedEngine(JobEngine):
    """An engine whose training jobs report what `play` makes of their hyperparameters, and do nothing else."""

    def __init__(self, context: Context, play: Play, slots: int = 2) -> None:
        super().__init__(context, slots)
        self._play = play
        self.played: list[Document] = []

    def submit(self, job: LedJob, work: Work) -> None:
        super().submit(job, self._script if job.kind is TRAINING else work)

    def _script(self, job: Job, _engine: JobEngine) -> Ending:
        self.played.append(job.document)
        script = self._play(job.document["HyperParameters"], job)
        reported: list[float] = []
        for value in script.reports:
            job.signals.keep_going()
            reported.append(value)
            job.on_metrics([Measurement(METRIC, value, 1.0)])
        script.then()
        final = [{"MetricName": METRIC, "Value": reported[-1], "Timestamp": 1.0}] if reported else []
        members: Document = {"FinalMetricDataList": final} if final else {}
        return job_documents.failed(script.fails, **members) if script.fails else job_documents.completed(**members)


@dataclass
class Tuning:
    """Tuning jobs on an engine that plays their trials."""

    context: Context
    engine: PlayedEngine

    @classmethod
    def open(cls, root: Path, play: Play, slots: int = 2, suggest: Suggest | None = None) -> Tuning:
        opened = Context.open(QuietPlatform(root))
        if suggest is not None:
            opened = replace(opened, tuner=_Tuner(suggest))
        return cls(opened, PlayedEngine(opened, play, slots))

    def begin(self, asked: Document, labels: dict[str, str] | None = None) -> None:
        """Start a tuning job, as CreateHyperParameterTuningJob does once it has accepted it."""
        arn = self.context.arn(TUNING.resource_type, asked["HyperParameterTuningJobName"])
        accepted = operations.Accepted(tuning_documents.description(asked, arn), None, labels or {})
        operations.begin(TUNING, self.engine, accepted)

    def tune(self, asked: Document, labels: dict[str, str] | None = None) -> Document:
        """Run a tuning job to its end; its document."""
        self.begin(asked, labels)
        return self.ended(asked["HyperParameterTuningJobName"])

    def ended(self, name: str) -> Document:
        over = self.context.changes.wait_until(
            lambda: self.document(name)["HyperParameterTuningJobStatus"] in job_documents.TERMINAL, 20
        )
        assert over, self.document(name)
        return self.document(name)

    def document(self, name: str = "tune") -> Document:
        found = self.context.store.get(TUNING.resource_type, name)
        assert found is not None
        return found

    def trials(self) -> list[Document]:
        """The training jobs, in the order of their numbers."""
        return [job for job in self.context.store.list(TRAINING.resource_type) if "TuningJobArn" in job]

    def close(self) -> None:
        self.engine.close()
        self.context.lifecycle.close()


@dataclass(frozen=True)
class _Tuner:
    suggest: Suggest
