"""Synthesizing environments and pipelines of a test's own, and finding one's way in the templates."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ratchet.spec import find_pipelines
from ratchet.spec.environments import Environment, environment

ROOT = Path(__file__).parents[2]
TOOLKIT = ROOT / "training_code" / "toolkit"
CONTEXT: Mapping[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]
ENVIRONMENTS = tuple(CONTEXT["environments"])

SPEC: dict[str, Any] = {
    "name": "tickets",
    "framework": {"name": "sklearn", "version": "1.9-0"},
    "data": {"train": "tickets/train/", "validation": "tickets/validation/", "test": "tickets/test/"},
    "train": {"instance": "ml.m5.large"},
    "gate": {"metric": "accuracy", "minimum": 0.5},
    "deploy": {"instance": "ml.t2.medium"},
}


@dataclass(frozen=True)
class Template:
    """One synthesized stack."""

    document: Mapping[str, Any]

    def of_type(self, kind: str) -> dict[str, Any]:
        """Resources of a CloudFormation type, by logical id."""
        return {name: found for name, found in self.document["Resources"].items() if found["Type"] == kind}

    def one(self, kind: str) -> Any:
        """The only resource of a type."""
        (resource,) = self.of_type(kind).values()
        return resource

    def named(self, beginning: str) -> Any:
        """The only resource whose logical id begins so."""
        (resource,) = (found for name, found in self.document["Resources"].items() if name.startswith(beginning))
        return resource

    @property
    def machine(self) -> Any:
        """The state machine's definition."""
        return json.loads(self.one("AWS::StepFunctions::StateMachine")["Properties"]["DefinitionString"])

    def statements(self) -> Iterator[tuple[str, Any]]:
        """Every statement that a role has, with the role's (or its policy's) logical id."""
        for name, role in self.of_type("AWS::IAM::Role").items():
            for policy in role["Properties"].get("Policies", []):
                yield from ((name, statement) for statement in policy["PolicyDocument"]["Statement"])
        for name, policy in self.of_type("AWS::IAM::Policy").items():
            yield from ((name, statement) for statement in policy["Properties"]["PolicyDocument"]["Statement"])

    def statements_of(self, beginning: str) -> list[Any]:
        """The statements of the roles and policies whose logical id begins so."""
        return [statement for name, statement in self.statements() if name.startswith(beginning)]


def settings(name: str, **changes: Any) -> Environment:
    """An environment of cdk.json, with changes."""
    return environment(name, {**CONTEXT["environments"][name], **changes})


def write_pipeline(models: Path, **changes: Any) -> Path:
    """A model's folder with SPEC and changes (None leaves a field out), and the least code."""
    spec = {name: value for name, value in {**SPEC, **changes}.items() if value is not None}
    folder = models / spec["name"].replace("-", "_")
    folder.mkdir(parents=True)
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(spec))
    (folder / "train.py").write_text("from toolkit.probe import Probe\n")
    (folder / "serve.py").write_text("def model_fn(model_dir): ...\n")
    return folder


def synthesize(target: Environment, models: Path, outdir: Path) -> dict[str, Template]:
    """The stacks of an environment by what follows `ratchet-<environment>-`."""
    # Every test process collects these tests, and one runs them: to import CDK takes most of a second.
    from infra.app import new_app  # noqa: PLC0415
    from infra.stages import add_stacks  # noqa: PLC0415

    app = new_app(outdir=outdir, context=CONTEXT)
    add_stacks(app, target, find_pipelines(models), toolkit=TOOLKIT)
    app.synth()
    return templates(outdir, target.name)


def templates(assembly: Path, environment: str) -> dict[str, Template]:
    """The stacks in an assembly's folder, by what follows `ratchet-<environment>-`."""
    prefix = f"ratchet-{environment}-"
    return {
        path.name.removesuffix(".template.json").removeprefix(prefix): Template(json.loads(path.read_text()))
        for path in assembly.glob("*.template.json")
    }


def listed(value: Any) -> list[Any]:
    """An element of a policy, which may stand alone, as a list."""
    return value if isinstance(value, list) else [value]


def text(value: Any) -> str:
    """A template's value in one line, to look for parts in it."""
    return json.dumps(value)
