"""How benchmarks of tuning play a job out, and the figures that they make of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bench import early_stopping, harness, results, tune, tune_overhead
from bench.early_stopping_readings import READINGS, Reading, newest, through
from bench.tune_forests import GRID
from bench.tune_play import Curve, Played, Rules, Values, play
from localaws.sagemaker.tuning.early_stopping import should_stop
from localaws.sagemaker.tuning.history import Study, Trial
from localaws.sagemaker.tuning.space import from_ranges
from localaws.sagemaker.tuning.suggestion import Suggestion, suggest_grid

NUMBERS = from_ranges({"CategoricalParameterRanges": [{"Name": "x", "Values": [str(number) for number in range(6)]}]})
STUDY = Study(NUMBERS, "Grid", True, max_parallel=2)


def rising(values: Values) -> Curve:
    """Three epochs of a second each, that come to x."""
    height = float(values["x"])
    return Curve((height / 4, height / 2, height), (1.0, 2.0, 3.0))


def test_a_job_that_is_played_out_goes_through_all_its_trials() -> None:
    seen: list[int] = []

    def counted(study: Study) -> Suggestion | None:
        seen.append(sum(trial.is_running for trial in study.own))
        return suggest_grid(study)

    ended = play(STUDY, Rules(counted, early_stopping.never, rising))
    assert [(trial.number, trial.values["x"], trial.status) for trial in ended.study.own] == [
        (number, str(number - 1), "completed") for number in range(1, 7)
    ]
    assert max(seen) == 1, "two at a time"
    assert (ended.best.values["x"], ended.best.objective, ended.cost) == ("5", 5.0, 18.0)
    assert all(trial.parent for trial in ended.parents)


def test_what_is_stopped_costs_what_it_trained() -> None:
    falling = replace(STUDY, maximize=False, early_stopping=True)
    ended = play(falling, Rules(suggest_grid, should_stop, rising))
    stopped = [trial for trial in ended.study.own if trial.status == "stopped"]
    assert len(stopped) == 4, "all but the first two are worse than the median before them"
    assert ended.cost == 3.0 + 3.0 + 4 * 1.0
    assert ended.best.values["x"] == "0"


def test_a_trial_that_was_stopped_may_be_the_best() -> None:
    trials = (Trial(1, {"x": "1"}, "completed", 0.5, (0.5,)), Trial(2, {"x": "2"}, "stopped", 0.9, (0.9,)))
    assert Played(replace(STUDY, trials=trials), {}).best.number == 2


@pytest.mark.parametrize(
    ("name", "stops"),
    [
        ("newest value, over those that ended", True),
        ("newest value, over those that ran through", False),
        ("newest value, over those that ended, from three on", False),
        ("best value so far, over those that ran through", False),
    ],
)
def test_readings_of_early_stopping_differ(name: str, stops: bool) -> None:
    trials = (
        Trial(1, {"x": "1"}, "stopped", 0.8, (0.8, 0.8)),
        Trial(2, {"x": "2"}, "completed", 0.2, (0.2, 0.2)),
        Trial(3, {"x": "3"}, "running", None, (0.6, 0.3)),
    )
    assert READINGS[name](replace(STUDY, trials=trials), 3) is stops


def test_a_reading_needs_its_least_number_of_others() -> None:
    trials = (Trial(1, {"x": "1"}, "completed", 0.8, (0.8,)), Trial(2, {"x": "2"}, "running", None, (0.6,)))
    study = replace(STUDY, trials=trials)
    assert Reading(newest, through)(study, 2) and not Reading(newest, through, 2)(study, 2)


def test_the_reading_that_is_built_is_among_those_compared() -> None:
    built = READINGS["newest value, over those that ended"]
    study = replace(STUDY, early_stopping=True)
    with_rule, with_reading = (
        play(study, Rules(suggest_grid, rule, rising)).study.own for rule in (should_stop, built)
    )
    assert with_rule == with_reading


def test_multifidelity_is_the_best_of_those_that_cost_at_most_half() -> None:
    same = [tune.Result(0.94, 10.0, 0.93), tune.Result(0.95, 20.0, 0.94)]
    found = {
        **dict.fromkeys(tune.FIGURES, same),
        "bayesian": [tune.Result(0.96, 12.0, 0.95), tune.Result(0.97, 24.0, 0.95)],
        "bayesian, early stopping": [tune.Result(0.97, 8.0, 0.95), tune.Result(0.97, 16.0, 0.95)],
        tune.COMPLETED_EARLY: [tune.Result(0.96, 5.0, 0.95), tune.Result(0.966, 8.0, 0.95)],
        "hyperband": [tune.Result(0.95, 2.0, 0.95), tune.Result(0.95, 4.0, 0.95)],
        "warm start": [tune.Result(0.98, 6.0, 0.97), tune.Result(0.97, 6.0, 0.97)],
    }
    document = tune.strategy_figures(found)
    assert document["figures"]["multifidelity_f1"] == 0.963
    assert document["figures"]["multifidelity_cost"] == 0.45
    assert document["samples"]["warm_start_gain"] == pytest.approx([0.02, 0.0])
    rows = [tune.row(name, of, found["random"]) for name, of in found.items()]
    page = results.rendered({"tune": {**harness._described(document, harness.machine()), "strategies": rows}})
    assert "| bayesian | 0.965 (0.96 – 0.97) | 0.95 | 18 (12 – 24) | 1.2 | 0.967 (0.967 – 0.981) |" in page


def test_a_promise_may_be_one_benchmarks_own() -> None:
    document = harness._described({"figures": {"trial_overhead_seconds": 0.2}}, harness.machine())
    assert "| 0.2 |  | 0.25 ✓ |" in results.rendered({"tune": document})


def test_losses_are_means_and_savings_medians() -> None:
    pairs = [early_stopping.Pair(saved, loss, 0.0) for saved, loss in ((0.2, 0.0), (0.4, 0.0), (0.9, 0.6))]
    found = early_stopping.document(dict.fromkeys(("random", "bayesian", *READINGS), pairs))
    assert (found["figures"]["saved"], found["figures"]["loss_points"]) == (0.4, 0.2)
    assert [row["reading"] for row in found["readings"]] == list(READINGS)
    page = results.rendered({"early_stopping": harness._described(found, harness.machine())})
    assert "| newest value, over those that ended | 0.4 | 0.2 | 0 |" in page


def test_slots_are_busy_from_the_first_trial_to_the_last() -> None:
    def job(start: float, end: float) -> dict[str, datetime]:
        return {"CreationTime": datetime.fromtimestamp(start, UTC), "TrainingEndTime": datetime.fromtimestamp(end, UTC)}

    assert tune_overhead.busy([job(0, 4), job(0, 5), job(5, 10)]) == pytest.approx(14 / 20)
    assert tune_overhead.Tuned(25.0, 50).trial_seconds == 1.0


def test_the_grid_is_within_its_fifty_trials() -> None:
    assert from_ranges(GRID).size() == 48
