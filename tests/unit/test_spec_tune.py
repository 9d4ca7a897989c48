"""`tune` of pipeline.yaml: what it may say, and what SageMaker would refuse, refused on its line with its own rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.files import SPEC_FILE
from ratchet import spec
from ratchet.spec import schema
from ratchet.spec.tune_ranges import parameter_ranges

BASE: dict[str, Any] = {
    "name": "iris",
    "framework": {"name": "sklearn", "version": "1.9-0"},
    "data": {"train": "iris/train/", "test": "iris/test/"},
    "train": {
        "instance": "ml.m5.large",
        "hyperparameters": {"criterion": "gini"},
        "metrics": {"validation:f1": "f1: ([0-9.]+)"},
    },
    "gate": {"metric": "accuracy", "minimum": 0.8},
    "deploy": {"instance": "ml.t2.medium"},
}
RANGES = {"max-depth": {"integer": [1, 20]}, "max-features": {"categorical": ["sqrt", "log2"]}}
TUNE: dict[str, Any] = {"objective": {"maximize": "validation:f1"}, "ranges": RANGES, "max_jobs": 20}
CATEGORIES = {"a": {"categorical": [1, 2, 3]}, "b": {"categorical": [True, False]}}
HYPERBAND = {"strategy": "Hyperband", "resource": {"min": 1, "max": 81}}

TEXT = """\
name: iris
framework: {name: sklearn, version: "1.9-0"}
data: {train: iris/train/, test: iris/test/}
train:
  instance: ml.m5.large
  metrics: {"validation:f1": 'f1: ([0-9.]+)'}
tune:
  objective: {maximize: "validation:f1"}
  ranges:
    max-depth: {integer: [20, 1]}
  max_jobs: 20
  on: drift
  every: 10 runs
gate: {metric: accuracy, minimum: 0.8}
deploy: {instance: ml.t2.medium}
"""


def written(folder: Path, document: str | dict[str, Any]) -> Path:
    path = folder / SPEC_FILE
    text = document if isinstance(document, str) else yaml.safe_dump(document, sort_keys=False)
    path.write_text(text, encoding="utf-8")
    return path


def load(folder: Path, tune: dict[str, Any] | None = None, **sections: Any) -> spec.PipelineSpec:
    """BASE with some of TUNE's fields replaced (None leaves one out), and with other sections."""
    said = {name: value for name, value in {**TUNE, **(tune or {})}.items() if value is not None}
    return spec.load(written(folder, {**BASE, "tune": said, **sections}))


def refusal(folder: Path, tune: dict[str, Any], **sections: Any) -> str:
    with pytest.raises(spec.SpecError) as refused:
        load(folder, tune, **sections)
    return str(refused.value)


def ranges(**one: Any) -> dict[str, Any]:
    return {"ranges": {"rate": one}}


def train(**changes: Any) -> dict[str, Any]:
    return {**BASE["train"], **changes}


# What SageMaker would refuse, each with the field and the beginning of what is said of it.
REFUSED: list[tuple[dict[str, Any], str]] = [
    # The objective.
    (
        {"objective": {"maximize": "f1"}},
        "tune.objective.maximize: is 'f1', which isn't one of train.metrics (they are ",
    ),
    ({"objective": {"minimize": "loss"}}, "tune.objective.minimize: is 'loss', which isn't one of train.metrics"),
    ({"objective": {}}, "tune.objective: says neither maximize and minimize; write one"),
    ({"objective": {"maximize": "validation:f1", "minimize": "validation:f1"}}, "tune.objective: says both"),
    ({"objective": None}, 'tune.objective: is required; write objective: {maximize: "validation:f1"}'),
    ({"objective": {"maximise": "validation:f1"}}, "tune.objective.maximise: unknown key; did you mean maximize?"),
    # Ranges.
    ({"ranges": {}}, "tune.ranges: is empty; write a range for each hyperparameter"),
    (ranges(integer=[20, 1]), "tune.ranges.rate.integer: is [20, 1], upside down: SageMaker's MinValue is below"),
    (ranges(continuous=[0.5, 0.5]), "tune.ranges.rate.continuous: is the one value 0.5, which needs no tuning"),
    (ranges(continuous=[0, 1], scale="logarithmic"), "tune.ranges.rate.scale: is logarithmic, but the range begins at"),
    (ranges(integer=[-1, 9], scale="logarithmic"), "SageMaker takes that scale above 0 only"),
    (ranges(continuous=[0.5, 1], scale="reverse-logarithmic"), "SageMaker takes it for 0 <= x < 1 only"),
    (
        ranges(continuous=[-0.1, 0.9], scale="reverse-logarithmic"),
        "tune.ranges.rate.scale: is reverse-logarithmic, but",
    ),
    (ranges(integer=[0, 9], scale="reverse-logarithmic"), "which SageMaker takes for continuous ranges only"),
    (ranges(continuous=[0.1, 1], scale="log"), "tune.ranges.rate.scale: is 'log'; it must be 'auto', 'linear'"),
    (ranges(integer=[0.5, 9]), "tune.ranges.rate.integer: has 0.5 for an end; an integer's are whole numbers"),
    (ranges(integer=[1, 2, 3]), "tune.ranges.rate.integer: is [1, 2, 3]; write the least and the greatest value"),
    (ranges(continuous=["1e-5", 1]), "tune.ranges.rate.continuous: has '1e-5' for an end; the ends of a range are"),
    (ranges(continuous=[0.0, float("inf")]), "has inf for an end; the ends of a range are finite numbers"),
    (ranges(), "tune.ranges.rate: says no values; write integer: [1, 200]"),
    (ranges(integer=[1, 2], categorical=["a"]), "tune.ranges.rate.categorical: is given, and integer too"),
    (ranges(categorical=[]), "tune.ranges.rate.categorical: is empty"),
    (ranges(categorical=list(range(31))), "tune.ranges.rate.categorical: has 31 values; SageMaker takes at most 30"),
    (ranges(categorical=["a", "b", "a"]), "tune.ranges.rate.categorical: has 'a' twice"),
    (ranges(categorical=["x" * 257]), "has a value of 257 characters; SageMaker takes 1 to 256"),
    (ranges(categorical=["a", "b"], scale="linear"), "tune.ranges.rate.scale: is linear, but categories have no scale"),
    ({"ranges": {f"x{n}": {"integer": [1, 9]} for n in range(31)}}, "tune.ranges: has 31 entries; SageMaker tunes at"),
    (
        {"ranges": {"criterion": {"categorical": ["a"]}}},
        "tune.ranges.criterion: is tuned, and train.hyperparameters says",
    ),
    ({"ranges": {"_tuning_x": {"integer": [1, 2]}}}, "tune.ranges._tuning_x: is a name of SageMaker's own"),
    ({"ranges": {"sagemaker_x": {"integer": [1, 2]}}}, "tune.ranges.sagemaker_x: is a name of SageMaker's own"),
    ({"ranges": {"x" * 257: {"integer": [1, 2]}}}, "has a name of 257 characters; it takes 1 to 256"),
    # Numbers of jobs.
    ({"max_jobs": None}, "tune.max_jobs: is required; write max_jobs: 50"),
    ({"max_jobs": 0}, "tune.max_jobs: is 0; SageMaker takes 1 to 750"),
    ({"max_jobs": 751}, "tune.max_jobs: is 751; SageMaker takes 1 to 750"),
    ({"parallel": 21}, "tune.parallel: is 21, more than max_jobs (20)"),
    ({"parallel": 0}, "tune.parallel: is 0; SageMaker takes 1 to 100"),
    ({"max_jobs": 200, "parallel": 101}, "tune.parallel: is 101; SageMaker takes 1 to 100"),
    ({"max_runtime": 3600}, "tune.max_runtime: has no unit: write 3600s"),
    ({"max_runtime": "1m"}, "tune.max_runtime: is 1m; a tuning job takes 2m to 4380h"),
    ({"max_runtime": "183d"}, "tune.max_runtime: is 183d; a tuning job takes"),
    ({"seed": -1}, "tune.seed: is -1; SageMaker's RandomSeed is at least 0"),
    # Strategies.
    ({"strategy": "bayesian"}, "tune.strategy: is 'bayesian'; it must be 'Bayesian', 'Random', 'Grid' or 'Hyperband'"),
    ({**HYPERBAND, "early_stopping": True}, "tune.early_stopping: is true, but Hyperband stops training jobs itself"),
    (
        {"strategy": "Hyperband"},
        "tune.strategy: is Hyperband, whose MaxResource isn't known; write resource: {max: 81}",
    ),
    ({"strategy": "Hyperband", "resource": {"min": 2}}, "tune.strategy: is Hyperband, whose MaxResource isn't known"),
    ({**HYPERBAND, "resource": {"min": 0, "max": 9}}, "tune.resource.min: is 0; Hyperband's MinResource is at least 1"),
    ({**HYPERBAND, "resource": {"min": 9, "max": 9}}, "tune.resource.max: is 9, not above min (9)"),
    (
        {**HYPERBAND, "resource": {"max": 20001}},
        "tune.resource.max: is 20001; Hyperband's MaxResource is at most 20000",
    ),
    ({"resource": {"max": 9}}, "tune.resource: is said, but the strategy is Bayesian; only Hyperband divides one"),
    (
        {"strategy": "Grid"},
        "tune.ranges.max-depth: is integer, but the strategy is Grid, for which SageMaker takes cate",
    ),
    ({"strategy": "Grid", "ranges": CATEGORIES}, "tune.max_jobs: is 20, but the ranges have 6 combinations"),
    (
        {"strategy": "Grid", "max_jobs": None, "ranges": {n: {"categorical": list(range(10))} for n in "abc"}},
        "tune.ranges: have 1000 combinations; SageMaker takes 750",
    ),
    # When it ends.
    ({"stop_when": {}}, "tune.stop_when: says nothing; write target"),
    ({"stop_when": {"not_improving": 2}}, "SageMaker's MaxNumberOfTrainingJobsNotImproving is at least 3"),
    ({"stop_when": {"target": "97%"}}, "tune.stop_when.target: is '97%'; it must be a number: write 0.97"),
    # Parents.
    ({"warm_start": {}}, "tune.warm_start: names no parents; write last: 2"),
    ({"warm_start": {"last": 1, "jobs": ["a"]}}, "tune.warm_start: says both last and jobs"),
    ({"warm_start": {"last": 6}}, "tune.warm_start.last: is 6; SageMaker takes 1 to 5 parents"),
    ({"warm_start": {"jobs": list("abcdef")}}, "tune.warm_start.jobs: has 6 names; SageMaker takes at most 5 parents"),
    ({"warm_start": {"jobs": ["a", "a"]}}, "tune.warm_start.jobs[1]: is 'a' again"),
    ({"warm_start": {"jobs": ["x" * 33]}}, "a tuning job's name has 1 to 32 letters, digits and single hyphens"),
    ({"warm_start": {"jobs": ["a_b"]}}, "tune.warm_start.jobs[0]: is 'a_b'"),
    (
        {"warm_start": {"last": 1, "type": "Identical"}},
        "tune.warm_start.type: is 'Identical'; it must be 'TransferLear",
    ),
    (
        {**HYPERBAND, "warm_start": {"last": 1}},
        "tune.warm_start: is said, but the strategy is Hyperband; SageMaker warm",
    ),
    ({"refine": True}, "tune.refine: is true, but there are no parents to learn from"),
    # When a run tunes.
    ({"every": "0 runs"}, "tune.every: is '0 runs'; write how many runs, 1 at least"),
    ({"every": "weekly"}, "tune.every: is 'weekly'; write how many runs or how long, as 10 runs or 30d"),
    ({"every": 10}, "tune.every: is 10; write how many runs"),
    ({"every": "0d"}, "tune.every: is '0d'; write a time, as 30d"),
    ({"on": "data"}, "tune.on: is 'data'; it must be 'drift'"),
    ({"max_job": 9}, "tune.max_job: unknown key; did you mean max_jobs?"),
]


@pytest.mark.parametrize(("tune", "message"), REFUSED)
def test_what_sagemaker_would_refuse_is_refused(tmp_path: Path, tune: dict[str, Any], message: str) -> None:
    assert message in refusal(tmp_path, tune)


def test_a_metric_without_a_group_has_no_value_to_tune_by(tmp_path: Path) -> None:
    said = refusal(tmp_path, {}, train=train(metrics={"validation:f1": "f1: [0-9.]+"}))
    assert "train.metrics.validation:f1: has no group; put the number in parentheses" in said


def test_without_metrics_there_is_no_objective(tmp_path: Path) -> None:
    assert "isn't one of train.metrics (there are none)" in refusal(tmp_path, {}, train=train(metrics={}))


@pytest.mark.parametrize("epochs", ["many", "1", "20001", "2.5"])
def test_a_static_number_of_epochs_must_do_for_hyperbands_resource(tmp_path: Path, epochs: str) -> None:
    said = refusal(tmp_path, {"strategy": "Hyperband"}, train=train(hyperparameters={"epochs": epochs}))
    assert f"train.hyperparameters.epochs: is '{epochs}', Hyperband's MaxResource; it must be a whole number" in said


@pytest.mark.parametrize("name", ["epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs"])
@pytest.mark.fidelity(
    "Tuning",
    "Hyperband's MaxResource is inferred from a static hyperparameter with one of five names for the number of epochs.",
    "API reference, HyperbandStrategyConfig",
)
def test_hyperbands_resource_may_be_the_static_number_of_epochs(tmp_path: Path, name: str) -> None:
    pipeline = load(tmp_path, {"strategy": "Hyperband"}, train=train(hyperparameters={name: 27}))
    assert pipeline.tune and pipeline.tune.resource is None


def test_all_hyperparameters_together_are_a_hundred_at_most(tmp_path: Path) -> None:
    static = {f"x{number}": number for number in range(95)}
    said = refusal(tmp_path, {}, train=train(hyperparameters=static))
    assert "tune.ranges: make 101 with train.hyperparameters and SageMaker's own (sagemaker_program, " in said
    assert "sagemaker_job_name, _tuning_objective_metric); it takes at most 100: leave out 1" in said


def test_a_run_trains_by_rounds_or_by_tuning(tmp_path: Path) -> None:
    rounds = {"max": 3, "metric": "validation:f1", "tolerance": 0.1, "size": "parameters"}
    metrics = {**BASE["train"]["metrics"], "parameters": "n: ([0-9]+)"}
    said = refusal(tmp_path, {}, rounds=rounds, train=train(metrics=metrics))
    assert "tune: is said, and rounds too; a run trains by one of them" in said


def test_a_tuning_job_takes_no_managed_debugger(tmp_path: Path) -> None:
    managed = {"rules": [{"rule": "LossNotDecreasing"}], "rules_service": "sagemaker"}
    framework = {"name": "pytorch", "version": "2.6.0"}
    assert "rules_service: is sagemaker, but a tuning job's" in refusal(tmp_path, {}, framework=framework, **managed)


def test_a_problem_stands_on_its_line(tmp_path: Path) -> None:
    with pytest.raises(spec.SpecError) as refused:
        spec.load(written(tmp_path, TEXT))
    assert f"{tmp_path / SPEC_FILE}:10: tune.ranges.max-depth.integer: is [20, 1], upside down" in str(refused.value)
    with pytest.raises(spec.SpecError) as refused:
        spec.load(written(tmp_path, TEXT.replace("[20, 1]", "[1, 20]").replace("on: drift", "on: data")))
    assert f"{SPEC_FILE}:12: tune.on: is 'data'" in str(refused.value), "YAML reads the key `on` as true"


def test_what_is_said_is_kept(tmp_path: Path) -> None:
    text = TEXT.replace("[20, 1]", "[1, 20]").replace("max_jobs: 20", "max_jobs: 20\n  max_runtime: 2h")
    tune = spec.load(written(tmp_path, text)).tune
    assert tune is not None
    assert (tune.strategy, tune.parallel, tune.early_stopping, tune.max_runtime) == ("Bayesian", 1, False, 7200)
    assert (tune.on, tune.every and tune.every.runs) == ("drift", 10)
    monthly = spec.load(written(tmp_path, text.replace("10 runs", "30d"))).tune
    assert monthly and monthly.every and monthly.every.seconds == 30 * 86400
    once = spec.load(written(tmp_path, text.replace("10 runs", "1 run"))).tune
    assert once and once.every and once.every.runs == 1


def test_grid_may_say_how_many_jobs_it_has_or_not(tmp_path: Path) -> None:
    for max_jobs in (6, None):
        assert load(tmp_path, {"strategy": "Grid", "ranges": CATEGORIES, "max_jobs": max_jobs}).tune


def test_ranges_become_the_texts_that_sagemaker_takes(tmp_path: Path) -> None:
    said = {
        "n": {"integer": [1, 200], "scale": "logarithmic"},
        "rate": {"continuous": [1.0e-5, 0.5], "scale": "reverse-logarithmic"},
        "share": {"continuous": [0, 1]},
        "deep": {"categorical": [True, 2, "two"]},
    }
    tune = load(tmp_path, {"ranges": said}).tune
    assert tune is not None
    assert parameter_ranges(tune.ranges) == {
        "IntegerParameterRanges": [
            {"Name": "n", "MinValue": "1", "MaxValue": "200", "ScalingType": "Logarithmic"},
        ],
        "ContinuousParameterRanges": [
            {"Name": "rate", "MinValue": "1e-05", "MaxValue": "0.5", "ScalingType": "ReverseLogarithmic"},
            {"Name": "share", "MinValue": "0.0", "MaxValue": "1.0", "ScalingType": "Auto"},
        ],
        "CategoricalParameterRanges": [{"Name": "deep", "Values": ["true", "2", "two"]}],
    }


def test_editors_know_it() -> None:
    document = schema.json_schema()
    tune = document["$defs"]["Tune"]["properties"]
    assert tune["strategy"]["enum"] == ["Bayesian", "Random", "Grid", "Hyperband"]
    assert tune["every"]["pattern"] and tune["max_runtime"]["anyOf"][0]["pattern"]
    integer = document["$defs"]["Range"]["properties"]["integer"]["anyOf"][0]
    assert integer == {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}
