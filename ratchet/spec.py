"""`pipeline.yaml`, the one file that says what a model's pipeline is, as frozen models.

`load(path)` reads one and refuses what could not work, all problems at once, each as `file:line: field: what is wrong
and what would be right`. Units are gone after loading: durations are whole seconds, sizes whole GiB, as AWS's requests
want them. `python -m ratchet.spec` writes the JSON Schema that editors complete from.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from ratchet import metric_names, spec_errors, units, yaml_lines
from ratchet import spec_fields as fields
from ratchet.spec_base import Model
from ratchet.spec_debugger import check_managed
from ratchet.spec_errors import SpecError, refusal
from ratchet.spec_fields import ENVIRONMENT_LENGTH, NAME_LENGTH
from ratchet.spec_rounds import Rounds, check_rounds
from ratchet.spec_rules import Probe, Rule, check_custom_rule, check_rules
from ratchet.spec_spot import Spot, check_checkpoints, check_spot
from ratchet.yaml_lines import Document, Location, Problem, dotted

__all__ = ["ENVIRONMENT_LENGTH", "FILE_NAME", "FRAMEWORKS", "NAME_LENGTH", "PipelineSpec", "SpecError", "load"]

FILE_NAME = "pipeline.yaml"
TEST_CHANNEL = "test"

# CreateTrainingJob, API reference: HyperParameters, AlgorithmSpecification.MetricDefinitions, InputDataConfig.
HYPERPARAMETERS = 100
HYPERPARAMETER_KEY = 256
HYPERPARAMETER_VALUE = 2500
METRIC_DEFINITIONS = 40
METRIC_NAME = 255
TRAINING_CHANNELS = 20

FrameworkName = Literal["sklearn", "xgboost", "pytorch", "tensorflow"]
FRAMEWORKS: tuple[str, ...] = get_args(FrameworkName)

_NOT_YET: dict[Location, str] = {
    ("tune",): "hyperparameter tuning",
    ("deploy", "shift"): "shifting traffic in steps (every deployment is blue/green, all at once)",
    ("deploy", "rollback_on"): "rolling back on alarms",
    ("triggers", "drift"): "the drift trigger",
}


class Framework(Model):
    """A framework image of SageMaker's, by name and version."""

    name: FrameworkName
    version: fields.Version


class DataTrigger(Model):
    """New objects start a run, once nothing more has arrived for `quiet` seconds."""

    quiet: fields.QuietSeconds = 30


class Triggers(Model):
    """What starts a run, besides a person."""

    data: Annotated[
        DataTrigger | None,
        *fields.TrueOrFalseOrMore,
        Field(description="New objects under a channel's prefix: true, false, or {quiet: 30s}"),
    ] = DataTrigger()
    schedule: Annotated[fields.Schedule | None, Field(description="rate(…) or cron(…), in UTC")] = None
    code: Annotated[bool, Field(description="New code deployed")] = True


class Train(Model):
    """The training job. `max_runtime` is in seconds, `volume` in GiB."""

    instance: fields.Instance
    instance_count: int = 1
    volume: fields.VolumeGiB = 30
    max_runtime: fields.TrainingSeconds = 3600
    spot: Annotated[Spot | None, Field(description="On spot capacity; refused unless train.py checkpoints")] = None
    hyperparameters: Annotated[
        Mapping[str, fields.Hyperparameter], Field(description="Given to train.py as --<name> <value>")
    ] = {}
    metrics: Annotated[
        Mapping[str, fields.Regex], Field(description="Name → regular expression over the job's log, with one group")
    ] = {}

    @model_validator(mode="after")
    def _limits(self) -> Train:
        if self.instance_count != 1:
            message = f"is {self.instance_count}; training on several instances is not supported yet: write 1"
            raise refusal(message, "instance_count")
        check_spot(self.spot, self.max_runtime)
        _limit_hyperparameters(self.hyperparameters)
        _limit_metrics(self.metrics)
        return self


class Evaluate(Model):
    """The processing job that judges challenger and champion on the `test` channel. `max_runtime` is in seconds."""

    instance: fields.Instance = "ml.m5.large"
    max_runtime: fields.ProcessingSeconds = 3600
    label: Annotated[int, Field(ge=0, description="The label's column in the held-out CSV files (no header)")] = 0


class Gate(Model):
    """When a challenger becomes the champion: the floor, the margin, and how sure the interval must be."""

    metric: fields.MetricName
    minimum: Annotated[float, Field(description="The floor that every model must reach, in the metric's unit")]
    beat_champion_by: Annotated[
        float, Field(ge=0, description="The interval's lower bound must exceed this; 0: any real improvement")
    ] = 0.0
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95

    @model_validator(mode="after")
    def _reachable(self) -> Gate:
        best = metric_names.greatest(self.metric)
        if self.minimum > best:
            negated = " (scikit-learn negates it, so that greater is better)" if best == 0 else ""
            message = f"is {self.minimum:g}, but {self.metric} is at most {best:g}{negated}; no model would pass"
            raise refusal(message, "minimum")
        return self


class Deploy(Model):
    """The endpoint. `timeout` is in seconds."""

    instance: fields.Instance
    instance_count: Annotated[int, Field(ge=1, le=100)] = 1
    timeout: fields.DeploymentSeconds = 1800


class PipelineSpec(Model):
    """One model's pipeline, as its pipeline.yaml says it."""

    name: fields.Name
    framework: Annotated[Framework | None, Field(description="Exactly one of framework, image and dockerfile")] = None
    image: fields.Image | None = None
    dockerfile: fields.Dockerfile | None = None
    data: Annotated[
        Mapping[str, fields.Prefix],
        Field(description="Channel → prefix in the data bucket; `test` is the held-out set, all others train"),
    ]
    input_mode: Literal["File", "FastFile"] = "File"
    triggers: Triggers = Triggers()
    train: Train
    probe: Annotated[Probe, Field(description="Which tensors the training job saves")] = Probe()
    rules: Annotated[Sequence[Rule], Field(description="What judges the training job while it runs")] = ()
    rules_then: Annotated[
        Literal["record", "evaluate"],
        Field(description="After a rule has stopped training: the run ends, or goes on with what was saved"),
    ] = "record"
    rules_service: Annotated[
        Literal["open", "sagemaker"],
        Field(description="Who judges: Ratchet's own rules, or the managed SageMaker Debugger"),
    ] = "open"
    rounds: Annotated[Rounds | None, Field(description="Training again and again, from the last model")] = None
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
        check_rules(self.rules)
        if self.rules_service == "sagemaker":
            framework = self.framework
            name, version = (framework.name, framework.version) if framework else (None, None)
            check_managed(name, version, self.rules, self.probe)
        check_rounds(self.rounds, self.train.metrics, self.data)
        return self

    @property
    def training_channels(self) -> dict[str, str]:
        """The channels that training sees, with their prefixes: all but the held-out one."""
        return {channel: prefix for channel, prefix in self.data.items() if channel != TEST_CHANNEL}

    @property
    def folder(self) -> Path:
        """The model's folder: where its pipeline.yaml lies."""
        return self._path.parent

    def error(self, field: str, message: str) -> SpecError:
        """An error on this file's own line, for what only a later reader can know (a version without an image)."""
        location: Location = tuple(int(part) if part.isdigit() else part for part in field.split("."))
        return SpecError(self._path, [Problem(self._document.line(location), dotted(location), message)])


def _one_source_of_the_image(spec: PipelineSpec) -> None:
    given = [name for name in ("framework", "image", "dockerfile") if getattr(spec, name) is not None]
    if len(given) > 1:
        raise refusal(f"is given, and {given[0]} too; exactly one of them says what the jobs run in", given[-1])
    if not given:
        example = 'framework: {name: sklearn, version: "1.9-0"}'
        raise refusal(
            f"is required (or image, or dockerfile), to say what the jobs run in; write {example}", "framework"
        )


def _channels(data: Mapping[str, str]) -> None:
    for channel in data:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", channel):
            raise refusal(f"is the channel {channel!r}; use at most 64 letters, digits, . _ and -", "data", channel)
    if "train" not in data:
        raise refusal("is required; write train: <prefix>/", "data", "train")
    if TEST_CHANNEL not in data:
        raise refusal("is required, the held-out set that only evaluation sees; write test: <prefix>/", "data", "test")
    if len(data) - 1 > TRAINING_CHANNELS:
        raise refusal(f"gives training {len(data) - 1} channels; SageMaker takes at most {TRAINING_CHANNELS}", "data")
    _no_overlap(data)


def _no_overlap(data: Mapping[str, str]) -> None:
    """Held-out examples inside a training channel would be trained on, and the gate would judge memory."""
    for one, other in ((one, other) for one in data for other in data if one != other):
        if data[one].startswith(data[other]):
            message = f"is {data[one]!r}, inside data.{other} ({data[other]!r}); give each channel a prefix of its own"
            raise refusal(message, "data", one)


def _limit_hyperparameters(hyperparameters: Mapping[str, str]) -> None:
    if len(hyperparameters) > HYPERPARAMETERS:
        raise refusal(
            f"has {len(hyperparameters)} entries; SageMaker takes at most {HYPERPARAMETERS}", "hyperparameters"
        )
    for key, value in hyperparameters.items():
        at = ("hyperparameters", key)
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


def load(path: Path) -> PipelineSpec:
    """The pipeline that a pipeline.yaml describes.

    Raises:
        SpecError: the file can't be read, or says something that can't work; it holds every problem found.
    """
    try:
        document = yaml_lines.read(path)
    except OSError as error:
        raise SpecError(path, [Problem(1, "", f"can't be read: {error.strerror}")]) from error
    except yaml_lines.YamlError as error:
        raise SpecError(path, [error.problem]) from error
    spec = _validated(path, document)
    if spec.dockerfile is not None and not (path.parent / spec.dockerfile).is_file():
        raise spec.error("dockerfile", f"there is no file {spec.dockerfile} in {path.parent}")
    if spec.train.spot is not None and (wrong := check_checkpoints(path.parent)):
        raise spec.error("train.spot", wrong)
    for index, rule in enumerate(spec.rules):
        wrong = check_custom_rule(rule, path.parent) if rule.is_custom else None
        if wrong:
            raise spec.error(f"rules.{index}.rule", wrong)
    return spec


def _validated(path: Path, document: Document) -> PipelineSpec:
    if not isinstance(document.data, dict):
        found = "is empty" if document.data is None else f"holds a {type(document.data).__name__}"
        raise SpecError(path, [Problem(1, "", f"{found}; a pipeline is a mapping that starts with name: <pipeline>")])
    refused = _not_supported_yet(document)
    try:
        spec = PipelineSpec.model_validate(document.data)
    except ValidationError as error:
        details = [detail for detail in error.errors() if spec_errors.location(detail) not in refused]
        others = [spec_errors.problem(detail, document, PipelineSpec) for detail in details]
        raise SpecError(path, [*refused.values(), *others]) from error
    spec._path, spec._document = path, document
    return spec


def _not_supported_yet(document: Document) -> dict[Location, Problem]:
    """What the file asks for and a later version of Ratchet will do, by its own name."""
    asked = {place: what for place, what in _NOT_YET.items() if place in document.lines}
    if document.data.get("approval") == "manual":
        asked["approval",] = "approval by a person"
    return {
        place: Problem(document.line(place), dotted(place), f"{what} is not supported yet; leave it out")
        for place, what in asked.items()
    }


def json_schema() -> dict[str, Any]:
    """The JSON Schema of pipeline.yaml, for editors."""
    schema = _with_units(PipelineSpec.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Ratchet pipeline"}


def _with_units(schema: dict[str, Any]) -> dict[str, Any]:
    """Defaults of durations and sizes as the user would write them: `1h`, not 3600."""
    written = {units.DURATION_PATTERN: fields.duration_text, units.SIZE_PATTERN: fields.size_text}
    for section in (schema, *schema["$defs"].values()):
        for field in section["properties"].values():
            if "default" in field and field.get("pattern") in written:
                field["default"] = written[field["pattern"]](field["default"])
            elif isinstance(field.get("default"), dict):
                del field["default"]
    return schema


def json_schema_text() -> str:
    """The schema as docs/pipeline.schema.json holds it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/pipeline.schema.json")
    target.write_text(json_schema_text(), encoding="utf-8")
