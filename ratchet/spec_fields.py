"""The types of pipeline.yaml's fields: what one value may be, and the sentence when it isn't.

Limits are AWS's, from the API references of CreateTrainingJob (StoppingCondition, ResourceConfig,
AlgorithmSpecification), CreateProcessingJob (ProcessingStoppingCondition) and CreateEndpoint.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from ratchet import metric_names, schedule, units
from ratchet.spec_errors import checked

# `<pipeline>-<run id>-evaluate` is the longest name of a job: 32 + 1 + 20 + 1 + 8 = 62 of SageMaker's 63 characters.
# `<environment>-<pipeline>`, the endpoint's and the model package group's name, leaves 30 for the environment.
NAME_LENGTH = 32
ENVIRONMENT_LENGTH = 63 - 1 - NAME_LENGTH
# `ratchet-<environment>-shared` is the shared stack: a pipeline of that name would be deployed over it.
RESERVED_NAMES = ("shared",)

TRAINING_RUNTIME = 28 * units.SECONDS["d"]
PROCESSING_RUNTIME = 7 * units.SECONDS["d"]
VOLUME = 16384
IMAGE_LENGTH = 255
METRIC_REGEX = 500

_INSTANCE = re.compile(r"ml\.[a-z][a-z0-9-]*\.(?:nano|micro|small|medium|large|metal|\d*xlarge|metal-\d+xl)")
_IMAGE = re.compile(r"[\w.\-]+(?::\d+)?(?:/[\w.\-]+)+(?::[\w][\w.\-]{0,127})?(?:@sha256:[0-9a-f]{64})?")


def check_name(value: str) -> str:
    """A pipeline's name, if every name derived from it keeps to AWS's limits; ValueError says why not."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", value):
        right = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-").lstrip("0123456789-")
        raise ValueError(
            f"is {value!r}; use lower-case letters, digits and single hyphens, starting with a letter"
            + (f", as {right}" if right else "")
        )
    if len(value) > NAME_LENGTH:
        raise ValueError(
            f"has {len(value)} characters; at most {NAME_LENGTH}, so that <name>-<run>-evaluate fits SageMaker's 63"
        )
    if value in RESERVED_NAMES:
        raise ValueError(f"is {value!r}, the name of the stack that all pipelines share; choose another")
    return value


def _instance(value: str) -> str:
    if _INSTANCE.fullmatch(value):
        return value
    right = f"; did you mean ml.{value}?" if _INSTANCE.fullmatch(f"ml.{value}") else "; write one as ml.m5.large"
    raise ValueError(f"is {value!r}, which is no SageMaker instance type{right}")


def _version(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f'is the number {value}; quote it, as "{value}" (YAML would read 1.10 as 1.1)')
    if not re.fullmatch(r"\d+(\.\d+)*(-[A-Za-z0-9.]+)?", value):
        raise ValueError(f'is {value!r}; write the framework image\'s version, as "1.9-0" or "2.10"')
    return value


def _image(value: str) -> str:
    if not _IMAGE.fullmatch(value) or len(value) > IMAGE_LENGTH:
        raise ValueError(
            f"is {value!r}; write a registry path of at most {IMAGE_LENGTH} characters, "
            "as 123456789012.dkr.ecr.us-east-1.amazonaws.com/team/image:1.0"
        )
    return value


def _dockerfile(value: str) -> str:
    if Path(value).is_absolute() or ".." in Path(value).parts:
        raise ValueError(f"is {value!r}; write a path inside the model's folder, as docker/Dockerfile")
    return value


def _prefix(value: str) -> str:
    if value.startswith("s3://"):
        raise ValueError(f"is {value!r}; write only the prefix in the data bucket, as digits/train/")
    if value.startswith("/") or "//" in value or ".." in value.split("/"):
        raise ValueError(f"is {value!r}; write a prefix without a leading /, // or .., as digits/train/")
    if not value.endswith("/"):
        raise ValueError(f"is {value!r}; end it with /, as {value}/, so that it is a folder and not {value}-old too")
    if not re.fullmatch(r"[A-Za-z0-9!_.*'()/=-]+", value) or len(value) > 512:
        raise ValueError(f"is {value!r}; use at most 512 letters, digits and !_.*'()/=- (S3's safe characters)")
    return value


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


def _data_trigger(value: object) -> object:
    """`true` is the trigger with its default quiet period, `false` is none."""
    return {} if value is True else None if value is False else value


def _between(
    parse: Callable[[object], int], low: int, high: int, *, written: Callable[[int], str], what: str
) -> BeforeValidator:
    """A quantity with a unit, between two bounds (in seconds or GiB)."""

    def check(value: object) -> int:
        number = parse(value)
        if not low <= number <= high:
            raise ValueError(f"is {value}; {what} takes {written(low)} to {written(high)}")
        return number

    return BeforeValidator(checked(check))


def duration_text(seconds: int) -> str:
    """Seconds as pipeline.yaml writes them, in the largest unit that fits: 3600 is `1h`."""
    largest = next((name for name in "dhm" if seconds and seconds % units.SECONDS[name] == 0), "s")
    return f"{seconds // units.SECONDS[largest]}{largest}"


def size_text(gib: int) -> str:
    """GiB as pipeline.yaml writes them."""
    return f"{gib}GiB"


def _duration(low: int, high: int, *, what: str) -> tuple[BeforeValidator, WithJsonSchema]:
    schema = {"type": "string", "pattern": units.DURATION_PATTERN, "examples": ["30s", "15m", "1h"]}
    return _between(units.seconds, low, high, written=duration_text, what=what), WithJsonSchema(schema)


_QUIET = _duration(0, units.SECONDS["h"], what="a quiet period")
_TRAINING = _duration(1, TRAINING_RUNTIME, what="a training job")
_PROCESSING = _duration(1, PROCESSING_RUNTIME, what="a processing job")
_DEPLOYMENT = _duration(units.SECONDS["m"], 4 * units.SECONDS["h"], what="a deployment")
_SIZE_SCHEMA = {"type": "string", "pattern": units.SIZE_PATTERN, "examples": ["30GiB"]}

QuietSeconds = Annotated[int, _QUIET[0], _QUIET[1]]
TrainingSeconds = Annotated[int, _TRAINING[0], _TRAINING[1]]
ProcessingSeconds = Annotated[int, _PROCESSING[0], _PROCESSING[1]]
DeploymentSeconds = Annotated[int, _DEPLOYMENT[0], _DEPLOYMENT[1]]
VolumeGiB = Annotated[
    int,
    _between(units.gib, 1, VOLUME, written=size_text, what="a training volume"),
    WithJsonSchema(_SIZE_SCHEMA),
]

Name = Annotated[str, AfterValidator(checked(check_name)), Field(json_schema_extra={"maxLength": NAME_LENGTH})]
Version = Annotated[str, BeforeValidator(checked(_version)), Field(examples=["1.9-0"])]
Image = Annotated[str, AfterValidator(checked(_image))]
Dockerfile = Annotated[str, AfterValidator(checked(_dockerfile))]
Instance = Annotated[str, AfterValidator(checked(_instance)), Field(examples=["ml.m5.large"])]
Prefix = Annotated[str, AfterValidator(checked(_prefix)), Field(examples=["digits/train/"])]
Regex = Annotated[str, AfterValidator(checked(_regex))]
Hyperparameter = Annotated[
    str,
    BeforeValidator(checked(_scalar_text)),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]
MetricName = Annotated[
    str,
    AfterValidator(checked(metric_names.check)),
    WithJsonSchema({"type": "string", "enum": list(metric_names.METRICS)}),
]
Schedule = Annotated[
    str, AfterValidator(checked(schedule.check)), Field(examples=["rate(7 days)", "cron(0 3 * * ? *)"])
]

_DATA_TRIGGER_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "boolean"},
        {
            "type": "object",
            "properties": {"quiet": {"type": "string", "pattern": units.DURATION_PATTERN, "default": "30s"}},
            "additionalProperties": False,
        },
    ]
}
TrueOrFalseOrMore = (BeforeValidator(_data_trigger), WithJsonSchema(_DATA_TRIGGER_SCHEMA))
