"""Benchmarks that run in images' environments, on a small size each: they give the figures that are asked for."""

from __future__ import annotations

import argparse
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from bench import bert_qa, detector, probe, rules, subset, traffic_signs, two_hosts
from bench import compile as compiling
from bench.environments import with_more
from localaws.sagemaker.containers.images import Images


def said(_text: str) -> None:
    """Nothing."""


def python() -> Path:
    return Path(Images(rules.harness.IMAGES).environment(probe.IMAGE, said).python)


@pytest.mark.parametrize("name", list(probe.OTHER_IMAGES))
def test_what_the_probe_costs_in_a_framework(name: str) -> None:
    found = probe.framework(name, True, said)
    assert list(found["figures"]) == [f"{name}_probe_cost"]
    assert len(found["samples"][f"{name}_probe_cost"]) == probe.SMALL_REPETITIONS


def test_what_the_probe_costs_in_pytorch() -> None:
    measured = probe.training(python(), "probe", 2, 1)
    (one,) = measured["rounds"]
    assert min(one["saving"], *one["ordinary"], *one["unwatched"], *measured["usual"]) > 0, "seconds"
    found = probe.figures("probe_cost", measured, said)
    assert list(found["figures"]) == ["probe_cost"]
    assert len(found["samples"]["probe_cost"]) == 1


def test_what_views_cost_in_pytorch() -> None:
    found = probe.views(python(), True, said)
    wanted = ["views_cost", "views_wall_cost", "slow_view_cost", "views_beside", "views_close_seconds"]
    assert list(found["figures"]) == wanted
    assert all(len(found["samples"][name]) == probe.SMALL_TRAININGS for name in wanted)
    assert found["figures"]["views_beside"] > 0, "they were drawn"


# Of each set one that is left alone and one that is stopped.
@pytest.mark.parametrize(
    ("kinds", "healthy", "sick"),
    [
        ("fitted", "regression under noise, learned at once", "inputs all zero"),
        ("unseen", "tumours, AdamW", "digits, weights begin as zero"),
    ],
)
def test_trainings_under_readmes_rules(kinds: str, healthy: str, sick: str) -> None:
    document = rules.configuration(rules.readme(), kinds, [5])
    found = list(rules.trainings(python(), document, said, healthy, sick))
    assert [(one["name"], one["sick"], bool(one["stopped"])) for one in found] == [
        (healthy, False, False),
        (sick, True, True),
    ]
    assert found[0]["fell"] > 0.1


def test_two_hosts_take_the_step_of_one() -> None:
    found = two_hosts.measure(True, said)["figures"]
    assert found["gradient_difference"] < 1e-9
    assert found["gradient_difference_float32"] < 1e-4, "rounding"
    assert found["accuracy_one"] == pytest.approx(found["accuracy_two"], abs=0.1)


FEW_SIGNS = """
import sys
import numpy as np
labels = np.arange(60) % 3
pictures = np.random.default_rng(0).integers(0, 255, (60, 32, 32, 3), np.uint8)
held_out = {"x_test": pictures[:9] // 2, "y_test": labels[:9]}
np.savez(sys.argv[1], x_train=pictures, y_train=labels, classes=["30_kmh", "60_kmh", "80_kmh"], **held_out)
"""


def test_signs_and_what_their_maps_are_worth(tmp_path: Path) -> None:
    data = tmp_path / "signs.npz"
    subprocess.run([python(), "-c", FEW_SIGNS, data], check=True)
    found = traffic_signs.measure(argparse.Namespace(data=data, rows=None, seeds=3, shown=4), True, said)
    assert set(found["figures"]) == {*traffic_signs.MEDIANS, "recall_60_least"}
    (seed,) = found["seeds"]
    assert seed["pictures_60"] == 3 and abs(seed["remainder"]) < 1e-3
    assert (seed["tracks"]["across"], seed["tracks"]["within_training"]) == (9, 0), "half as bright is the same sign"


FEW_PICTURES = """
import sys
import numpy as np
labels = np.arange(300) % 3
pictures = np.random.default_rng(0).integers(0, 255, (300, 32, 32, 3), np.uint8)
held_out = {"x_test": pictures[:9], "y_test": labels[:9]}
np.savez(sys.argv[1], x_train=pictures, y_train=labels, classes=["a", "b", "c"], **held_out)
"""


def test_ways_to_choose_a_part_of_the_data(tmp_path: Path) -> None:
    """One of each case; to import torch takes longer than to train these."""
    data = tmp_path / "pictures.npz"
    subprocess.run([python(), "-c", FEW_PICTURES, data], check=True)
    options = argparse.Namespace(data=data, rows=tmp_path / "rows", seeds=3)
    environment = subset.environment()
    for training in (
        subset.Training(subset.NOISY, "glister", 30, 0),
        subset.Training(subset.IMBALANCED, "infobatch", 30, 0),
    ):
        (row,) = subset.measured(environment, options, training, True)
        assert (row["case"], row["method"]) == (training.case, training.method)
        assert 0 <= row["selection_seconds"] < row["wall_seconds"] and row["seconds"] > 0
        assert (row["wrong"] > 0.2) == (training.case == subset.NOISY)
    assert row["examples"] < 200, "classes of 90, 12 and 1"


def test_cells_with_a_backbone_that_has_learned_before_and_without(tmp_path: Path) -> None:
    pretraining, cells = tmp_path / "pictures.npz", tmp_path / "cells.tar"
    subprocess.run([python(), "-c", FEW_PICTURES, pretraining], check=True)
    drawing = with_more(python(), detector.MODEL / "requirements.txt")
    few = ("--pictures", "8", "--held-out", "2", "--size", "96", "72")
    subprocess.run([drawing, detector.MODEL / "cells.py", tmp_path / "cells", *few], check=True, capture_output=True)
    with tarfile.open(cells, "w") as archive:
        archive.add(tmp_path / "cells", "")
    cache = tmp_path / "cache"
    options = argparse.Namespace(data=cells, cifar=pretraining, cache=cache, rows=tmp_path / "rows", seeds=3)
    found = detector.measure(options, True, said)
    assert list(found["figures"]) == list(detector.FIGURES)
    assert [(row["kind"], row["pictures"]) for row in found["seeds"]] == [("transfer", 2), ("scratch", 2)]
    assert (cache / "small" / detector.WEIGHTS).is_file()
    assert not options.rows.exists(), "a small size's rows would pass for the whole one's"


def test_a_forest_answers_alike_compiled(tmp_path: Path) -> None:
    found = compiling.measured("forest", compiling.MODELS["forest"], tmp_path, tmp_path / "forest", True)
    assert (found["agreement"], found["precision"]) == (1.0, "float32")
    assert [len(side) for side in found["seconds"]] == [compiling.SMALL_REQUESTS] * 2
    assert min(map(min, found["seconds"])) > 0 and 0 < found["size"] < 1


def test_what_bert_comes_to_on_texts_of_ones_own(tmp_path: Path) -> None:
    questions = [
        {"question": f"Who founded town {number}?", "answers": [{"text": "Tom Bel", "answer_start": 18}]}
        for number in range(9)
    ]
    articles = [
        {
            "title": f"Town {number}",
            "paragraphs": [{"context": f"It was founded by Tom Bel in {number}.", "qas": questions}],
        }
        for number in range(9)
    ]
    (tmp_path / "questions.json").write_text(json.dumps({"data": articles}))
    options = argparse.Namespace(data=tmp_path / "questions.json", rows=tmp_path / "rows", seeds=3)
    found = bert_qa.measure(options, True, said)["figures"]
    assert set(found) == set(bert_qa.FIGURES)
    assert 0 <= found["exact_match"] <= found["f1"] <= found["f1_always"] <= 1
    assert found["attention_step_change"] > 0
    assert not options.rows.exists(), "a small size's rows would pass for the whole one's"
