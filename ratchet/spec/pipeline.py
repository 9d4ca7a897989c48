"""The whole of pipeline.yaml: its sections, and what must hold between them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, model_validator

from contract import files
from contract.held_out import Reading, defines_reader
from ratchet.spec.approval import Approval, Approved
from ratchet.spec.candidates import Candidate, check_beside, check_candidates
from ratchet.spec.champion_channels import check_champions
from ratchet.spec.data import Channel, DataChannels, check_apart, check_channels
from ratchet.spec.deploy import Deploy
from ratchet.spec.deploy_compile import check_compiled
from ratchet.spec.deploy_micro_batches import check_containers, may_batch
from ratchet.spec.dockerfile import Dockerfile as DockerfileText
from ratchet.spec.dockerfile import read
from ratchet.spec.errors import SpecError
from ratchet.spec.evaluate import Evaluate
from ratchet.spec.gate import Gate
from ratchet.spec.gate_parts import check_outputs, check_parts
from ratchet.spec.image import Dockerfile, Framework, Image, check_one_image, is_of_a_framework
from ratchet.spec.labels import Audited, check_audited
from ratchet.spec.managed_rules import check_managed
from ratchet.spec.manifest import FAST_FILE, MODES, Manifest
from ratchet.spec.metric_names import labels_needed_are_numbers
from ratchet.spec.model import Example, Model
from ratchet.spec.name import Name
from ratchet.spec.probe import Probe
from ratchet.spec.rounds import Rounds, check_rounds
from ratchet.spec.rules import Rule, check_rules
from ratchet.spec.serving import Serving, check_threshold
from ratchet.spec.tensorflow import check_model_dir
from ratchet.spec.train import Train
from ratchet.spec.train_hosts import check_hosts
from ratchet.spec.triggers import Triggers
from ratchet.spec.tune import Tune, check_tune
from ratchet.spec.views import View, check_views
from ratchet.spec.yaml_lines import Document, Location, Problem, dotted


class PipelineSpec(Model):
    """One model's pipeline, as its pipeline.yaml says it."""

    name: Annotated[Name, Example("name: digits-forest")]
    framework: Annotated[Framework | None, Field(description="Exactly one of framework, image and dockerfile")] = None
    image: Image | None = None
    dockerfile: Dockerfile | None = None
    data: Annotated[
        DataChannels,
        Field(description="Channel → prefix in the data bucket; `test` is the held-out set, all others train"),
        Example("data: {train: digits/train/, test: digits/test/}"),
    ]
    labels: Annotated[Audited, Field(description="The channels whose labels `ratchet labels` may audit")] = ()
    input_mode: Literal["File", "FastFile"] = "File"
    triggers: Triggers = Triggers()
    train: Annotated[Train, Example("train: {instance: ml.m5.large}")]
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
    views: Annotated[Sequence[View], Field(description="Which pictures of a training are drawn while it runs")] = ()
    rounds: Annotated[Rounds | None, Field(description="Training again and again, from the last model")] = None
    tune: Annotated[Tune | None, Field(description="Tuning of hyperparameters, and when a run does it")] = None
    candidates: Annotated[
        Sequence[Candidate],
        Field(description="Scripts or hyperparameters that are trained side by side; the best model goes to the gate"),
    ] = ()
    evaluate: Evaluate = Evaluate()
    gate: Annotated[Gate, Example("gate: {metric: f1_macro, minimum: 0.9}")]
    approval: Annotated[
        Approved, Field(description="Who lets a model serve that has passed the gate: automatic, or a person (manual)")
    ] = Approval()
    serving: Annotated[Serving, Field(description="How the model answers")] = Serving()
    deploy: Annotated[Deploy, Example("deploy: {instance: ml.t2.medium}")]

    _path: Path = PrivateAttr(default=Path(files.SPEC_FILE))
    _document: Document = PrivateAttr(default_factory=lambda: Document(None))

    @model_validator(mode="after")
    def _possible(self) -> PipelineSpec:
        check_one_image(self.framework, self.image, self.dockerfile)
        check_champions(self.name, self.data.champions)
        check_channels(self.data)
        check_audited(self.labels, self.data)
        check_apart(self.data, self.deploy.prefixes)
        name = self.framework.name if self.framework else None
        check_hosts(name, self.train.instance_count, self.train.distribution, self.data)
        check_containers(self.deploy.batch, self.serving_frameworks)
        check_compiled(self.deploy.compile, chained=bool(self.deploy.chain))
        check_rules(self.rules)
        check_views(self.views, managed_rules=self.rules_service == "sagemaker")
        if self.rules_service == "sagemaker":
            framework = self.framework
            name, version = (framework.name, framework.version) if framework else (None, None)
            check_managed(name, version, self.rules, self.probe)
        check_rounds(self.rounds, self.train.metrics, [*self.data, *self.data.champions])
        managed = self.rules_service == "sagemaker"
        check_tune(self.tune, self.train, rounds=self.rounds is not None, managed_rules=managed)
        check_candidates(self.candidates, self.train.hyperparameters, self.train.instance)
        check_beside(
            self.candidates,
            tune=self.tune is not None,
            rounds=self.rounds is not None,
            views=bool(self.views),
            managed_rules=managed,
            rules_then=self.rules_then,
            compiled=self.deploy.compile is not None,
        )
        if name == "tensorflow":
            check_model_dir(self.train, tuned=self.tune is not None)
        check_outputs(self.gate.metric, self.evaluate)
        check_parts(self.gate.metric, self.gate.segments, self.gate.classes, self.evaluate)
        check_threshold(self.serving.threshold, self.gate.metric, floors=self.gate.at_threshold is not None)
        return self

    @property
    def training_channels(self) -> dict[str, Channel]:
        """The data channels that training sees, with their prefixes: all but the held-out one."""
        return {channel: prefix for channel, prefix in self.data.items() if channel != files.TEST_CHANNEL}

    @property
    def manifests(self) -> dict[str, Manifest]:
        """The channels' augmented manifests, of those that have one."""
        return {name: channel.manifest for name, channel in self.data.items() if channel.manifest}

    @property
    def streams_files(self) -> bool:
        """Whether a training channel comes in FastFile mode, which takes a prefix of the data bucket."""
        channels = self.training_channels.values()
        modes = [channel.manifest.input_mode if channel.manifest else self.input_mode for channel in channels]
        return MODES[FAST_FILE] in modes

    @property
    def is_own_container(self) -> bool:
        """Whether its image is the user's own, which trains and serves by itself: nothing of Ratchet's runs in it."""
        if self.framework is not None:
            return False
        return self.started_like is None or not is_of_a_framework(self.started_like)

    @property
    def started_like(self) -> str | None:
        """The image as which its containers start; None for a framework, and where its Dockerfile says how they do."""
        built = self.dockerfile_read
        return built.started_like if built else self.image

    @property
    def dockerfile_read(self) -> DockerfileText | None:
        """What the Dockerfile says; None without one."""
        return read(self.folder / self.dockerfile) if self.dockerfile else None

    @property
    def training_scripts(self) -> list[str]:
        """The files that train: of candidates each one's, once."""
        entries = [candidate.entry for candidate in self.candidates] or [files.TRAINING_SCRIPT]
        return list(dict.fromkeys(entries))

    @property
    def serving_scripts(self) -> list[str]:
        """The files whose functions serve: of a chain one a container, in order."""
        return [container.entry for container in self.deploy.chain] or [files.SERVING_SCRIPT]

    @property
    def serving_frameworks(self) -> list[str | None]:
        """The frameworks whose containers run those, in order; None for an image of the user's own."""
        hosting = self.framework.hosted_by[0] if self.framework else None
        return [container.framework_of(hosting) for container in self.deploy.chain] or [hosting]

    @property
    def batching_scripts(self) -> list[str]:
        """Those of the files whose containers have requests at the same time."""
        pairs = zip(self.serving_scripts, self.serving_frameworks, strict=True)
        return [script for script, framework in pairs if may_batch(framework)]

    @property
    def reads_held_out_data(self) -> bool:
        """Whether the first of them reads the held-out data by a function of its own."""
        first = self.folder / self.serving_scripts[0]
        return not self.is_own_container and first.is_file() and defines_reader(first.read_text(encoding="utf-8"))

    @property
    def reading(self) -> Reading:
        """How the held-out files are read: as evaluate says, for the gate's metric and its segments."""
        evaluate, segments = self.evaluate, self.gate.segments
        return Reading(
            label=evaluate.label,
            header=evaluate.header,
            format=evaluate.format,
            segment=segments.column if segments else None,
            any_label=self.gate.is_own or labels_needed_are_numbers(self.gate.metric),
        )

    @property
    def folder(self) -> Path:
        """The model's folder: where its pipeline.yaml lies."""
        return self._path.parent

    def error(self, field: str, message: str) -> SpecError:
        """An error on this file's own line, for what only a later reader can know (a version without an image)."""
        location: Location = tuple(int(part) if part.isdigit() else part for part in field.split("."))
        return SpecError(self._path, [Problem(self._document.line(location), dotted(location), message)])
