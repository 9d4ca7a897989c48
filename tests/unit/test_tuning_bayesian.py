"""The Bayesian strategy without its model: how it starts, and what the model is asked."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from localaws.sagemaker.tuning.bayesian import START, chosen, question, starting_point
from localaws.sagemaker.tuning.history import Study, Trial
from localaws.sagemaker.tuning.space import Categorical, Continuous, Integer, SearchSpace

SPACE = SearchSpace(
    (Continuous("rate", 0.0, 1.0, "Linear"), Integer("trees", 1, 4, "Linear"), Categorical("kind", ("a", "b")))
)
VALUES = {"rate": "0.25", "trees": "2", "kind": "b"}
STUDY = Study(SPACE, "Bayesian", maximize=True, seed=3, max_jobs=100, max_parallel=4)


def with_trials(*trials: Trial, **settings: object) -> Study:
    return replace(STUDY, trials=trials, **settings)


def started() -> list[dict[str, str]]:
    """The combinations of the trials before the model is asked."""
    found: list[dict[str, str]] = []
    study = STUDY
    while (suggestion := starting_point(study)) is not None:
        found.append(suggestion.values)
        study = replace(study, trials=(*study.trials, Trial(len(found), suggestion.values, "completed", 0.5)))
    return found


def test_the_first_trials_are_spread_over_the_space() -> None:
    found = started()
    assert len(found) == START
    assert {int(float(values["rate"]) * START) for values in found} == set(range(START))
    assert sorted(values["trees"] for values in found) == sorted("1234" * 2)
    assert [values["kind"] for values in found].count("a") == START / 2
    assert found == started()


def test_another_seed_starts_elsewhere() -> None:
    other = starting_point(replace(STUDY, seed=4))
    assert other is not None
    assert other.values != started()[0]


def test_trials_that_have_no_value_yet_do_not_end_the_start() -> None:
    pending = with_trials(*(Trial(number, VALUES) for number in range(1, START + 3)))
    suggestion = starting_point(pending)
    assert suggestion is not None
    assert SPACE.holds(suggestion.values)


@pytest.mark.fidelity(
    "Tuning",
    "A job that starts warm learns from its parents' trials: its first trial is informed by them.",
    "developer guide, automatic-model-tuning-warm-start: the results of previous tuning jobs are used to inform which "
    "combinations of hyperparameters to search over in the new tuning job",
)
def test_parents_trials_are_learned_from_at_once() -> None:
    parents = [Trial(number, VALUES, "completed", number / 10, parent=True) for number in range(1, START + 1)]
    assert starting_point(with_trials(*parents)) is None
    asked = question(with_trials(*parents))
    assert asked["scores"] == [number / 10 for number in range(1, START + 1)]
    assert asked["seed"] == [3, 1]


def test_parents_trials_that_lie_nowhere_in_the_space_are_left_out() -> None:
    parents = [Trial(number, {**VALUES, "kind": "z"}, "completed", 0.5, parent=True) for number in range(START)]
    assert starting_point(with_trials(*parents)) is not None


def test_the_model_is_told_where_trials_were_and_how_good() -> None:
    study = with_trials(
        Trial(1, VALUES, "completed", 0.5),
        Trial(2, {**VALUES, "rate": "1.0"}, "stopped", None, (0.3, 0.4)),
        Trial(3, {**VALUES, "kind": "a"}, "failed"),
        Trial(4, {**VALUES, "trees": "4"}, "running", None, (0.9,)),
    )
    asked = question(study)
    assert asked["points"] == [(0.25, 0.375, 0.75), (1.0, 0.375, 0.75), (0.25, 0.375, 0.25)]
    assert asked["scores"] == [0.5, 0.4, 0.4], "what failed is as bad as the worst"
    assert asked["pending"] == [(0.25, 0.875, 0.75)]
    assert [axis["kind"] for axis in asked["axes"]] == ["range", "values", "categories"]
    assert asked["axes"][1]["places"] == [0.125, 0.375, 0.625, 0.875]
    assert asked["axes"][2]["places"] == [0.25, 0.75]


def test_more_is_always_better_for_the_model() -> None:
    infinite = Trial(3, VALUES, "completed", float("inf"))
    study = with_trials(Trial(1, VALUES, "completed", 0.5), Trial(2, VALUES, "failed"), infinite, maximize=False)
    assert question(study)["scores"] == [-0.5, -0.5, -0.5]


def test_the_question_is_the_same_whatever_the_order_of_the_trials() -> None:
    trials = [Trial(number, VALUES, "completed", number / 10) for number in range(1, 4)]
    trials.append(Trial(1, VALUES, "completed", 0.9, parent=True))
    asked = [question(with_trials(*order)) for order in itertools.permutations(trials)]
    assert all(each == asked[0] for each in asked)


def test_a_wide_integer_is_searched_as_a_range() -> None:
    space = SearchSpace((Integer("n", 1, 10**6, "Logarithmic"),))
    study = replace(STUDY, space=space, trials=(Trial(1, {"n": "7"}, "completed", 1.0),))
    assert question(study)["axes"] == [{"kind": "range"}]


def test_of_the_places_that_are_suggested_the_first_without_a_trial_is_chosen() -> None:
    """Places of a wide integer differ, and are rounded to the same value."""
    space = SearchSpace((Integer("n", 1, 10**6, "Logarithmic"),))
    at = [space.positions({"n": str(number)})[0] for number in (1, 2, 3)]
    places = [[0.0], [at[0]], [at[1] + 1e-6], [at[2]]]
    parent = Trial(1, {"n": "1", "static": "x"}, "completed", 1.0, parent=True)
    study = replace(STUDY, space=space, trials=(parent, Trial(1, {"n": "2"})))
    assert chosen(study, places).values == {"n": "3"}
    assert chosen(study, places[:3]).values == {"n": "1"}, "there is none: the best one again"
