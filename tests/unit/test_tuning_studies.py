"""Tuning jobs read from SageMaker's documents: trials, ranges and their scales, several jobs together, importance."""

from __future__ import annotations

import random
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuning_documents import FAILURE, METRIC, START, tuning_job
from tuning_world import check_answer, summary_of

from ratchet.errors import UserError
from ratchet.pages import TEMPLATES
from ratchet.tuning import importance, panels, ranges, study, theme, trials
from ratchet.tuning.ranges import Hyperparameter
from ratchet.tuning.rows import LABEL, LABELS, Rows, extent_of, unit_of
from ratchet.tuning.trials import Objective, TuningJob

LATER = START + timedelta(hours=2)


def job(**settings: object) -> TuningJob:
    made = tuning_job(**settings)  # type: ignore[arg-type]
    return trials.of_documents(made.description, made.summaries)


def rows(*jobs: TuningJob) -> Rows:
    return Rows(study.of_jobs(jobs, asked=[each.name for each in jobs]), LATER)


def test_the_documents_are_sagemaker_s() -> None:
    made = tuning_job(early_stopping=True, parents=("one",), trials=20)
    check_answer("DescribeHyperParameterTuningJob", made.description)
    check_answer("ListTrainingJobsForHyperParameterTuningJob", {"TrainingJobSummaries": made.summaries})
    check_answer("ListHyperParameterTuningJobs", {"HyperParameterTuningJobSummaries": [summary_of(made)]})


def test_a_job_is_told_with_its_trials() -> None:
    found = job(trials=20, parents=("first", "second"))
    assert (found.strategy, found.objective) == ("Bayesian", Objective(METRIC, maximize=True))
    assert found.parents == ("first", "second")
    assert [trial.number for trial in found.trials] == list(range(1, 21))
    assert found.count(trials.FAILED) == 1
    assert found.trials[12].failure == FAILURE
    assert found.trials[12].objective is None
    assert found.best is not None
    assert found.best.objective == max(trial.objective for trial in found.trials if trial.objective is not None)
    assert found.limits.trials == 20
    assert not found.runs


def test_the_best_of_a_loss_is_its_smallest() -> None:
    found = job(trials=20, maximize=False)
    assert found.best is not None
    assert found.best.objective == min(trial.objective for trial in found.trials if trial.objective is not None)


@pytest.mark.parametrize(
    ("status", "value", "early_stopping", "told"),
    [
        ("Completed", 0.5, False, trials.COMPLETED),
        ("Completed", None, False, trials.NO_OBJECTIVE),
        ("Stopped", 0.5, True, trials.STOPPED_EARLY),
        ("Stopped", 0.5, False, trials.STOPPED),
        ("Stopped", None, True, trials.STOPPED),
        ("Failed", None, False, trials.FAILED),
        ("InProgress", None, True, trials.RUNNING),
        ("Stopping", None, True, trials.RUNNING),
        ("Completed", float("nan"), False, trials.NO_OBJECTIVE),
    ],
)
def test_what_becomes_of_a_trial(status: str, value: float | None, early_stopping: bool, told: str) -> None:
    made = tuning_job(trials=1, early_stopping=early_stopping)
    made.summaries[0]["TrainingJobStatus"] = status
    made.summaries[0].pop("FinalHyperParameterTuningJobObjectiveMetric")
    if value is not None:
        made.summaries[0]["FinalHyperParameterTuningJobObjectiveMetric"] = {"MetricName": METRIC, "Value": value}
    assert trials.of_documents(made.description, made.summaries).trials[0].status == told


def test_hyperband_stops_by_itself() -> None:
    made = tuning_job(trials=1, strategy="Hyperband")
    made.summaries[0]["TrainingJobStatus"] = "Stopped"
    assert trials.of_documents(made.description, made.summaries).trials[0].status == trials.STOPPED_EARLY


def test_a_job_of_several_definitions_is_told_too() -> None:
    made = tuning_job(trials=3)
    config = made.description["HyperParameterTuningJobConfig"]
    definition = made.description.pop("TrainingJobDefinition")
    own = {"TuningObjective": config.pop("HyperParameterTuningJobObjective")}
    own |= {"HyperParameterRanges": config.pop("ParameterRanges"), "DefinitionName": "one"}
    made.description["TrainingJobDefinitions"] = [{**definition, **own}, {**definition, **own, "DefinitionName": "two"}]
    check_answer("DescribeHyperParameterTuningJob", made.description)
    found = trials.of_documents(made.description, made.summaries)
    assert found.objective.metric == METRIC
    assert {each.name for each in found.ranges} == {"learning-rate", "momentum", "dropout", "depth", "optimizer"}


# -------------------------------------------------------------------------------------------------------------- ranges


def test_the_scale_is_the_one_that_was_searched_on() -> None:
    scales = {each.name: each.scaling for each in job(trials=1).ranges}
    assert scales["learning-rate"] == ranges.LOGARITHMIC
    assert scales["momentum"] == ranges.REVERSE_LOGARITHMIC
    assert scales["dropout"] == ranges.LINEAR


@pytest.mark.parametrize(
    ("low", "high", "scale"),
    [("1", "20", ranges.LINEAR), ("0.0001", "1", ranges.LOGARITHMIC), ("0", "1000000", ranges.LINEAR)],
)
def test_auto_is_logarithmic_where_nothing_else_can_be_read(low: str, high: str, scale: str) -> None:
    entry = {"Name": "rate", "MinValue": low, "MaxValue": high, "ScalingType": "Auto"}
    [found] = ranges.of_document({"ContinuousParameterRanges": [entry]})
    assert found.scaling == scale


@given(st.floats(0, 0.999), st.floats(0.0001, 0.3))
def test_a_place_is_between_the_ends_and_keeps_the_order(momentum: float, rate: float) -> None:
    reverse = Hyperparameter("momentum", 0.0, 0.999, ranges.REVERSE_LOGARITHMIC)
    logarithmic = Hyperparameter("rate", 0.0001, 0.3, ranges.LOGARITHMIC)
    for each, value in ((reverse, momentum), (logarithmic, rate)):
        assert -1e-9 <= each.place(value) <= 1 + 1e-9
        assert each.place(each.low) == pytest.approx(0)
        assert each.place(each.high) == pytest.approx(1)
    assert reverse.place(0.99) - reverse.place(0.9) == pytest.approx(reverse.place(0.9) - reverse.place(0.0), rel=0.01)


def test_values_that_the_sdk_quotes_are_read() -> None:
    quoted = Hyperparameter("features", categories=('"sqrt"', '"log2"'))
    assert quoted.number('"log2"') == 1
    assert ranges.unquoted('"log2"') == "log2"
    assert ranges.unquoted('"not json') == '"not json'
    assert ranges.as_number('"0.5"') == 0.5
    assert Hyperparameter("x", 0, 1).number("nan") is None
    assert Hyperparameter("x", 0.1, 1, ranges.LOGARITHMIC).number("0") is None


def test_jobs_of_other_ranges_have_one_axis() -> None:
    narrow = [Hyperparameter("depth", 4, 8, whole=True), Hyperparameter("kind", categories=("a", "b"))]
    wide = [Hyperparameter("depth", 1, 6, whole=True), Hyperparameter("kind", categories=("c",))]
    depth, kind, only_tried = ranges.together([*narrow, *wide], {"depth": ["20"], "found": ["1.5", "2"]})
    assert (depth.low, depth.high, depth.whole) == (1, 20, True)
    assert kind.categories == ("a", "b", "c")
    assert (only_tried.name, only_tried.low, only_tried.high, only_tried.whole) == ("found", 1.5, 2, False)


def test_a_value_that_another_job_fixed_has_its_place() -> None:
    searched, fixed = tuning_job("searched", trials=3), tuning_job("fixed", trials=3, seed=2)
    for summary in fixed.summaries:
        summary["TunedHyperParameters"].pop("depth")
    fixed.description["HyperParameterTuningJobConfig"]["ParameterRanges"] = {}
    fixed.description["TrainingJobDefinition"]["StaticHyperParameters"]["depth"] = "33"
    jobs = [trials.of_documents(made.description, made.summaries) for made in (searched, fixed)]
    found = study.of_jobs(jobs, asked=["fixed"])
    depth = next(each for each in found.hyperparameters if each.name == "depth")
    assert depth.high == 33
    assert [found.value(entry, "depth") for entry in found.entries if entry.job == 1] == ["33"] * 3
    assert "epochs" not in {each.name for each in found.hyperparameters}


# --------------------------------------------------------------------------------------------------------------- study


def test_jobs_of_other_objectives_aren_t_compared() -> None:
    with pytest.raises(UserError, match=r"one is to maximize validation:f1, two to minimize loss: one page shows one"):
        study.of_jobs([job(name="one"), job(name="two", metric="loss", maximize=False)], asked=["one", "two"])


def test_jobs_are_called_by_their_strategies_where_these_tell_them_apart() -> None:
    bayesian, random_, other = (job(name=name, strategy=strategy, trials=2) for name, strategy in JOBS)
    assert study.of_jobs([bayesian, random_], asked=[]).labels == ("Bayesian", "Random")
    assert study.of_jobs([random_, other], asked=[]).labels == ("Random · two", "Random · three")


JOBS = (("one", "Bayesian"), ("two", "Random"), ("three", "Random"))


def test_the_best_so_far_never_gets_worse_and_reaches_to_the_job_s_end() -> None:
    for maximize in (True, False):
        found = rows(job(trials=40, maximize=maximize))
        best = [row["best"] for row in found.all["best"]]
        assert best == sorted(best, reverse=not maximize)
        assert best[-1] == found.study.judged[0].trial.objective
        assert found.all["best"][-1]["elapsed"] == found.unit.of(found.study.jobs[0].elapsed(LATER))


def test_every_trial_is_counted_in_one_bar() -> None:
    found = rows(job(trials=60)).trials
    assert all(row["low"] <= row["objective"] <= row["high"] for row in found)
    bars = sorted({(row["low"], row["high"]) for row in found})
    assert all(high <= low + 1e-9 for (_, high), (low, _) in pairwise(bars))


def test_the_best_is_on_top_of_its_parallel_axis() -> None:
    for maximize in (True, False):
        found = rows(job(trials=30, maximize=maximize))
        best = found.study.judged[0].index
        last = len(found.study.hyperparameters)
        places = {row["i"]: row["at"] for row in found.lines() if row["axis"] == last}
        assert places[best] == 1
        assert min(places.values()) == 0


def test_jobs_without_an_objective_have_no_pictures_but_their_course() -> None:
    made = tuning_job(trials=4)
    for summary in made.summaries:
        summary["TrainingJobStatus"] = "Failed"
        summary.pop("FinalHyperParameterTuningJobObjectiveMetric", None)
    found = rows(trials.of_documents(made.description, made.summaries))
    assert [panel.key for panel in panels.panels(found)] == ["course"]
    assert len(found.all["failed"]) == 4
    assert found.study.jobs[0].best is None


def test_labels_of_lines_stand_apart() -> None:
    found = rows(*(job(name=f"job-{seed}", trials=12, seed=seed) for seed in range(6)))
    places = [row["at"] for row in found.ends()]
    assert len(places) == LABELS
    step = LABEL * (found.extent.high - found.extent.low)
    assert all(above - below >= step * 0.999 for above, below in pairwise(places))


def test_the_page_and_its_pictures_have_the_same_colours() -> None:
    page = (TEMPLATES / "tuning.html.j2").read_text(encoding="utf-8").lower()
    for palette in (theme.ON_LIGHT, theme.ON_DARK):
        assert "; ".join(f"--job{at}: {colour.lower()}" for at, colour in enumerate(palette)) in page.replace("\n", "")


@pytest.mark.parametrize(("seconds", "name"), [(50, "s"), (600, "min"), (20_000, "h"), (1_000_000, "days")])
def test_times_have_a_unit_that_can_be_read(seconds: float, name: str) -> None:
    assert unit_of(seconds).name == name


def test_an_objective_that_explodes_is_drawn_on_a_logarithmic_axis() -> None:
    assert extent_of([0.1, 0.2, 1e6]).logarithmic
    assert not extent_of([0.1, 0.9]).logarithmic
    assert not extent_of([-1.0, 1e6]).logarithmic
    assert extent_of([]).low < extent_of([]).high


# ---------------------------------------------------------------------------------------------------------- importance


def test_what_decides_is_told_from_what_doesn_t() -> None:
    found = dict(rows(job(trials=80, strategy="Random")).study.importances)
    told = {each.name: share for each, share in found.items()}
    assert next(iter(told)) == "learning-rate"
    assert told["learning-rate"].is_told_from_chance
    assert told["learning-rate"].share > 0.5
    assert not told["momentum"].is_told_from_chance


def test_the_best_in_the_middle_counts_as_much_as_at_an_end() -> None:
    draw = random.Random(1)  # noqa: S311 - a sample
    places = [draw.random() for _ in range(200)]
    middle = importance.importance(places, [-abs(place - 0.5) for place in places])
    end = importance.importance(places, places)
    assert middle is not None
    assert end is not None
    assert middle.share > 0.7
    assert end.share > 0.9


def test_the_interval_of_noise_holds_nothing_as_often_as_it_says() -> None:
    """Of 200 hyperparameters without any effect at most about a tenth are told from chance."""
    draw, wrong = random.Random(3), 0  # noqa: S311 - a sample
    for _ in range(200):
        places, objectives = ([draw.random() for _ in range(50)] for _ in range(2))
        found = importance.importance(places, objectives)
        assert found is not None
        wrong += found.is_told_from_chance
    assert wrong <= 30


def test_the_interval_holds_the_share_that_many_more_trials_show() -> None:
    draw, held = random.Random(5), 0  # noqa: S311 - a sample

    def trial() -> tuple[float, float]:
        place = draw.random()
        return place, place + draw.gauss(0, 0.35)

    whole = [trial() for _ in range(20_000)]
    groups = importance.groups([place for place, _ in whole])
    truth = importance.between(groups, importance.ranks([value for _, value in whole]), range(len(whole)))
    for _ in range(60):
        sample = [trial() for _ in range(60)]
        found = importance.importance([place for place, _ in sample], [value for _, value in sample])
        assert found is not None
        held += found.low <= truth <= found.high
    assert held >= 46


def test_too_few_trials_or_one_value_tell_nothing() -> None:
    assert importance.importance([1.0, 2.0], [0.1, 0.2]) is None
    assert importance.importance([1.0] * 50, [float(place) for place in range(50)]) is None
    assert importance.importance([float(place) for place in range(50)], [1.0] * 50) == importance.Importance(0, 0, 0)


@given(st.lists(st.integers(0, 6), min_size=10, max_size=60))
def test_equal_values_share_a_group_and_the_order_is_kept(values: list[int]) -> None:
    found = importance.groups([float(value) for value in values])
    pairs = sorted(zip(values, found, strict=True))
    assert len({value for value, _ in set(pairs)}) == len(set(pairs))
    assert [group for _, group in pairs] == sorted(found)
