"""The benchmark of detector: medians of its seeds, a kind each, and what train.py is told."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from bench import detector, harness


def options(**more: Any) -> argparse.Namespace:
    given = {"data": Path("cells.tar"), "cifar": Path("cifar.npz"), "cache": Path("kept"), "rows": None, "seeds": 3}
    return argparse.Namespace(**{**given, **more})


def row(seed: int, kind: str, map50: float) -> dict[str, Any]:
    return {"seed": seed, "kind": kind, "seconds": 9, "map50": map50, "map": map50 / 2}


def test_the_figures_are_the_medians_of_the_seeds_by_kind() -> None:
    scores = {"transfer": (0.7, 0.9, 0.8), "scratch": (0.5, 0.4, 0.6)}
    rows = [row(seed, kind, value) for kind, values in scores.items() for seed, value in enumerate(values)]
    found = detector.document(rows, options())
    assert found["figures"] == {"map50": 0.8, "map": 0.4, "scratch_map50": 0.5, "scratch_map": 0.25}
    assert set(found["figures"]) == set(detector.FIGURES)
    spread = harness._described(found, harness.machine())["spread"]["scratch_map50"]
    assert spread == {"n": 3, "min": 0.4, "median": 0.5, "max": 0.6}


@pytest.mark.parametrize("kind", detector.KINDS)
def test_the_kinds_differ_in_the_weights_alone(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, ...]] = []

    def script(_python: Path, *arguments: str) -> dict[str, Any]:
        told.append(arguments)
        return {"map50": 0.5}

    monkeypatch.setattr(detector, "last_line", script)
    (found,) = detector.measured(Path("python"), options(), {"seed": 4, "kind": kind}, False)
    assert found == {"seed": 4, "kind": kind, "map50": 0.5}
    *backbone, training = told
    assert [one[0] for one in backbone] == ([] if kind == "scratch" else ["detector_backbone.py"])
    assert ("--pretrained" in training) == (kind != "scratch")
    knobs = json.loads(training[training.index("--knobs") + 1])
    assert (knobs["seed"], knobs["threads"]) == ("4", "1")
    assert {"epochs", "size", "batch_size", "learning_rate"} <= knobs.keys(), "as pipeline.yaml has them"


def test_a_backbone_that_is_there_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector, "last_line", lambda *_: pytest.fail("it would be trained"))
    folder = tmp_path / "cifar"
    folder.mkdir()
    (folder / "model.safetensors").touch()
    assert detector.pretrained(Path("python"), options(cache=tmp_path), small=False) == folder
