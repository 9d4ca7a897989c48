"""What a tuning job does next, and when it or a trial ends: functions of what is known of it so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from localaws.sagemaker.tuning import completion, hyperband
from localaws.sagemaker.tuning.completion import Criteria, is_complete
from localaws.sagemaker.tuning.early_stopping import should_stop
from localaws.sagemaker.tuning.history import Study, Trial
from localaws.sagemaker.tuning.space import Categorical, Continuous, SearchSpace
from localaws.sagemaker.tuning.suggestion import suggest_grid, suggest_random

SPACE = SearchSpace((Continuous("rate", 0.0, 1.0), Categorical("kind", ("a", "b"))))
GRID = SearchSpace((Categorical("a", ("1", "2")), Categorical("b", ("x", "y"))))


def study(strategy: str = "Random", *trials: Trial, **settings: object) -> Study:
    return replace(Study(SPACE, strategy, maximize=True, seed=7), trials=trials, **settings)


def trial(number: int, *curve: float, status: str = "completed", parent: bool = False) -> Trial:
    objective = curve[-1] if curve and status != "running" else None
    return Trial(number, {"rate": "0.5", "kind": "a"}, status, objective, curve, parent=parent)


def running(number: int, *curve: float) -> Trial:
    return trial(number, *curve, status="running")


def all_of(what: Study, suggest: object) -> list[dict[str, str]]:
    """The combinations that one trial after another gets until there is none left."""
    found: list[dict[str, str]] = []
    while (suggestion := suggest(what)) is not None:
        found.append(suggestion.values)
        done = Trial(len(found), suggestion.values, "completed", 0.5)
        what = replace(what, trials=(*what.trials, done))
    return found


@pytest.mark.fidelity(
    "Tuning",
    "The same RandomSeed gives the same configurations: Random's are reproducible to 100 %.",
    "developer guide, automatic-model-tuning-considerations: up to 100% reproducibility of previous configurations",
)
def test_the_same_seed_gives_the_same_random_trials() -> None:
    first, again = (all_of(study(max_jobs=20), suggest_random) for _ in range(2))
    other = all_of(study(max_jobs=20, seed=8), suggest_random)
    assert first == again
    assert len({values["rate"] for values in first + other}) == 40


def test_a_random_trial_does_not_hang_on_when_others_end() -> None:
    ended = study("Random", trial(1, 0.1), trial(2, 0.2), max_parallel=3)
    pending = study("Random", running(2), running(1), max_parallel=3)
    assert suggest_random(ended) == suggest_random(pending)


def test_a_random_trial_repeats_no_combination_until_all_were_tried() -> None:
    found = all_of(study(space=GRID, max_jobs=6), suggest_random)
    assert len({tuple(values.values()) for values in found[:4]}) == 4
    assert len(found) == 6


def test_no_trial_starts_beyond_the_limits() -> None:
    full = study("Random", running(1), running(2), max_parallel=2)
    assert suggest_random(full) is None
    assert suggest_random(replace(full, max_parallel=3)) is not None
    assert suggest_random(study("Random", trial(1, 0.5), trial(2, status="failed"), max_jobs=2)) is None


@pytest.mark.fidelity(
    "Tuning",
    "Grid tries every combination of the categories once, and needs no MaxNumberOfTrainingJobs.",
    "developer guide, automatic-model-tuning-how-it-works: tuning chooses combinations of values from the range of "
    "categorical values; only categorical parameters are supported",
)
def test_a_grid_tries_every_combination_once() -> None:
    found = all_of(study("Grid", space=GRID), suggest_grid)
    assert [tuple(values.values()) for values in found] == [("1", "x"), ("1", "y"), ("2", "x"), ("2", "y")]


@pytest.mark.fidelity(
    "Tuning",
    "MaxResource is inferred from static epochs, numepochs, n-epochs, n_epochs or num_epochs.",
    "botocore, sagemaker 2017-07-24, HyperbandStrategyConfig.MaxResource",
)
@pytest.mark.parametrize("name", ["epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs"])
def test_hyperbands_most_resource_is_inferred(name: str) -> None:
    assert hyperband.resources({}, {name: "27", "other": "5"}) == (1, 27)
    assert hyperband.resources({"MinResource": 3, "MaxResource": 9}, {name: "27"}) == (3, 9)
    assert hyperband.resources({"MinResource": 3}, {"other": "27", name: "many"}) is None


def test_rungs_are_the_least_resource_times_powers_of_three() -> None:
    assert hyperband.rungs(1, 27) == (1, 3, 9)
    assert hyperband.rungs(2, 20) == (2, 6, 18)
    assert hyperband.rungs(5, 5) == ()


@pytest.mark.fidelity(
    "Tuning",
    "Hyperband stops a training job that has reached MaxResource, and none before MinResource.",
    "botocore, sagemaker 2017-07-24, HyperbandStrategyConfig: if the value for MinResource has not been "
    "reached, the training job is not "
    "stopped by Hyperband; once a job reaches the MaxResource value, it is stopped",
)
def test_hyperband_stops_between_its_resources_only() -> None:
    good = [trial(number, *[0.9] * 9) for number in range(1, 8)]
    band = study("Hyperband", *good, resources=(3, 9))
    assert not should_stop(replace(band, trials=(*good, running(8, 0.1, 0.1))), 8)
    assert should_stop(replace(band, trials=(*good, running(8, 0.1, 0.1, 0.1))), 8)
    assert not should_stop(replace(band, trials=(*good, running(8, *[0.99] * 8))), 8)
    assert should_stop(replace(band, trials=(*good, running(8, *[0.99] * 9))), 8)


def test_hyperband_lets_the_best_third_of_a_rung_go_on() -> None:
    values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    trials = tuple(running(number, value) for number, value in enumerate(values, start=1))
    band = study("Hyperband", *trials, resources=(1, 27))
    assert [should_stop(band, number) for number in range(1, 7)] == [True, True, True, True, False, False]
    assert [should_stop(replace(band, maximize=False), number) for number in range(1, 7)] == [False] * 2 + [True] * 4


def test_hyperband_compares_no_one_before_three_have_reached_a_rung() -> None:
    band = study("Hyperband", trial(1, 0.9), running(2, 0.1), resources=(1, 27))
    assert not should_stop(band, 2)


@pytest.mark.fidelity(
    "Tuning",
    "Early stopping Auto stops a training job whose value is worse than the median of the running averages of the "
    "objective metric of previous training jobs up to the same epoch.",
    "Stop Training Jobs Early (developer guide, automatic-model-tuning-early-stopping)",
)
def test_a_trial_worse_than_the_median_of_running_averages_is_stopped() -> None:
    # At the second epoch their running averages are 0.35, 0.5 and 0.75.
    earlier = (trial(1, 0.3, 0.4), trial(2, 0.4, 0.6), trial(3, 0.7, 0.8))

    def stops(*curve: float, maximize: bool = True) -> bool:
        kept = study("Bayesian", *earlier, running(4, *curve), early_stopping=True, maximize=maximize)
        return should_stop(kept, 4)

    assert stops(0.9, 0.49)
    assert not stops(0.9, 0.5)
    assert not stops(0.1, 0.51)
    assert stops(0.1, 0.51, maximize=False)
    assert not stops(0.9, 0.49, maximize=False)


def test_only_trials_that_ended_and_got_as_far_are_compared_with() -> None:
    others = (
        trial(1, 0.9),
        running(2, 0.9, 0.9),
        trial(3, 0.9, 0.9, status="failed"),
        trial(1, 0.9, 0.9, parent=True),
    )
    alone = study("Random", *others, running(4, 0.5, 0.4), early_stopping=True)
    assert not should_stop(alone, 4)
    stopped = replace(alone, trials=(*alone.trials, trial(5, 0.9, 0.9, status="stopped")))
    assert should_stop(stopped, 4)
    assert not should_stop(replace(stopped, early_stopping=False), 4)
    assert not should_stop(stopped, 5)


def test_a_value_that_is_no_number_is_worse_than_any() -> None:
    nan = float("nan")
    earlier = (trial(1, 0.3, 0.4), trial(2, nan, nan), trial(3, 0.7, 0.8))
    assert should_stop(study("Random", *earlier, running(4, nan), early_stopping=True), 4)
    assert not should_stop(study("Random", *earlier, running(4, 0.5), early_stopping=True), 4)
    assert [each.score for each in earlier] == [0.4, None, 0.8]
    band = study("Hyperband", *earlier, running(4, nan), resources=(1, 9), maximize=False)
    assert should_stop(band, 4)


def scores(*values: float, **settings: object) -> Study:
    return study("Random", *(trial(number, value) for number, value in enumerate(values, start=1)), **settings)


@pytest.mark.fidelity(
    "Tuning",
    "Only a training job that improves the objective by 1 % or more over the best before it counts as improving.",
    "botocore, sagemaker 2017-07-24, BestObjectiveNotImproving.MaxNumberOfTrainingJobsNotImproving",
)
@pytest.mark.parametrize(
    ("values", "since"),
    [
        ([], 0),
        ([0.5], 0),
        ([0.5, 0.504], 1),
        ([0.5, 0.505], 0),
        ([0.5, 0.504, 0.508], 2),  # less than 1 % over the best before each, though more over the first
        ([0.5, 0.4, 0.3, 0.6, 0.1], 1),
    ],
)
def test_trials_that_do_not_improve_by_one_percent_are_counted(values: Sequence[float], since: int) -> None:
    assert completion.not_improving(scores(*values)) == since


def test_what_improves_a_minimum_is_smaller_by_one_percent() -> None:
    assert completion.not_improving(scores(2.0, 1.98, maximize=False)) == 0
    assert completion.not_improving(scores(2.0, 1.981, maximize=False)) == 1
    assert completion.not_improving(scores(-2.0, -2.02, maximize=False)) == 0


def test_trials_without_a_value_and_parents_count_neither_way() -> None:
    counted = study("Random", trial(1, 0.5), trial(2, status="failed"), running(3, 0.1), trial(4, 0.9, parent=True))
    assert completion.not_improving(counted) == 0


@pytest.mark.fidelity(
    "Tuning",
    "The first completion criterion that is met ends the tuning job: a target, no improvement for a number of jobs, "
    "or convergence.",
    "botocore, sagemaker 2017-07-24, TuningJobCompletionCriteria; developer guide, automatic-model-tuning-progress",
)
def test_the_first_criterion_that_is_met_completes_the_job() -> None:
    flat = scores(*[0.5] * 11)
    assert is_complete(flat, Criteria()) is None
    assert is_complete(flat, Criteria(target=0.5)) == "target"
    assert is_complete(flat, Criteria(target=0.51)) is None
    assert is_complete(replace(flat, maximize=False), Criteria(target=0.6)) == "target"
    assert is_complete(flat, Criteria(not_improving=10)) == "not improving"
    assert is_complete(flat, Criteria(not_improving=11)) is None
    assert is_complete(flat, Criteria(on_convergence=True)) == "converged"
    assert is_complete(scores(*[0.5] * 10), Criteria(on_convergence=True)) is None


def test_the_criteria_of_a_request() -> None:
    document = {
        "TargetObjectiveMetricValue": 0.9,
        "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 5},
        "ConvergenceDetected": {"CompleteOnConvergence": "Enabled"},
    }
    assert completion.from_document(document) == Criteria(0.9, 5, on_convergence=True)
    assert completion.from_document({"ConvergenceDetected": {"CompleteOnConvergence": "Disabled"}}) == Criteria()
