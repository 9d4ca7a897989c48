"""The first process of a training container, as the request for the job brings it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from run_world import make_spec

from infra.workflow.first_process import first_process, passing_signals_on
from ratchet.spec import PipelineSpec

SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-py312"


@pytest.mark.fidelity(
    "Training jobs",
    "ContainerEntrypoint and ContainerArguments hold at most 100 strings of 256 characters without line ends.",
    "API reference, AlgorithmSpecification (botocore's model of SageMaker)",
)
def test_it_keeps_the_limits_of_the_api() -> None:
    operation = botocore.session.get_session().get_service_model("sagemaker").operation_model("CreateTrainingJob")
    algorithm: Any = operation.input_shape.members["AlgorithmSpecification"]
    for member, words in passing_signals_on().items():
        shape = algorithm.members[member]
        word = shape.member.metadata
        assert len(words) <= shape.metadata["max"], member
        for one in words:
            assert len(one) <= word["max"], one
            assert re.fullmatch(word["pattern"], one), one


def test_the_state_machine_takes_it_as_it_stands() -> None:
    """Neither an expression of the machine's nor a placeholder that the deployment fills in."""
    for words in passing_signals_on().values():
        assert not [word for word in words if "{%" in word or "${" in word]


def test_without_a_train_command_it_says_so() -> None:
    words = [word for words in passing_signals_on().values() for word in words]
    ended = subprocess.run(
        [sys.executable, *words[1:]], env={"PATH": "/nowhere"}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 127
    assert ended.stdout == "train isn't in this image, so it is none of SageMaker's framework images\n"


def built(folder: Path, dockerfile: str) -> PipelineSpec:
    (folder / "Dockerfile").write_text(dockerfile)
    return make_spec(folder, framework=None, dockerfile="Dockerfile")


def test_an_image_that_starts_like_a_framework_s_has_it(tmp_path: Path) -> None:
    assert first_process(make_spec(tmp_path)) == passing_signals_on()
    assert first_process(make_spec(tmp_path, framework=None, image=SKLEARN)) == passing_signals_on()
    more = f"FROM python:3.12 AS tools\nCMD x\nfrom --platform=linux/amd64 {SKLEARN}\nRUN pip install lightgbm\n"
    assert first_process(built(tmp_path, more)) == passing_signals_on()


def test_an_image_of_the_user_s_own_starts_as_it_says(tmp_path: Path) -> None:
    own = "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/image:1.0"
    assert first_process(make_spec(tmp_path, framework=None, image=own)) == {}
    assert first_process(built(tmp_path, "FROM python:3.12\n")) == {}
    assert first_process(built(tmp_path, f'FROM {SKLEARN}\nENTRYPOINT ["python", "/fit.py"]\n')) == {}
    assert first_process(built(tmp_path, "ARG BASE\nFROM ${BASE}\n")) == {}
    assert first_process(built(tmp_path, f"FROM {SKLEARN} AS base\nCMD fit\nFROM base\nRUN make\n")) == {}


@pytest.mark.parametrize(
    "base",
    [
        f"ARG BASE={SKLEARN}\nFROM ${{BASE}}\n",
        f'ARG BASE="{SKLEARN}"\nFROM $BASE AS made\n',
        f"FROM ${{BASE:-{SKLEARN}}}\n",
        f"FROM {SKLEARN} AS Base\nRUN make\nFROM base\nCOPY --from=base /made /made\n",
        f"ARG REGISTRY={SKLEARN.partition('/')[0]}\nFROM ${{REGISTRY}}/{SKLEARN.partition('/')[2]}\n",
    ],
)
def test_a_base_is_found_through_stages_and_defaults(tmp_path: Path, base: str) -> None:
    assert first_process(built(tmp_path, base)) == passing_signals_on()
