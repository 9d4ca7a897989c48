"""Whole runs of containers of one's own: Dockerfile, CodeBuild, ECR, trained, judged, served, in Python and in C."""

from __future__ import annotations

import pytest
from own_bases import NO_BUILDS, NO_COMPILER, OwnContainer
from running_aws import ROOT

TRAINING_CODE = ROOT / "training_code"
SCRIPTED = ROOT / "tests" / "local" / "scripted_container"
PYTHON, C = TRAINING_CODE / "own_container", TRAINING_CODE / "own_container_c"

PIPELINES = (
    {}
    if NO_BUILDS
    else {
        "own-container": OwnContainer(PYTHON),
        **({} if NO_COMPILER else {"own-container-c": OwnContainer(C)}),
        "own-scripted": OwnContainer(SCRIPTED),
    }
)
pytestmark = pytest.mark.skipif(bool(NO_BUILDS), reason=NO_BUILDS)
