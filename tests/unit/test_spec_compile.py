"""`deploy.compile`: what it comes to, and what is refused, on its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.files import SPEC_FILE
from ratchet import spec

SPEC = """\
name: digits
FROM
data: {train: digits/train/, test: digits/test/}
train: {instance: ml.m5.large}
gate: {metric: accuracy, minimum: 0.8}
deploy:
  instance: ml.m5.large
"""
FRAMEWORK = 'framework: {name: sklearn, version: "1.9-0"}'
ECR_IMAGE = "image: 111122223333.dkr.ecr.us-east-1.amazonaws.com/mine:1"
CHAIN = "  chain: [{entry: serve.py}, {entry: last.py}]\n"


def loaded(folder: Path, lines: str, image: str = FRAMEWORK) -> spec.PipelineSpec:
    for name in ("serve.py", "last.py", "train.py"):
        (folder / name).write_text("", encoding="utf-8")
    (folder / SPEC_FILE).write_text(SPEC.replace("FROM", image) + lines, encoding="utf-8")
    return spec.load(folder / SPEC_FILE)


def test_a_target_is_enough(tmp_path: Path) -> None:
    found = loaded(tmp_path, "  compile: {target: onnx}\n").deploy.compile
    assert found is not None
    assert (found.target, found.tolerance, found.int8) == ("onnx", 0.005, True)
    assert loaded(tmp_path, "").deploy.compile is None


def test_all_of_it_may_be_said(tmp_path: Path) -> None:
    found = loaded(tmp_path, "  compile: {target: onnx, tolerance: 0, int8: false}\n").deploy.compile
    assert found is not None
    assert (found.tolerance, found.int8) == (0, False)


@pytest.mark.parametrize("kind", ["serverless", "async", "batch"])
def test_it_goes_with_every_kind_of_deployment(tmp_path: Path, kind: str) -> None:
    more = {
        "serverless": "  serverless: {memory: 2GiB, concurrency: 5}\n",
        "async": "  queue: {input: q/in/, output: q/out/}\n",
        "batch": "  input: rows/\n",
    }
    text = SPEC.replace("FROM", FRAMEWORK) + f"  kind: {kind}\n  compile: {{target: onnx}}\n" + more[kind]
    if kind == "serverless":
        text = text.replace("  instance: ml.m5.large\n", "")
    (tmp_path / SPEC_FILE).write_text(text, encoding="utf-8")
    found = spec.load(tmp_path / SPEC_FILE).deploy
    assert found.compile is not None and found.kind == kind


REFUSED = {
    "no target": ("  compile: {tolerance: 0.1}\n", "8: deploy.compile.target: is required; write target: onnx"),
    "Neo's instance": (
        "  compile: {target: ml_c5}\n",
        "8: deploy.compile.target: is 'ml_c5', a target of SageMaker Neo, which is not supported: for hosting Neo",
    ),
    "Neo's device": ("  compile: {target: jetson_nano}\n", "'jetson_nano', a target of SageMaker Neo"),
    "a slip": ("  compile: {target: onxx}\n", "8: deploy.compile.target: is 'onxx'; did you mean onnx?"),
    "all answers may differ": ("  compile: {target: onnx, tolerance: 1}\n", "8: deploy.compile.tolerance: "),
    "fewer than none": ("  compile: {target: onnx, tolerance: -0.1}\n", "8: deploy.compile.tolerance: "),
    "no number": ("  compile: {target: onnx, tolerance: some}\n", "8: deploy.compile.tolerance: "),
    "another field": ("  compile: {target: onnx, precision: int8}\n", "8: deploy.compile.precision: "),
    "a chain": (
        f"  compile: {{target: onnx}}\n{CHAIN}",
        "8: deploy.compile: is said beside deploy.chain, whose containers answer one after the other",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_on_its_line(tmp_path: Path, name: str) -> None:
    lines, sentence = REFUSED[name]
    with pytest.raises(spec.SpecError) as refused:
        loaded(tmp_path, lines)
    assert sentence in str(refused.value)


def test_an_image_of_ones_own_compiles_by_itself(tmp_path: Path) -> None:
    with pytest.raises(spec.SpecError) as refused:
        loaded(tmp_path, "  compile: {target: onnx}\n", ECR_IMAGE)
    assert "deploy.compile: is done by Ratchet's toolkit, which serves what comes of it" in str(refused.value)
