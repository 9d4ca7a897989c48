"""Tuning jobs as SageMaker describes them, and CloudWatch's metrics of their trials: made up, always the same ones."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Document = dict[str, Any]

START = datetime(2026, 11, 26, 14, 0, tzinfo=UTC)
METRIC = "validation:f1"
RANGES: Document = {
    "ContinuousParameterRanges": [
        {"Name": "learning-rate", "MinValue": "0.0001", "MaxValue": "0.3", "ScalingType": "Logarithmic"},
        {"Name": "momentum", "MinValue": "0.5", "MaxValue": "0.999", "ScalingType": "ReverseLogarithmic"},
        {"Name": "dropout", "MinValue": "0.0", "MaxValue": "0.6", "ScalingType": "Linear"},
    ],
    "IntegerParameterRanges": [{"Name": "depth", "MinValue": "1", "MaxValue": "20", "ScalingType": "Auto"}],
    "CategoricalParameterRanges": [{"Name": "optimizer", "Values": ["sgd", "adam", "rmsprop"]}],
}


@dataclass
class Made:
    """A tuning job's documents; `curves` holds (time, value) by trial."""

    description: Document
    summaries: list[Document]
    curves: dict[str, list[tuple[datetime, float]]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.description["HyperParameterTuningJobName"])


def tuning_job(
    name: str = "digits-tune-1",
    *,
    strategy: str = "Bayesian",
    trials: int = 50,
    seed: int = 1,
    maximize: bool = True,
    metric: str = METRIC,
    early_stopping: bool = False,
    status: str = "Completed",
    parents: tuple[str, ...] = (),
    start: datetime = START,
    **config: Any,
) -> Made:
    """A job that searched; one of strategy Bayesian comes closer to the best as it goes on."""
    draw = random.Random(seed)  # noqa: S311 - made up
    made = Made({}, [])
    slots = [start + timedelta(seconds=4)] * 4
    best: Document | None = None
    for number in range(1, trials + 1):
        values = _values(draw, best if strategy == "Bayesian" and number > 10 else None, spread=12 / (number + 2))
        quality = _quality(values) + draw.gauss(0, 0.008)
        slot = min(range(4), key=lambda at: slots[at])
        stops = early_stopping and number > 8 and quality < 0.8
        begun = slots[slot] + timedelta(seconds=2)
        slots[slot] = begun + timedelta(seconds=(9 if stops else 30) + 3 * draw.random())
        fails = number % 17 == 13
        summary = _summary(name, number, values, begun, slots[slot])
        made.summaries.append(summary)
        if fails:
            summary |= {"TrainingJobStatus": "Failed", "ObjectiveStatus": "Failed", "FailureReason": FAILURE}
            continue
        summary["TrainingJobStatus"] = "Stopped" if stops else "Completed"
        made.curves[summary["TrainingJobName"]] = _curve(quality, begun, slots[slot], draw, maximize=maximize)
        value = made.curves[summary["TrainingJobName"]][-1][1]
        summary["FinalHyperParameterTuningJobObjectiveMetric"] = {"MetricName": metric, "Value": value}
        if best is None or quality > best["quality"]:
            best = {**values, "quality": quality}
    made.description = _description(name, strategy, made, maximize=maximize, metric=metric, status=status)
    made.description["CreationTime"] = start
    if status not in ("InProgress", "Stopping"):
        made.description["HyperParameterTuningEndTime"] = max(slots) + timedelta(seconds=3)
    made.description["HyperParameterTuningJobConfig"] |= {
        "TrainingJobEarlyStoppingType": "Auto" if early_stopping else "Off",
        **config,
    }
    if parents:
        named = [{"HyperParameterTuningJobName": parent} for parent in parents]
        warm_start = {"ParentHyperParameterTuningJobs": named, "WarmStartType": "IdenticalDataAndAlgorithm"}
        made.description["WarmStartConfig"] = warm_start
    return made


FAILURE = "AlgorithmError: ExecuteUserScriptError: ExitCode 1, the loss is not a number"


def _values(draw: random.Random, best: Document | None, spread: float) -> Document:
    """A random point, or one near the best."""
    point = {name: draw.random() for name in ("rate", "momentum", "dropout", "depth")}
    optimizer = draw.choice(("sgd", "adam", "rmsprop"))
    if best and draw.random() > 0.2:
        point = {name: min(max(best[name] + draw.gauss(0, 0.2 * spread), 0), 1) for name in point}
        optimizer = best["optimizer"] if draw.random() > 0.3 else optimizer
    return {**point, "optimizer": optimizer}


def _quality(values: Document) -> float:
    """Learning rate and depth decide, each best in its middle; dropout hardly; momentum not at all."""
    rate = math.exp(-(((values["rate"] - 0.6) / 0.22) ** 2))
    depth = 1 - (values["depth"] - 0.65) ** 2
    optimizer = {"sgd": -0.05, "adam": 0.0, "rmsprop": -0.02}[values["optimizer"]]
    return 0.45 + 0.4 * rate + 0.12 * depth + optimizer - 0.02 * values["dropout"]


def _tuned(values: Document) -> dict[str, str]:
    return {
        "learning-rate": repr(10 ** (-4 + values["rate"] * math.log10(3000))),
        "momentum": repr(1 - 10 ** (math.log10(0.5) + values["momentum"] * math.log10(0.002))),
        "dropout": repr(0.6 * values["dropout"]),
        "depth": str(1 + round(19 * values["depth"])),
        "optimizer": values["optimizer"],
    }


def _curve(
    quality: float, begun: datetime, ended: datetime, draw: random.Random, *, maximize: bool
) -> list[tuple[datetime, float]]:
    """Twelve values on their way up; of one that is stopped, fewer."""
    seconds = (ended - begun).total_seconds()
    found = []
    for second in range(2, int(seconds), 2):
        reached = quality * (1 - math.exp(-second / 5)) + draw.gauss(0, 0.004)
        found.append(
            (begun + timedelta(seconds=second), reached if maximize else -math.log(min(max(reached, 0.01), 0.999)))
        )
    return found


def _summary(name: str, number: int, values: Document, begun: datetime, ended: datetime) -> Document:
    trial = f"{name}-{number:03d}-{number * 2654435761 % 2**32:08x}"
    return {
        "TrainingJobName": trial,
        "TrainingJobArn": f"arn:aws:sagemaker:us-east-1:000000000000:training-job/{trial}",
        "CreationTime": begun - timedelta(seconds=2),
        "TrainingStartTime": begun,
        "TrainingEndTime": ended,
        "TrainingJobStatus": "Completed",
        "TunedHyperParameters": _tuned(values),
        "ObjectiveStatus": "Succeeded",
    }


def _description(name: str, strategy: str, made: Made, *, maximize: bool, metric: str, status: str) -> Document:
    def counted(of: str) -> int:
        return sum(each["TrainingJobStatus"] == of for each in made.summaries)

    objective = {"Type": "Maximize" if maximize else "Minimize", "MetricName": metric}
    failed = counted("Failed")
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobArn": f"arn:aws:sagemaker:us-east-1:000000000000:hyper-parameter-tuning-job/{name}",
        "HyperParameterTuningJobConfig": {
            "Strategy": strategy,
            "HyperParameterTuningJobObjective": objective,
            "ResourceLimits": {"MaxNumberOfTrainingJobs": len(made.summaries), "MaxParallelTrainingJobs": 4},
            "ParameterRanges": RANGES,
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": {"epochs": "12", "_tuning_objective_metric": metric},
            "AlgorithmSpecification": {
                "TrainingImage": "000000000000.dkr.ecr.us-east-1.amazonaws.com/digits:1",
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": metric, "Regex": "f1=([0-9.]+)"}],
            },
            "RoleArn": "arn:aws:iam::000000000000:role/train",
            "OutputDataConfig": {"S3OutputPath": "s3://the-artifacts/tune"},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        },
        "HyperParameterTuningJobStatus": status,
        "TrainingJobStatusCounters": {
            "Completed": counted("Completed"),
            "InProgress": 0,
            "RetryableError": 0,
            "NonRetryableError": failed,
            "Stopped": counted("Stopped"),
        },
        "ObjectiveStatusCounters": {"Succeeded": len(made.summaries) - failed, "Pending": 0, "Failed": failed},
    }
