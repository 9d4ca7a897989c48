"""CreateHyperParameterTuningJob: what is refused before anything starts, rule by rule."""

from __future__ import annotations

from typing import Any

import pytest
from tuning_kit import DEFINITION, METRIC, RANGES, request, tuning_job

from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.core.validation import check_request
from localaws.sagemaker.jobs import tuning_request, tuning_warm_start
from localaws.sagemaker.jobs.tuning import TUNING

GRID = {
    "CategoricalParameterRanges": [{"Name": "kernel", "Values": ["a", "b"]}, {"Name": "n", "Values": ["1", "2", "3"]}]
}
HYPERBAND: Document = {"Strategy": "Hyperband"}


def integer(low: str, high: str, scaling: str = "Auto") -> Document:
    return {"IntegerParameterRanges": [{"Name": "depth", "MinValue": low, "MaxValue": high, "ScalingType": scaling}]}


def continuous(low: str, high: str, scaling: str = "Auto") -> Document:
    return {"ContinuousParameterRanges": [{"Name": "lr", "MinValue": low, "MaxValue": high, "ScalingType": scaling}]}


def many(count: int) -> Document:
    return {"ContinuousParameterRanges": [{"Name": f"h{n}", "MinValue": "0", "MaxValue": "1"} for n in range(count)]}


def static(**more: str) -> Document:
    return {"definition": {"StaticHyperParameters": {**DEFINITION["StaticHyperParameters"], **more}}}


def hyperband(**resources: int) -> Document:
    return {**HYPERBAND, "StrategyConfig": {"HyperbandStrategyConfig": resources}}


def refusal(asked: Document) -> str:
    with pytest.raises(SageMakerError) as caught:
        check_request("CreateHyperParameterTuningJob", asked)
        tuning_request.check(asked)
    assert caught.value.code == "ValidationException"
    return caught.value.message


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Strategy": "Bayesian", "TrainingJobEarlyStoppingType": "Auto"},
        {"Strategy": "Grid", "ranges": GRID, "limits": {"MaxNumberOfTrainingJobs": 6}},
        hyperband(MinResource=1, MaxResource=9),
        {**HYPERBAND, **static(n_epochs='"27"')},
        {"ranges": continuous("0.5", "0.999", "ReverseLogarithmic")},
        {"ranges": integer("1", "1000", "Logarithmic")},
        {"ranges": many(30)},
    ],
)
def test_what_makes_sense_passes(changes: dict[str, Any]) -> None:
    asked = request(**changes)
    check_request("CreateHyperParameterTuningJob", asked)
    tuning_request.check(asked)


def test_a_grid_needs_no_number_of_jobs() -> None:
    asked = request(Strategy="Grid", ranges=GRID)
    del asked["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxNumberOfTrainingJobs"]
    tuning_request.check(asked)


@pytest.mark.fidelity(
    "Tuning",
    "Ranges, strategies, limits and objective are checked when a tuning job is created.",
    "SageMaker DG, Define Hyperparameter Ranges and How Hyperparameter Tuning Works; SageMaker API, "
    "HyperParameterTuningJobConfig and HyperbandStrategyConfig",
)
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ranges": integer("9", "2")}, "Hyperparameter depth: MinValue 9 must be less than MaxValue 2."),
        ({"ranges": continuous("0.1", "0.1")}, "Hyperparameter lr: MinValue 0.1 must be less than MaxValue 0.1."),
        ({"ranges": continuous("a", "1")}, "Hyperparameter lr: MinValue must be a number, and is 'a'."),
        ({"ranges": continuous("0", "inf")}, "Hyperparameter lr: MaxValue must be a number, and is 'inf'."),
        ({"ranges": continuous("nan", "1")}, "Hyperparameter lr: MinValue must be a number, and is 'nan'."),
        ({"ranges": integer("1.5", "3")}, "Hyperparameter depth: MinValue must be an integer, and is '1.5'."),
        ({"ranges": continuous("0", "1", "Logarithmic")}, "logarithmic scaling works only for ranges that have only"),
        ({"ranges": integer("0", "9", "Logarithmic")}, "logarithmic scaling works only for ranges that have only"),
        ({"ranges": continuous("0", "1", "ReverseLogarithmic")}, "entirely within the range 0<=x<1.0, not 0 to 1."),
        ({"ranges": continuous("-0.1", "0.5", "ReverseLogarithmic")}, "within the range 0<=x<1.0, not -0.1 to 0.5."),
        ({"ranges": integer("0", "1", "ReverseLogarithmic")}, "supported only for continuous hyperparameter ranges"),
        ({"ranges": {}}, "Value null at 'hyperParameterTuningJobConfig.parameterRanges'"),
        ({"ranges": {"IntegerParameterRanges": []}}, "ParameterRanges must have at least one hyperparameter"),
        ({"ranges": {**many(29), **GRID}}, "tunes at most 30 hyperparameters; ParameterRanges has 31."),
        ({"ranges": many(31)}, "Member must have length less than or equal to 30"),
        ({"ranges": {**integer("1", "9"), "CategoricalParameterRanges": [{"Name": "depth", "Values": ["1"]}]}},
         "Hyperparameter depth has more than one range"),
        ({"ranges": {"CategoricalParameterRanges": [{"Name": "k", "Values": ["a", "b", "a"]}]}}, "and 'a' is not."),
        ({"ranges": {"CategoricalParameterRanges": [{"Name": "k", "Values": list(map(str, range(31)))}]}},
         "at 'hyperParameterTuningJobConfig.parameterRanges.categoricalParameterRanges.1.member.values' failed"),
        (static(lr="0.1"), "Hyperparameter lr is in StaticHyperParameters and in ParameterRanges"),
        (static(**{f"s{n}": "1" for n in range(94)}), "at most 100 hyperparameters"),
        ({"Strategy": "Grid"}, "Strategy Grid takes categorical hyperparameter ranges only."),
        ({"Strategy": "Grid", "ranges": GRID, "limits": {"MaxNumberOfTrainingJobs": 5}},
         "MaxNumberOfTrainingJobs is 5; for strategy Grid it must be the number of combinations, 6"),
        (HYPERBAND, "epochs, numepochs, n-epochs, n_epochs, num_epochs"),
        ({**HYPERBAND, **static(epochs="many")}, "Strategy Hyperband needs HyperbandStrategyConfig.MaxResource"),
        ({**hyperband(MaxResource=9), "TrainingJobEarlyStoppingType": "Auto"}, "must be Off for strategy Hyperband"),
        (hyperband(MaxResource=20_001), "MaxResource must be at most 20000, and is 20001."),
        (hyperband(MinResource=10, MaxResource=9), "MinResource 10 must not be greater than MaxResource 9."),
        ({"StrategyConfig": {"HyperbandStrategyConfig": {"MaxResource": 9}}},
         "only for strategy Hyperband, not for Random"),
        ({"TuningJobCompletionCriteria": {"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 2}}},
         "must have value greater than or equal to 3"),
        ({"limits": {"MaxRuntimeInSeconds": 60}}, "must have value greater than or equal to 120"),
        ({"name": "n" * 33}, "must have length less than or equal to 32"),
        ({"name": "tune_it"}, "must satisfy regular expression pattern"),
        ({"Strategy": "Annealing"}, "Member must satisfy enum value set: [Bayesian, Random, Hyperband, Grid]"),
        ({"warm_start": {"WarmStartType": "TransferLearning", "ParentHyperParameterTuningJobs": [
            {"HyperParameterTuningJobName": f"p{n}"} for n in range(6)]}},
         "Member must have length less than or equal to 5"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], said: str) -> None:
    assert said in refusal(request(**changes))


@pytest.mark.fidelity(
    "Tuning",
    "Without the objective among the metric definitions: A metric is required for this hyperparameter tuning job "
    "objective. Provide a metric in the metric definitions.",
    "aws/amazon-sagemaker-examples issue 1207, aws/sagemaker-python-sdk issue 3932",
)
@pytest.mark.parametrize("definitions", [[], [{"Name": "loss", "Regex": "loss=(.*)"}]])
def test_the_objective_must_be_a_metric(definitions: list[Document]) -> None:
    algorithm = {**DEFINITION["AlgorithmSpecification"], "MetricDefinitions": definitions}
    assert refusal(request(definition={"AlgorithmSpecification": algorithm})) == (
        "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric definitions."
    )


@pytest.mark.fidelity(
    "Tuning",
    "A space with fewer combinations than MaxNumberOfTrainingJobs is refused.",
    "aws/amazon-sagemaker-operator-for-k8s issue 123",
)
def test_more_jobs_than_combinations_are_refused() -> None:
    ranges = {"IntegerParameterRanges": [{"Name": "n", "MinValue": "1", "MaxValue": "3"}]}
    assert refusal(request(ranges=ranges, limits={"MaxNumberOfTrainingJobs": 10})) == (
        "You don't have enough combinations of hyperparameter ranges. The total number of hyperparameter combinations "
        "for the provided ranges [3.0] must be equal or greater than the value of MaxNumberOfJobs, [10]. Provide "
        "additional ranges."
    )


@pytest.mark.parametrize("member", ["HyperParameterTuningJobObjective", "ParameterRanges"])
def test_what_one_definition_needs_is_required(member: str) -> None:
    asked = request()
    del asked["HyperParameterTuningJobConfig"][member]
    path = f"hyperParameterTuningJobConfig.{member[0].lower()}{member[1:]}"
    assert f"Value null at '{path}' failed to satisfy constraint: Member must not be null" in refusal(asked)


def test_a_number_of_jobs_is_required() -> None:
    asked = request()
    del asked["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxNumberOfTrainingJobs"]
    assert refusal(asked) == "ResourceLimits.MaxNumberOfTrainingJobs is required for strategy Random."


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"Autotune": {"Mode": "Enabled"}}, "Autotune"),
        ({"TrainingJobDefinitions": [DEFINITION]}, "TrainingJobDefinitions"),
        (request(ranges={**RANGES, "AutoParameters": [{"Name": "x", "ValueHint": "1"}]}),
         "HyperParameterTuningJobConfig.ParameterRanges.AutoParameters"),
        (request(definition={"HyperParameterTuningResourceConfig": {"InstanceCount": 1}}),
         "TrainingJobDefinition.HyperParameterTuningResourceConfig"),
        (request(definition={"TuningObjective": {"Type": "Maximize", "MetricName": METRIC}}),
         "TrainingJobDefinition.TuningObjective"),
        (request(definition={"HyperParameterRanges": RANGES}), "TrainingJobDefinition.HyperParameterRanges"),
    ],
)  # fmt: skip
def test_what_is_not_here_is_refused_by_name(changed: Document, named: str) -> None:
    assert refusal({**request(), **changed}) == f"not supported here: {named}"


def warm(parent: Document | None, *, kind: str = "TransferLearning", names: int = 1, **changes: Any) -> str:
    """What is said of a warm start from a parent of these changes; nothing where it may start."""
    start = {
        "WarmStartType": kind,
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "parent"}] * names,
    }
    asked = request(warm_start=start, **changes)
    try:
        tuning_warm_start.check(asked, {"parent": parent}, TUNING.not_found)
    except SageMakerError as error:
        return error.message
    return ""


def done(**changes: Any) -> Document:
    return tuning_job("Completed", **changes)


@pytest.mark.fidelity(
    "Tuning",
    "A warm start may tune what was static and the reverse, change ranges, data and instances.",
    "SageMaker DG, Run a Warm Start Hyperparameter Tuning Job",
)
@pytest.mark.parametrize("status", ["Completed", "Stopped", "Failed"])
def test_a_warm_start_may_change_ranges_and_make_a_hyperparameter_static(status: str) -> None:
    parent = tuning_job(status)
    assert warm(parent) == ""
    assert warm(parent, ranges={**RANGES, **continuous("0.01", "1")}) == ""
    without_depth = {kind: found for kind, found in RANGES.items() if kind != "IntegerParameterRanges"}
    assert warm(parent, ranges=without_depth, **static(depth="3")) == ""
    assert warm(parent, definition={"OutputDataConfig": {"S3OutputPath": "s3://other/out"}}) == ""


@pytest.mark.fidelity(
    "Tuning",
    "The set of tunable plus static hyperparameter names is that of all parents.",
    "aws/amazon-sagemaker-examples issue 861",
)
def test_a_warm_start_with_other_names_is_refused() -> None:
    assert warm(done(), **static(more="1")) == (
        "The set of tunable plus static HyperParameter names is not the same across current and parent tuning jobs. "
        "Please ensure this set is constant when warm starting. Note that previously static HyperParameters can be "
        "tuned in warm start jobs and vice versa."
    )


@pytest.mark.fidelity(
    "Tuning",
    "Only some members of a parent's training job definition may change, and Environment is none of them.",
    "aws/sagemaker-python-sdk issue 3693",
)
def test_a_warm_start_with_another_environment_is_refused() -> None:
    assert warm(done(), definition={"Environment": {"A": "1"}}) == (
        "Only the following fields in TrainingJobDefinition are allowed to change: [algorithmSpecification, "
        "inputDataConfig, outputDataConfig, staticHyperParameters, roleArn, resourceConfig, stoppingCondition, "
        "vpcConfig, enableManagedSpotTraining, checkpointConfig]. Changed: [environment]."
    )


@pytest.mark.fidelity(
    "Tuning",
    "Parents are terminal, of the same objective and of the same hyperparameter types.",
    "SageMaker DG, Run a Warm Start Hyperparameter Tuning Job: Warm Start Tuning Restrictions",
)
@pytest.mark.parametrize(
    ("parent", "changes", "said"),
    [
        (None, {}, "Amazon SageMaker can't find a tuning job called parent. Type another name."),
        (tuning_job("InProgress"), {}, "The parent tuning job parent is in status InProgress; parents must be"),
        (tuning_job("Stopping"), {}, "The parent tuning job parent is in status Stopping; parents must be"),
        (done(), {"names": 2}, "WarmStartConfig names the parent parent more than once."),
        (
            done(),
            {"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": METRIC}},
            "it is Minimize validation:f1, that of parent is Maximize validation:f1.",
        ),
        (
            done(),
            {"HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "other"}},
            "it is Maximize other, that of parent is Maximize validation:f1.",
        ),
        (
            done(ranges={**RANGES, "IntegerParameterRanges": [], "ContinuousParameterRanges": [
                *RANGES["ContinuousParameterRanges"], {"Name": "depth", "MinValue": "1", "MaxValue": "9"}]}),
            {},
            "it is in IntegerParameterRanges, in the parent parent it was in ContinuousParameterRanges.",
        ),
    ],
)  # fmt: skip
def test_a_parent_that_does_not_fit_is_refused(parent: Document | None, changes: dict[str, Any], said: str) -> None:
    assert said in warm(parent, **changes)


@pytest.mark.fidelity(
    "Tuning",
    "At most 10 changes: a static hyperparameter's new value counts 2, a categorical one that becomes static counts "
    "its values.",
    "SageMaker DG, Run a Warm Start Hyperparameter Tuning Job: Warm Start Tuning Restrictions",
)
def test_changes_are_counted_as_aws_counts_them() -> None:
    parent = done(**static(**{f"s{n}": "old" for n in range(6)}))

    def changed(count: int) -> Document:
        return static(**{f"s{n}": "new" if n < count else "old" for n in range(6)})

    assert tuning_warm_start.count_changes(request(**changed(5)), parent) == 10
    assert warm(parent, **changed(5)) == ""
    assert "there are 12 changes" in warm(parent, **changed(6))
    without_kernel = {kind: found for kind, found in RANGES.items() if kind != "CategoricalParameterRanges"}
    became_static = request(ranges=without_kernel, **static(kernel="rbf", **{f"s{n}": "old" for n in range(6)}))
    assert tuning_warm_start.count_changes(became_static, parent) == 2
