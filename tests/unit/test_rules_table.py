"""The frozen table of rules is the toolkit's own, and so is its page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

# What SageMaker Debugger's documentation lists ("List of Debugger built-in rules"), and Ratchet's own.
NAMES = {
    "VanishingGradient", "ExplodingTensor", "WeightUpdateRatio", "AllZero", "UnchangedTensor", "TensorVariance",
    "SimilarAcrossRuns", "PoorWeightInitialization", "SaturatedActivation", "DeadRelu", "LossNotDecreasing", "Overfit",
    "Overtraining", "StalledTraining", "ClassImbalance", "Confusion", "CheckInputImages", "NLPSequenceRatio",
    "TreeDepth", "FeatureImportanceOverweight", "AccuracyDrop",
}  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout's two files, written anew. It needs no NumPy."""
    checkout = tmp_path_factory.mktemp("checkout")
    for folder in ("ratchet/spec", "docs"):
        (checkout / folder).mkdir(parents=True)
    command = [sys.executable, "-m", "toolkit.rules", "--write-table", str(checkout)]
    subprocess.run(command, cwd=ROOT / "training_code", check=True)
    return checkout


@pytest.mark.parametrize("file", ["ratchet/spec/rules.json", "docs/rules.md"])
def test_current(written: Path, file: str) -> None:
    again = "cd training_code && python -m toolkit.rules --write-table .."
    assert (ROOT / file).read_text() == (written / file).read_text(), f"{file} isn't current; write it anew: {again}"


def table() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "ratchet" / "spec" / "rules.json").read_text())
    return found


def test_has_every_rule() -> None:
    assert set(table()) == NAMES


def test_every_rule_names_its_source() -> None:
    page = "https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html#"
    assert {name for name, rule in table().items() if not rule["source"].startswith(page)} == {"AccuracyDrop"}


@pytest.mark.parametrize(
    ("rule", "parameter", "default"),
    [
        ("VanishingGradient", "threshold", 0.0000001),
        ("WeightUpdateRatio", "large_threshold", 10.0),
        ("WeightUpdateRatio", "small_threshold", 0.00000001),
        ("WeightUpdateRatio", "epsilon", 0.000000001),
        ("AllZero", "threshold", 100),
        ("UnchangedTensor", "num_steps", 3),
        ("UnchangedTensor", "rtol", 1e-05),
        ("UnchangedTensor", "atol", 1e-08),
        ("PoorWeightInitialization", "threshold", 10.0),
        ("PoorWeightInitialization", "distribution_range", 0.001),
        ("PoorWeightInitialization", "patience", 5),
        ("PoorWeightInitialization", "steps", 10),
        ("SaturatedActivation", "threshold_tanh_min", -9.4999),
        ("SaturatedActivation", "threshold_tanh_max", 9.4999),
        ("SaturatedActivation", "threshold_sigmoid_min", -23),
        ("SaturatedActivation", "threshold_sigmoid_max", 16.99999),
        ("DeadRelu", "threshold_inactivity", 1.0),
        ("DeadRelu", "threshold_layer", 50.0),
        ("LossNotDecreasing", "num_steps", 10),
        ("LossNotDecreasing", "use_losses_collection", True),
        ("LossNotDecreasing", "diff_percent", 0.1),
        ("LossNotDecreasing", "increase_threshold_percent", 5),
        ("Overfit", "patience", 1),
        ("Overfit", "ratio_threshold", 0.1),
        ("Overtraining", "patience_train", 5),
        ("Overtraining", "patience_validation", 10),
        ("Overtraining", "delta", 0.01),
        ("StalledTraining", "threshold", 1800),
        ("ClassImbalance", "threshold_imbalance", 10),
        ("ClassImbalance", "threshold_misprediction", 0.7),
        ("ClassImbalance", "samples", 500),
        ("Confusion", "min_diag", 0.9),
        ("Confusion", "max_off_diag", 0.1),
        ("CheckInputImages", "threshold_mean", 0.2),
        ("CheckInputImages", "threshold_samples", 500),
        ("CheckInputImages", "channel", 1),
        ("TreeDepth", "depth", 4),
        ("FeatureImportanceOverweight", "threshold", 0.8),
        ("FeatureImportanceOverweight", "nfeatures", 3),
    ],
)
def test_documented_defaults(rule: str, parameter: str, default: object) -> None:
    assert table()[rule]["parameters"][parameter]["default"] == default
