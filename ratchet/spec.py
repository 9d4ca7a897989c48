"""`pipeline.yaml`, the one file that says what a model's pipeline is, as frozen models.

`load(path)` reads one and refuses what could not work, all problems at once, each as `file:line: field: what is wrong and
what would be right`. Units are gone after loading: durations are whole seconds, sizes whole GiB, as AWS's requests want them.
`python -m ratchet.spec` writes the JSON Schema that editors complete from.
"""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from ratchet import metric_names, schedule, units, yaml_lines
from ratchet.yaml_lines import Document, Location, Problem, dotted

FILE_NAME = "pipeline.yaml"

# `<pipeline>-<run id>-evaluate` is the longest name of a job: 32 + 1 + 20 + 1 + 8 = 62 of SageMaker's 63 characters.
# `<environment>-<pipeline>`, the endpoint's and the model package group's name, leaves 30 for the environment.
NAME_LENGTH = 32
ENVIRONMENT_LENGTH = 63 - 1 - NAME_LENGTH
# `ratchet-<environment>-shared` is the shared stack: a pipeline of that name would be deployed over it.
RESERVED_NAMES = ("shared",)

TEST_CHANNEL = "test"

# CreateTrainingJob, API reference: StoppingCondition, HyperParameters, AlgorithmSpecification, ResourceConfig.
TRAINING_RUNTIME = 28 * units.SECONDS["d"]
HYPERPARAMETERS = 100
HYPERPARAMETER_KEY = 256
HYPERPARAMETER_VALUE = 2500
METRIC_DEFINITIONS = 40
METRIC_NAME = 255
METRIC_REGEX = 500
VOLUME = 16384
TRAINING_CHANNELS = 20
# CreateProcessingJob, API reference: ProcessingStoppingCondition.
PROCESSING_RUNTIME = 7 * units.SECONDS["d"]

FrameworkName = Literal["sklearn", "xgboost", "pytorch", "tensorflow"]
FRAMEWORKS: tuple[str, ...] = get_args(FrameworkName)

_NOT_YET: dict[Location, str] = {
    ("rules",): "rules that stop bad training",
    ("tune",): "hyperparameter tuning",
    ("train", "spot"): "spot training",
    ("deploy", "shift"): "shifting traffic in steps (every deployment is blue/green, all at once)",
    ("deploy", "rollback_on"): "rolling back on alarms",
    ("triggers", "drift"): "the drift trigger",
}

_INSTANCE = re.compile(r"ml\.[a-z][a-z0-9-]*\.(?:nano|micro|small|medium|large|metal|\d*xlarge|metal-\d+xl)")
_IMAGE = re.compile(r"[\w.\-]+(?::\d+)?(?:/[\w.\-]+)+(?::[\w][\w.\-]{0,127})?(?:@sha256:[0-9a-f]{64})?")


class SpecError(ValueError):
    """A pipeline.yaml that can't be used: its problems, one a line, as `file:line: field: message`."""

    def __init__(self, path: Path, problems: Sequence[Problem]) -> None:
        self.path = path
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__("\n".join(_sentence(path, problem) for problem in self.problems))


def _sentence(path: Path, problem: Problem) -> str:
    where = f"{path}:{problem.line}: "
    return f"{where}{problem.field}: {problem.message}" if problem.field else f"{where}{problem.message}"


def _refusal(message: str) -> PydanticCustomError:
    """An error whose message reaches the user as it is."""
    return PydanticCustomError("refused", "{message}", {"message": message})


def _checked(check: Any) -> Any:
    """A validator from a function that raises ValueError with a sentence for the user."""

    def validate(value: Any) -> Any:
        try:
            return check(value)
        except ValueError as error:
            raise _refusal(str(error)) from error

    return validate


# ---------------------------------------------------------------------------------------------------------- field types


def _name(value: str) -> str:
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
    if not _IMAGE.fullmatch(value) or len(value) > 255:
        raise ValueError(
            f"is {value!r}; write a registry path of at most 255 characters, "
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
        raise ValueError(
            f"is {value!r}; end it with /, as {value}/, so that it names a folder and not {value}-anything too"
        )
    if not re.fullmatch(r"[A-Za-z0-9!_.*'()/=-]+", value) or len(value) > 512:
        raise ValueError(f"is {value!r}; use at most 512 letters, digits and !_.*'()/=- (S3's safe characters)")
    return value


def _scalar_text(value: object) -> str:
    """A hyperparameter as SageMaker takes it, a string; numbers and booleans as JSON writes them."""
    if isinstance(value, str):
        return value
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
        raise ValueError(f"has no group; put the number in parentheses, as {value.rstrip('.*+')} ([0-9.]+)")
    return value


def _data_trigger(value: object) -> object:
    """`true` is the trigger with its default quiet period, `false` is none."""
    return {} if value is True else None if value is False else value


def _bounded(check: Any, low: int, high: int, *, unit: str, source: str) -> Any:
    """A quantity with a unit, between two bounds (in seconds or GiB)."""

    def parse(value: object) -> int:
        number: int = check(value)
        if not low <= number <= high:
            raise ValueError(f"is {value}; {source} takes {_amount(low, unit)} to {_amount(high, unit)}")
        return number

    return BeforeValidator(_checked(parse))


def _amount(number: int, unit: str) -> str:
    if unit == "GiB":
        return f"{number}GiB"
    largest = next((name for name in "dhm" if number and number % units.SECONDS[name] == 0), "s")
    return f"{number // units.SECONDS[largest]}{largest}"


_DURATION_SCHEMA = WithJsonSchema(
    {"type": "string", "pattern": units.DURATION_PATTERN, "examples": ["30s", "15m", "1h"]}
)
_SIZE_SCHEMA = WithJsonSchema({"type": "string", "pattern": units.SIZE_PATTERN, "examples": ["30GiB"]})
_SCALAR_SCHEMA = WithJsonSchema({"type": ["string", "number", "boolean"]})

Name = Annotated[str, AfterValidator(_checked(_name)), Field(json_schema_extra={"maxLength": NAME_LENGTH})]
Instance = Annotated[str, AfterValidator(_checked(_instance)), Field(examples=["ml.m5.large"])]
Prefix = Annotated[str, AfterValidator(_checked(_prefix)), Field(examples=["digits/train/"])]
Regex = Annotated[str, AfterValidator(_checked(_regex))]
Hyperparameter = Annotated[str, BeforeValidator(_checked(_scalar_text)), _SCALAR_SCHEMA]
MetricName = Annotated[
    str,
    AfterValidator(_checked(metric_names.check)),
    WithJsonSchema({"type": "string", "enum": list(metric_names.METRICS)}),
]
Schedule = Annotated[
    str, AfterValidator(_checked(schedule.check)), Field(examples=["rate(7 days)", "cron(0 3 * * ? *)"])
]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


# --------------------------------------------------------------------------------------------------------------- models


class Framework(_Model):
    """A framework image of SageMaker's, by name and version."""

    name: FrameworkName
    version: Annotated[str, BeforeValidator(_checked(_version)), Field(examples=["1.9-0"])]


class DataTrigger(_Model):
    """New objects start a run, once nothing more has arrived for `quiet` seconds."""

    quiet: Annotated[int, _bounded(units.seconds, 0, 3600, unit="s", source="a quiet period"), _DURATION_SCHEMA] = 30


class Triggers(_Model):
    """What starts a run, besides a person."""

    data: Annotated[
        DataTrigger | None,
        BeforeValidator(_data_trigger),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "boolean"},
                    {
                        "type": "object",
                        "properties": {
                            "quiet": {"type": "string", "pattern": units.DURATION_PATTERN, "default": "30s"}
                        },
                        "additionalProperties": False,
                    },
                ]
            }
        ),
        Field(description="New objects under a channel's prefix: true, false, or {quiet: 30s}"),
    ] = DataTrigger()
    schedule: Annotated[Schedule | None, Field(description="rate(…) or cron(…), in UTC")] = None
    code: Annotated[bool, Field(description="New code deployed")] = True


class Train(_Model):
    """The training job. `max_runtime` is in seconds, `volume` in GiB."""

    instance: Instance
    instance_count: int = 1
    volume: Annotated[int, _bounded(units.gib, 1, VOLUME, unit="GiB", source="a training volume"), _SIZE_SCHEMA] = 30
    max_runtime: Annotated[
        int, _bounded(units.seconds, 1, TRAINING_RUNTIME, unit="s", source="a training job"), _DURATION_SCHEMA
    ] = 3600
    hyperparameters: Annotated[
        Mapping[str, Hyperparameter], Field(description="Given to train.py as --<name> <value>")
    ] = {}
    metrics: Annotated[
        Mapping[str, Regex], Field(description="Name → regular expression over the job's log, one group")
    ] = {}

    @model_validator(mode="after")
    def _limits(self) -> Train:
        _limit_instance_count(self.instance_count)
        _limit_hyperparameters(self.hyperparameters)
        _limit_metrics(self.metrics)
        return self


class Evaluate(_Model):
    """The processing job that judges challenger and champion on the `test` channel. `max_runtime` is in seconds."""

    instance: Instance = "ml.m5.large"
    max_runtime: Annotated[
        int, _bounded(units.seconds, 1, PROCESSING_RUNTIME, unit="s", source="a processing job"), _DURATION_SCHEMA
    ] = 3600
    label: Annotated[
        int, Field(ge=0, description="Column of the held-out CSV files (no header) that holds the label")
    ] = 0


class Gate(_Model):
    """When a challenger becomes the champion: the floor, the margin, and how sure the interval must be."""

    metric: MetricName
    minimum: Annotated[float, Field(description="The floor that every model must reach, in the metric's unit")]
    beat_champion_by: Annotated[
        float, Field(ge=0, description="The interval's lower bound must be greater than this; 0: any real improvement")
    ] = 0.0
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95

    @model_validator(mode="after")
    def _reachable(self) -> Gate:
        best = metric_names.greatest(self.metric)
        if self.minimum > best:
            hint = " (scikit-learn negates it, so that greater is better)" if best == 0 else ""
            raise _refusal(
                f"minimum is {self.minimum:g}, but {self.metric} is at most {best:g}{hint}; nothing would pass"
            )
        return self


class Deploy(_Model):
    """The endpoint. `timeout` is in seconds."""

    instance: Instance
    instance_count: Annotated[int, Field(ge=1, le=100)] = 1
    timeout: Annotated[int, _bounded(units.seconds, 60, 14400, unit="s", source="a deployment"), _DURATION_SCHEMA] = (
        1800
    )


class PipelineSpec(_Model):
    """One model's pipeline, as its pipeline.yaml says it."""

    name: Name
    framework: Annotated[Framework | None, Field(description="Exactly one of framework, image and dockerfile")] = None
    image: Annotated[str, AfterValidator(_checked(_image))] | None = None
    dockerfile: Annotated[str, AfterValidator(_checked(_dockerfile))] | None = None
    data: Annotated[
        Mapping[str, Prefix], Field(description="Channel → prefix in the data bucket; `test` is the held-out set")
    ]
    input_mode: Literal["File", "FastFile"] = "File"
    triggers: Triggers = Triggers()
    train: Train
    evaluate: Evaluate = Evaluate()
    gate: Gate
    approval: Literal["automatic"] = "automatic"
    deploy: Deploy

    _path: Path = PrivateAttr(default=Path(FILE_NAME))
    _document: Document = PrivateAttr(default_factory=lambda: Document(None))

    @model_validator(mode="after")
    def _possible(self) -> PipelineSpec:
        _one_source_of_the_image(self)
        _channels(self.data)
        return self

    @property
    def training_channels(self) -> dict[str, str]:
        """The channels that training sees: all but the held-out one."""
        return {channel: prefix for channel, prefix in self.data.items() if channel != TEST_CHANNEL}

    @property
    def folder(self) -> Path:
        """The model's folder: where its pipeline.yaml lies."""
        return self._path.parent

    def error(self, field: str, message: str) -> SpecError:
        """A SpecError on this file's own line, for what only a later reader can know (an unknown framework version)."""
        location: Location = tuple(field.split("."))
        return SpecError(self._path, [Problem(self._document.line(location), field, message)])


def _one_source_of_the_image(spec: PipelineSpec) -> None:
    given = [name for name in ("framework", "image", "dockerfile") if getattr(spec, name) is not None]
    if len(given) != 1:
        which = f"{' and '.join(given)} are given" if given else "neither framework, image nor dockerfile is given"
        raise _refusal(
            f'{which}; exactly one says what the jobs run in, as framework: {{name: sklearn, version: "1.9-0"}}'
        )


def _channels(data: Mapping[str, str]) -> None:
    for channel in data:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", channel):
            raise _refusal(f"data has the channel {channel!r}; use at most 64 letters, digits, . _ and -")
    for needed in ("train", TEST_CHANNEL):
        if needed not in data:
            raise _refusal(f"data has no {needed!r} channel; write {needed}: <prefix>/{_role(needed)}")
    if len(data) - 1 > TRAINING_CHANNELS:
        raise _refusal(f"data gives training {len(data) - 1} channels; SageMaker takes at most {TRAINING_CHANNELS}")
    _no_overlap(data)


def _role(channel: str) -> str:
    return " (the held-out set that only evaluation sees)" if channel == TEST_CHANNEL else ""


def _no_overlap(data: Mapping[str, str]) -> None:
    """Held-out examples inside a training channel would be trained on, and the gate would judge memory."""
    pairs = [(one, other) for one in data for other in data if one != other]
    for one, other in pairs:
        if data[one].startswith(data[other]):
            raise _refusal(
                f"data.{one} ({data[one]}) lies inside data.{other} ({data[other]}); give each channel a prefix of its own"
            )


def _limit_instance_count(count: int) -> None:
    if count != 1:
        raise _refusal(f"instance_count is {count}; training on several instances is not supported yet: write 1")


def _limit_hyperparameters(hyperparameters: Mapping[str, str]) -> None:
    if len(hyperparameters) > HYPERPARAMETERS:
        raise _refusal(f"hyperparameters has {len(hyperparameters)} entries; SageMaker takes at most {HYPERPARAMETERS}")
    for key, value in hyperparameters.items():
        if not 0 < len(key) <= HYPERPARAMETER_KEY:
            raise _refusal(f"hyperparameters has a name of {len(key)} characters; 1 to {HYPERPARAMETER_KEY}")
        if key.startswith(("sagemaker_", "_tuning")):
            raise _refusal(f"hyperparameters has {key!r}; names that start so are SageMaker's own, choose another")
        if len(value) > HYPERPARAMETER_VALUE:
            raise _refusal(f"hyperparameters.{key} has {len(value)} characters; at most {HYPERPARAMETER_VALUE}")


def _limit_metrics(metrics: Mapping[str, str]) -> None:
    if len(metrics) > METRIC_DEFINITIONS:
        raise _refusal(f"metrics has {len(metrics)} entries; SageMaker takes at most {METRIC_DEFINITIONS}")
    for name in metrics:
        if not 0 < len(name) <= METRIC_NAME:
            raise _refusal(f"metrics has a name of {len(name)} characters; 1 to {METRIC_NAME}")


# -------------------------------------------------------------------------------------------------------------- loading


def load(path: Path) -> PipelineSpec:
    """The pipeline that a pipeline.yaml describes.

    Raises:
        SpecError: the file can't be read, or says something that can't work; it holds every problem found.
    """
    try:
        document = yaml_lines.read(path)
    except OSError as error:
        raise SpecError(path, [Problem(1, "", f"can't be read: {error.strerror}")]) from error
    except yaml_lines.YamlProblem as error:
        raise SpecError(path, [error.problem]) from error
    spec = _validated(path, document)
    if spec.dockerfile is not None and not (path.parent / spec.dockerfile).is_file():
        raise spec.error("dockerfile", f"there is no file {spec.dockerfile} in {path.parent}")
    return spec


def _validated(path: Path, document: Document) -> PipelineSpec:
    if not isinstance(document.data, dict):
        found = "is empty" if document.data is None else f"holds a {type(document.data).__name__}"
        raise SpecError(path, [Problem(1, "", f"{found}; a pipeline is a mapping that starts with name: <pipeline>")])
    refused = _not_supported_yet(document)
    try:
        spec = PipelineSpec.model_validate(document.data)
    except ValidationError as error:
        details = [detail for detail in error.errors() if _named(detail["loc"]) not in refused]
        problems = [*refused.values(), *(_problem(detail, document) for detail in details)]
        raise SpecError(path, problems) from error
    if refused:
        raise SpecError(path, list(refused.values()))
    spec._path, spec._document = path, document
    return spec


def _not_supported_yet(document: Document) -> dict[Location, Problem]:
    """What the file asks for and a later version of Ratchet will do, by its own name."""
    asked = {place: what for place, what in _NOT_YET.items() if place in document.lines}
    if document.data.get("approval") == "manual":
        asked["approval",] = "manual approval"
    return {
        place: Problem(document.line(place), dotted(place), f"{what} is not supported yet; leave it out")
        for place, what in asked.items()
    }


def _named(location: tuple[int | str, ...]) -> Location:
    """A pydantic location without the parts that aren't the user's (`[key]`, a union's member)."""
    return tuple(part for part in location if part not in ("[key]", "DataTrigger"))


def _problem(detail: ErrorDetails, document: Document) -> Problem:
    location = _named(detail["loc"])
    return Problem(document.line(location), dotted(location), _message(detail, location, document))


def _message(detail: ErrorDetails, location: Location, document: Document) -> str:
    """A sentence for one of pydantic's errors, by its type; unknown types keep pydantic's own words."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "refused":
        return str(context["message"])
    if kind == "extra_forbidden":
        return f"unknown key{_nearest_key(location)}"
    if kind == "missing":
        return "is required" + _example(location)
    if kind == "literal_error":
        return f"is {value!r}; it must be {context['expected']}{_nearest(value, context['expected'])}"
    if kind in _WANTED:
        return f"is {_shown(value)}; it must be {_WANTED[kind]}"
    if kind in _BOUNDS:
        bound = next(iter(context.values()))
        return f"is {value}; it must be {_BOUNDS[kind]} {bound:g}"
    return f"{detail['msg'][:1].lower()}{detail['msg'][1:]} (it is {_shown(value)})"


_WANTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "dict_type": "a mapping of names to values",
    "mapping_type": "a mapping of names to values",
    "model_type": "a mapping of names to values",
    "model_attributes_type": "a mapping of names to values",
}
_BOUNDS = {
    "greater_than": "greater than",
    "greater_than_equal": "at least",
    "less_than": "less than",
    "less_than_equal": "at most",
}
_EXAMPLES: dict[Location, str] = {
    ("name",): "name: digits-forest",
    ("data",): "data: {train: digits/train/, test: digits/test/}",
    ("train",): "train: {instance: ml.m5.large}",
    ("train", "instance"): "instance: ml.m5.large",
    ("gate",): "gate: {metric: f1_macro, minimum: 0.9}",
    ("gate", "metric"): "metric: f1_macro",
    ("gate", "minimum"): "minimum: 0.9",
    ("deploy",): "deploy: {instance: ml.t2.medium}",
    ("deploy", "instance"): "instance: ml.t2.medium",
    ("framework", "name"): "name: sklearn",
    ("framework", "version"): 'version: "1.9-0"',
}


def _example(location: Location) -> str:
    return f"; write {_EXAMPLES[location]}" if location in _EXAMPLES else ""


def _shown(value: object) -> str:
    return "empty" if value is None else repr(value)


def _nearest(value: object, expected: str) -> str:
    near = difflib.get_close_matches(str(value), re.findall(r"'([^']+)'", expected), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


def _nearest_key(location: Location) -> str:
    model: type[BaseModel] = PipelineSpec
    for part in location[:-1]:
        model = _section(model, str(part)) or model
    return metric_names.suggestion(str(location[-1]), list(model.model_fields))


def _section(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The model of a field that is a section of its own (`train`), also of an optional one (`triggers.data`)."""
    annotation = model.model_fields[name].annotation if name in model.model_fields else None
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


# --------------------------------------------------------------------------------------------------------------- schema


def json_schema() -> dict[str, Any]:
    """The JSON Schema of pipeline.yaml, for editors."""
    schema = PipelineSpec.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Ratchet pipeline"}


def json_schema_text() -> str:
    """The schema as docs/pipeline.schema.json holds it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/pipeline.schema.json")
    target.write_text(json_schema_text(), encoding="utf-8")
