"""The stacks of cdk.json's environments, synthesized once a test process."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

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


@pytest.fixture
def pipeline(tmp_path: Path) -> Callable[..., Template]:
    """The stack of one pipeline of the test's own: `pipeline(environment settings, **fields of its spec)`."""

    def synthesized(environment: str = "prod", changes: dict[str, object] | None = None, **spec: object) -> Template:
        write_pipeline(tmp_path / "models", **spec)
        found = synthesize(settings(environment, **(changes or {})), tmp_path / "models", tmp_path / "out")
        return found["tickets"]

    return synthesized
