"""The benchmarks of tuning on a small size each: they give the figures that are asked for."""

from __future__ import annotations

from bench import early_stopping, tune


def said(_text: str) -> None:
    """Nothing."""


def test_strategies_on_forests() -> None:
    found = tune.strategies(1, 10, None, said)
    assert set(found) == set(tune.FIGURES) - {"Syne Tune's BORE"}
    assert all(0.1 < each.f1 <= 1 and 0.1 < each.folds <= 1 and each.seconds > 0 for (each, *_) in found.values())
    figures = tune.strategy_figures(found)["figures"]
    assert 0 < figures["multifidelity_cost"] < 1
    assert figures["warm_start_f1"] > figures["random_f1"], "finer ranges around the best"


def test_early_stopping_of_networks() -> None:
    document = early_stopping.measure(True, said)
    assert 0 < document["figures"]["saved"] < 1
    assert len(document["samples"]["saved"]) == early_stopping.SMALL_SEEDS
