"""The benchmarks of tuning on a small size each: they give the figures that are asked for."""

from __future__ import annotations

import pytest
from job_kit import Jobs
from running_aws import Aws

from bench import early_stopping, tune, tune_forests, tune_overhead
from bench.tune_forests import forests
from bench.tune_rivals import Rivals

RIVALS = ("Optuna's Gaussian process", "Optuna's TPE", "Syne Tune's BORE")


def said(_text: str) -> None:
    """Nothing."""


def test_strategies_on_forests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune_forests, "FOLDS", 2)
    with forests(tune_overhead.python(), 1) as fits:
        found = tune.one_seed(fits, 3, Rivals({}, {}, None), said, 0)
    assert set(found) == set(tune.FIGURES) - {"grid", *RIVALS}
    assert all(0.1 < each.f1 <= 1 and 0.1 < each.folds <= 1 and each.seconds > 0 for each in found.values())
    assert found["hyperband"].seconds < found["random"].seconds, "the same trials, not all of them to their end"
    figures = tune.strategy_figures({name: [result] for name, result in found.items()})["figures"]
    assert figures["multifidelity_f1"] in {figures[tune.FIGURES[name]] for name in tune.MULTIFIDELITY}


def test_early_stopping_of_networks() -> None:
    document = early_stopping.measure(True, said)
    assert 0 < document["figures"]["saved"] < 1
    assert len(document["samples"]["saved"]) == early_stopping.SMALL_SEEDS


def test_what_the_embedded_aws_adds_to_a_trial(aws: Aws) -> None:
    found = tune_overhead.tuned(Jobs(aws), 3)
    assert found.trials == 3
    assert 0 < found.busy <= 1
    assert found.trial_seconds > tune_overhead.bare_seconds()
