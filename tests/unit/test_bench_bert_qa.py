"""The benchmark of bert_qa: medians of its seeds, and what it goes on from."""

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


def test_it_goes_on_from_the_seeds_that_are_kept(tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    assert bert_qa.remembered(None, 0) is None
    assert bert_qa.remembered(rows, 0) is None
    rows.write_text("".join(json.dumps(row(seed, 0.5)) + "\n" for seed in (0, 2)))
    assert bert_qa.remembered(rows, 2) == row(2, 0.5)
    assert bert_qa.remembered(rows, 1) is None


def test_the_probe_saves_what_pipeline_yaml_says() -> None:
    saved = json.loads(bert_qa.probe())["collections"]
    assert saved["attention"]["modes"] == ["eval"]
    assert {"losses", "tensors"} <= saved.keys()
