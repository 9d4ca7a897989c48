"""The tabulated benchmark: strategies replayed on forests that were trained once."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest

from bench.tune_play import Played
from bench.tune_table import PATH, replay, space, table
from localaws.sagemaker.tuning.completion import Criteria
from localaws.sagemaker.tuning.history import Strategy, Study
from localaws.sagemaker.tuning.suggestion import suggest_random

GOOD = {
    "n-estimators": "200",
    "max-depth": "20",
    "min-samples-leaf": "1",
    "min-weight-fraction-leaf": "0.01",
    "max-features": "sqrt",
}
STUMPS = {**GOOD, "max-depth": "1", "min-weight-fraction-leaf": "0.5"}
EPOCHS = 9


def job(seed: int, strategy: Strategy = "Random", **settings: object) -> Study:
    return replace(Study(space(), strategy, maximize=True, seed=seed, max_jobs=50, max_parallel=2), **settings)


def best(played: Played) -> float:
    return played.best.objective or 0.0


def test_the_table_is_small_and_knows_good_forests_from_bad_ones() -> None:
    assert PATH.stat().st_size <= 200_000
    for folds in (False, True):
        assert table().value(GOOD, folds=folds) > 0.94
        assert table().value(STUMPS, folds=folds) < 0.5


def test_fewer_trees_take_as_much_less_time() -> None:
    whole, few = table().fit_seconds(GOOD), table().fit_seconds({**GOOD, "n-estimators": "20"})
    assert 0.05 < whole < 5
    assert few == table().fit_seconds(GOOD, 0.1)
    assert abs(few / whole - 0.1) < 0.01


def test_a_replayed_job_trains_all_its_trials_two_at_once() -> None:
    done = replay(job(1), suggest_random)
    assert len(done.study.own) == 50
    assert {trial.status for trial in done.study.own} == {"completed"}
    assert all(trial.objective == table().value(trial.values) for trial in done.study.own)
    assert done.cost == pytest.approx(sum(table().fit_seconds(trial.values) for trial in done.study.own))
    assert done == replay(job(1), suggest_random)


def test_random_over_a_hundred_seeds_is_where_it_was_measured() -> None:
    """With fits of its own, on one split, random's best of 50 had a median of 0.945 over 3–5 seeds."""
    found = [best(replay(job(seed), suggest_random)) for seed in range(100)]
    assert abs(statistics.median(found) - 0.945) < 0.012


def test_over_five_folds_luck_of_one_split_is_gone() -> None:
    done = replay(job(1), suggest_random, folds=True)
    assert done.cost == replay(job(1), suggest_random).cost
    assert all(trial.objective == table().value(trial.values, folds=True) for trial in done.study.own)
    assert max(max(column) for column in table().folds.f1) < max(max(column) for column in table().split.f1)


def test_early_stopping_and_hyperband_save_most_of_the_seconds() -> None:
    whole, early, band = (
        [replay(job(seed, strategy, **settings), suggest_random, EPOCHS) for seed in range(20)]
        for strategy, settings in (
            ("Random", {}),
            ("Random", {"early_stopping": True}),
            ("Hyperband", {"resources": (1, EPOCHS)}),
        )
    )
    for done in (early, band):
        saved = [1 - a.cost / b.cost for a, b in zip(done, whole, strict=True)]
        lost = [best(b) - best(a) for a, b in zip(done, whole, strict=True)]
        assert statistics.median(saved) > 0.28
        assert statistics.median(lost) < 0.003


def test_a_job_that_has_reached_its_target_starts_no_more_trials() -> None:
    done = replay(job(1), suggest_random, criteria=Criteria(target=0.8))
    assert best(done) >= 0.8
    assert len(done.study.own) < 50
