"""The checkout that a command works in: its root, environments, pipelines, and where it keeps what it makes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import contract
from contract.files import SPEC_FILE, TOOLKIT
from contract.suggestions import near
from ratchet.errors import UserError
from ratchet.spec import ConfigurationError, SpecError, load, named_folders
from ratchet.spec.environments import Environment, read_environment

CDK_JSON = "cdk.json"
TRAINING_CODE = "training_code"


@dataclass(frozen=True)
class Project:
    """A checkout. `home` holds what commands make: the embedded AWS's state, cached images, reports."""

    root: Path
    home: Path

    @property
    def aws_state(self) -> Path:
        return self.home / "aws"

    @property
    def images(self) -> Path:
        """Cached image environments; several homes may share them."""
        return Path(os.environ.get("RATCHET_IMAGES", self.home / "images"))

    @property
    def models(self) -> Path:
        return self.root / TRAINING_CODE

    @property
    def rule_evaluator(self) -> tuple[Path, ...]:
        """The program of SageMaker Debugger's rule image on the embedded AWS, and the folders from which it imports;
        empty in a checkout without it."""
        toolkit = self.models / TOOLKIT
        program = toolkit / "rule_evaluator.py"
        return (program, toolkit, Path(contract.__file__).parent) if program.is_file() else ()

    @property
    def reports(self) -> Path:
        return self.home / "reports"

    @cached_property
    def pipelines(self) -> Mapping[str, Path]:
        """Pipeline name → the model's folder. A pipeline.yaml that can't be used is left to whoever needs it."""
        return named_folders(self.models)

    def unusable(self) -> dict[str, str]:
        """The pipelines whose pipeline.yaml can't be used, each with all that is wrong in it."""
        found = {}
        for name, folder in self.pipelines.items():
            try:
                load(folder / SPEC_FILE)
            except SpecError as error:
                found[name] = str(error)
        return found

    def environment(self, name: str) -> Environment:
        """An environment by its name.

        Raises:
            UserError: cdk.json has none of that name, or describes it wrongly.
        """
        try:
            return read_environment(self.root / CDK_JSON, name)
        except ConfigurationError as error:
            raise UserError(str(error)) from error

    def pipeline(self, given: str) -> str:
        """The pipeline that a user means: by its name, its folder's name, or the path of its folder.

        A well-formed name that no folder has stays as it is: it may be deployed from elsewhere.
        """
        for name, folder in self.pipelines.items():
            if given in (name, folder.name) or _same(Path(given), folder):
                return name
        meant = near(given, self.pipelines)
        if meant:
            raise UserError(f"there is no pipeline {given!r}; did you mean {meant}?")
        return given


def find(start: Path | None = None) -> Project:
    """The project around a folder (the current one unless told), or the one that this package was installed from.

    Raises:
        UserError: neither is one.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents, Path(__file__).resolve().parents[1]):
        if (folder / CDK_JSON).is_file() and (folder / TRAINING_CODE).is_dir():
            return Project(folder, Path(os.environ.get("RATCHET_HOME", folder / ".ratchet")))
    raise UserError(
        f"{start} isn't in a Ratchet checkout (a folder with {CDK_JSON} and {TRAINING_CODE}/); change into one"
    )


def _same(one: Path, other: Path) -> bool:
    return one.exists() and one.resolve() == other.resolve()
