"""The stacks of cdk.json's environments, synthesized once a test process."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from synthesis import ROOT, Template, settings, synthesize, templates, write_pipeline

Stacks = dict[str, Template]


@pytest.fixture(scope="session")
def assemblies(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder into which an environment with this checkout's own pipelines was synthesized."""

    @cache
    def synthesized(environment: str) -> Path:
        folder = tmp_path_factory.mktemp(environment)
        synthesize(settings(environment), ROOT / "training_code", folder)
        return folder

    return synthesized


@pytest.fixture(scope="session")
def stacks(assemblies: Callable[[str], Path]) -> Callable[[str], Stacks]:
    """The stacks of an environment with this checkout's own pipelines."""
    return cache(lambda environment: templates(assemblies(environment), environment))


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Template]:
    """The stack of one pipeline of the test's own: `pipeline(environment, changes of its settings, **spec)`."""
    known: dict[str, Template] = {}

    def synthesized(environment: str = "prod", changes: dict[str, object] | None = None, **spec: object) -> Template:
        asked = json.dumps([environment, changes, spec])
        if asked not in known:
            folder = tmp_path_factory.mktemp("pipeline")
            write_pipeline(folder / "models", **spec)
            stacks = synthesize(settings(environment, **(changes or {})), folder / "models", folder / "out")
            known[asked] = stacks["tickets"]
        return known[asked]

    return synthesized
