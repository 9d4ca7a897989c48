"""The benchmark of bert_qa: medians of its seeds, and what it has the probe save."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from bench import bert_qa, harness


def row(seed: int, f1: float) -> dict[str, Any]:
    return {"seed": seed, "seconds": 9, **dict.fromkeys(bert_qa.FIGURES, 0.5), "f1": f1}


def options(**more: Any) -> argparse.Namespace:
    return argparse.Namespace(**{"data": Path("questions.json"), "rows": None, "seeds": 3, **more})


def test_the_figures_are_the_medians_of_the_seeds() -> None:
    found = bert_qa.document([row(0, 0.2), row(1, 0.61), row(2, 0.5)], options())
    assert found["figures"]["f1"] == 0.5
    assert set(found["figures"]) == set(bert_qa.FIGURES)
    assert harness._described(found, harness.machine())["spread"]["f1"] == {
        "n": 3,
        "min": 0.2,
        "median": 0.5,
        "max": 0.61,
    }


def test_the_probe_saves_what_pipeline_yaml_says() -> None:
    saved = json.loads(bert_qa.probe())["collections"]
    assert saved["attention"]["modes"] == ["eval"]
    assert {"losses", "tensors"} <= saved.keys()
