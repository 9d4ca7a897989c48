"""The stacks of cdk.json's environments, synthesized once a test process."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache

import pytest
from synthesis import ROOT, Template, settings, synthesize, write_pipeline

Stacks = dict[str, Template]


@pytest.fixture(scope="session")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Stacks]:
    """The stacks of an environment with this checkout's own pipelines."""

    @cache
    def synthesized(environment: str) -> Stacks:
        return synthesize(settings(environment), ROOT / "training_code", tmp_path_factory.mktemp(environment))

    return synthesized


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
