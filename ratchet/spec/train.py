"""`train` of pipeline.yaml: the training job, within the limits of CreateTrainingJob (API reference)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from ratchet.spec.errors import checked, refusal
from ratchet.spec.fields import TrainingSeconds, duration, size
from ratchet.spec.instances import WAIT, Instances, WaitSeconds
from ratchet.spec.model import Example, Model
from ratchet.spec.train_hosts import HOSTS, Distribution, check_alike, check_count
from ratchet.spec.train_spot import Spot, check_keep_warm, check_spot

# ResourceConfig, HyperParameters, AlgorithmSpecification.MetricDefinitions.
VOLUME = 16384
HYPERPARAMETERS = 100
HYPERPARAMETER_KEY = 256
HYPERPARAMETER_VALUE = 2500
METRIC_DEFINITIONS = 40
METRIC_NAME = 255
METRIC_REGEX = 500
# "limited to a KeepAlivePeriodInSeconds value of 3600 seconds" (developer guide, SageMaker AI Managed Warm Pools).
KEEP_WARM = 3600


def _scalar_text(value: object) -> str:
    """A hyperparameter as SageMaker takes it, a string; numbers and booleans as JSON writes them."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"is {value}; a hyperparameter's number is finite")
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    kind = {dict: "a mapping", list: "a list", type(None): "empty"}.get(type(value), f"a {type(value).__name__}")
    raise ValueError(f"is {kind}; a hyperparameter is one text, number or boolean (quote it to pass JSON)")


def _regex(value: str) -> str:
    if len(value) > METRIC_REGEX:
        raise ValueError(f"has {len(value)} characters; at most {METRIC_REGEX}")
    try:
        groups = re.compile(value).groups
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from error
    if groups < 1:
        raise ValueError("has no group; put the number in parentheses, as 'loss: ([0-9.]+)'")
    return value


KeepWarmSeconds = Annotated[int, *duration(1, KEEP_WARM, what="a warm pool")]
VolumeGiB = Annotated[int, *size(1, VOLUME, what="a training volume")]
Regex = Annotated[str, AfterValidator(checked(_regex))]
Hyperparameter = Annotated[
    str,
    BeforeValidator(checked(_scalar_text)),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]


class Train(Model):
    """The training job. `max_runtime` is in seconds, `volume` in GiB."""

    instance: Annotated[Instances, Example("instance: ml.m5.large")]
    wait_for_instance: WaitSeconds = WAIT
    instance_count: Annotated[
        int, Field(description="Hosts that train together", json_schema_extra={"minimum": 1, "maximum": HOSTS})
    ] = 1
    distribution: Annotated[
        Distribution | None, Field(description="What starts train.py on each of the hosts, or GPUs of one")
    ] = None
    volume: VolumeGiB = 30
    max_runtime: TrainingSeconds = 3600
    spot: Annotated[Spot | None, Field(description="On spot capacity; refused unless the training checkpoints")] = None
    keep_warm: Annotated[
        KeepWarmSeconds | None, Field(description="How long the instance stays for the next job like it, and is billed")
    ] = None
    hyperparameters: Annotated[
        Mapping[str, Hyperparameter],
        Field(description="Given to train.py as --<name> <value>; an image of your own reads them"),
    ] = {}
    metrics: Annotated[
        Mapping[str, Regex], Field(description="Name → regular expression over the job's log, with one group")
    ] = {}

    @model_validator(mode="before")
    @classmethod
    def _one_type(cls, data: Any) -> Any:
        check_alike(data)
        return data

    @model_validator(mode="after")
    def _limits(self) -> Train:
        check_count(self.instance_count)
        check_spot(self.spot, self.max_runtime)
        check_keep_warm(self.keep_warm, self.spot)
        limit_hyperparameters(self.hyperparameters)
        _limit_metrics(self.metrics)
        return self


def limit_hyperparameters(hyperparameters: Mapping[str, str], *within: str | int) -> None:
    """Raises a refusal of hyperparameters that SageMaker doesn't take. within: the place of what has them."""
    if len(hyperparameters) > HYPERPARAMETERS:
        message = f"has {len(hyperparameters)} entries; SageMaker takes at most {HYPERPARAMETERS}"
        raise refusal(message, *within, "hyperparameters")
    for key, value in hyperparameters.items():
        at = (*within, "hyperparameters", key)
        if not 0 < len(key) <= HYPERPARAMETER_KEY:
            raise refusal(f"has a name of {len(key)} characters; it takes 1 to {HYPERPARAMETER_KEY}", *at)
        if key.startswith(("sagemaker_", "_tuning")):
            raise refusal("is a name of SageMaker's own (sagemaker_…, _tuning…); choose another", *at)
        if len(value) > HYPERPARAMETER_VALUE:
            raise refusal(f"has {len(value)} characters; at most {HYPERPARAMETER_VALUE}", *at)


def _limit_metrics(metrics: Mapping[str, str]) -> None:
    if len(metrics) > METRIC_DEFINITIONS:
        raise refusal(f"has {len(metrics)} entries; SageMaker takes at most {METRIC_DEFINITIONS}", "metrics")
    for name in metrics:
        if not 0 < len(name) <= METRIC_NAME:
            raise refusal(f"has a name of {len(name)} characters; it takes 1 to {METRIC_NAME}", "metrics", name)
