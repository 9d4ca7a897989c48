"""What bench/subset.py plans, so that all methods get the same time, and what it makes of its trainings."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from bench import harness, results, subset
from bench.promises import PROMISES

TRAININGS = list(subset.trainings(3))


def test_the_most_telling_come_first_and_none_twice() -> None:
    assert len(set(TRAININGS)) == len(TRAININGS)
    first = [(each.case, each.method, each.percent) for each in TRAININGS[:11]]
    of_10 = [(subset.CLEAN, method, 10) for method in subset.METHODS]
    noisy = [(subset.NOISY, method, 30) for method in subset.CASES[subset.NOISY]]
    assert first == [*of_10, (subset.CLEAN, subset.FULL, 100), *noisy]
    by_seed = [{(e.case, e.method, e.percent) for e in TRAININGS if e.seed == seed} for seed in range(3)]
    assert by_seed[0] == by_seed[1] == by_seed[2]


@pytest.mark.parametrize("training", [each for each in TRAININGS if not each.seed], ids=str)
def test_every_method_spends_its_time_on_learning_and_choosing(training: subset.Training) -> None:
    _, fraction, epochs = subset.plan(training)
    whole = subset.IMBALANCED_EPOCHS if training.case == subset.IMBALANCED else subset.EPOCHS
    allotted = whole if training.method == subset.FULL else whole / subset.SOONER[training.percent]
    spent = epochs * fraction
    if training.method in subset.SELECTING:
        guided = training.method == "glister"
        guide = subset.GUIDE * (4 if training.case == subset.IMBALANCED else 1) if guided else 0
        look = subset.LOOK * (1 + guide)
        assert spent < allotted, "the rest goes into looking"
        assert subset.cost(epochs, fraction, look) <= allotted < subset.cost(epochs + 1, fraction, look)
        return
    assert spent == pytest.approx(allotted)


def test_selections_are_counted() -> None:
    """After a warm-up of one epoch, at the epochs 1, 6, 11, …"""
    for epochs, selections in {1: 0, 2: 1, 6: 1, 7: 2, 11: 2, 12: 3}.items():
        assert subset.cost(epochs, 0.0, 1.0) == selections


def rows(**changes: float) -> list[dict[str, Any]]:
    told = {"accuracy": 0.5, "seconds": 10.0}
    found = [{**vars(training), **told} for training in TRAININGS]
    for row in found:
        row["accuracy"] = changes.get(subset.name(row), 0.5) + row["seed"] / 100
    return found


def test_medians_and_what_the_methods_are_beside_each_other() -> None:
    found = subset.document(
        rows(accuracy_full=0.7, accuracy_resampled_10=0.66, accuracy_glister_10=0.6, noisy_trimmed=0.4),
        argparse.Namespace(data=Path("cifar.npz")),
    )
    figures = found["figures"]
    assert (figures["accuracy_full"], figures["noisy_trimmed"]) == (0.71, 0.41)
    assert found["samples"]["accuracy_full"] == [0.7, 0.71, 0.72]
    assert (figures["drop_10"], figures["glister_gain_10"]) == (4.0, -6.0)
    assert figures["seconds_glister_50"] == 10.0
    page = results.rendered({"subset": harness._described(found, harness.machine())})
    assert "| resampled | 0.67 (0.66 – 0.68) | 0.51 (0.5 – 0.52) |" in page
    assert "| trimmed |  |  |  |  | 0.41 (0.4 – 0.42) |  |" in page


def test_every_figure_is_explained() -> None:
    figures = subset.document(rows(), argparse.Namespace(data=Path("cifar.npz")))["figures"]
    assert not [figure for figure in figures if figure not in PROMISES]
    promised = {percent: PROMISES[f"drop_{percent}"][0] for percent in subset.SOONER}
    assert promised == subset.POINTS
