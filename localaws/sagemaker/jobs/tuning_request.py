"""CreateHyperParameterTuningJob's request: every rule beyond its shape, with the sentence that tells it. Pure.

The sentences of A_METRIC_IS_REQUIRED and NOT_ENOUGH_COMBINATIONS are AWS's own, as users have reported them
(aws/sagemaker-python-sdk issue 3932, aws/amazon-sagemaker-operator-for-k8s issue 123). AWS documents no others; those
here say what is wrong and what would be right. Ranges: `tuning_ranges`; parents: `tuning_warm_start`; what a training
job's request must be, a trial's must be too: `training_request`.
"""

from __future__ import annotations

from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.core.unsupported import Refusal, always, refuse, truthy
from localaws.sagemaker.jobs import tuning_ranges
from localaws.sagemaker.tuning import hyperband, space

A_METRIC_IS_REQUIRED = (
    "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric definitions."
)
NOT_ENOUGH_COMBINATIONS = (
    "You don't have enough combinations of hyperparameter ranges. The total number of hyperparameter combinations for "
    "the provided ranges [{there}] must be equal or greater than the value of MaxNumberOfJobs, [{wanted}]. Provide "
    "additional ranges."
)
_MISSING = "1 validation error detected: Value null at '{path}' failed to satisfy constraint: Member must not be null"
OBJECTIVE_PARAMETER = "_tuning_objective_metric"  # a hyperparameter of every trial ("Define Metrics")
_MOST_HYPERPARAMETERS = 100  # static, tuned and the objective's ("Define Hyperparameter Ranges")

_REFUSED: dict[str, Refusal] = {
    "Autotune": always,
    "TrainingJobDefinitions": truthy,
    "HyperParameterTuningJobConfig.ParameterRanges.AutoParameters": truthy,
    "TrainingJobDefinition.TuningObjective": always,
    "TrainingJobDefinition.HyperParameterRanges": always,
    "TrainingJobDefinition.HyperParameterTuningResourceConfig": always,
}


def check(request: Document) -> None:
    """Raise what is wrong with a request that fits its shape, or "not supported here"."""
    refuse(request, _REFUSED)
    _require(request, "TrainingJobDefinition")
    config = request["HyperParameterTuningJobConfig"]
    _require(config, "HyperParameterTuningJobObjective", "hyperParameterTuningJobConfig.")
    _require(config, "ParameterRanges", "hyperParameterTuningJobConfig.")
    _require(request["TrainingJobDefinition"]["AlgorithmSpecification"], "TrainingImage",
             "trainingJobDefinition.algorithmSpecification.")  # fmt: skip
    _check_objective(config, request["TrainingJobDefinition"])
    tuning_ranges.check(config["ParameterRanges"])
    _check_names(config, static_parameters(request))
    _check_strategy(config, static_parameters(request))


def static_parameters(request: Document) -> dict[str, str]:
    """The hyperparameters that all trials have alike, as the request names them."""
    found: dict[str, str] = request["TrainingJobDefinition"].get("StaticHyperParameters") or {}
    return {name: value for name, value in found.items() if name != OBJECTIVE_PARAMETER}


def resources(request: Document) -> tuple[int, int] | None:
    """Hyperband's MinResource and MaxResource; None for another strategy, and where there is no maximum."""
    config = request["HyperParameterTuningJobConfig"]
    if config["Strategy"] != "Hyperband":
        return None
    return hyperband.resources(_hyperband(config), static_parameters(request))


def _check_objective(config: Document, definition: Document) -> None:
    wanted = config["HyperParameterTuningJobObjective"]["MetricName"]
    definitions = definition["AlgorithmSpecification"].get("MetricDefinitions") or []
    if wanted not in [item["Name"] for item in definitions]:
        raise errors.validation(A_METRIC_IS_REQUIRED)


def _check_names(config: Document, static: dict[str, str]) -> None:
    tuned = tuning_ranges.tuned(config["ParameterRanges"])
    both = sorted(set(tuned) & set(static))
    if both:
        raise errors.validation(
            f"Hyperparameter {both[0]} is in StaticHyperParameters and in ParameterRanges; it must be in one of them."
        )
    total = len(tuned) + len(static) + 1
    if total > _MOST_HYPERPARAMETERS:
        raise errors.validation(
            f"A tuning job has at most {_MOST_HYPERPARAMETERS} hyperparameters, static and tuned ones and "
            f"{OBJECTIVE_PARAMETER}, which SageMaker adds; this one has {total}."
        )


def _check_strategy(config: Document, static: dict[str, str]) -> None:
    strategy = config["Strategy"]
    if strategy == "Hyperband":
        _check_hyperband(config, static)
    elif config.get("StrategyConfig"):
        raise errors.validation(
            f"StrategyConfig.HyperbandStrategyConfig can be given only for strategy Hyperband, not for {strategy}."
        )
    if strategy == "Grid":
        _check_grid(config)
    else:
        _check_number_of_jobs(config)


def _check_hyperband(config: Document, static: dict[str, str]) -> None:
    if config.get("TrainingJobEarlyStoppingType", "Off") != "Off":
        raise errors.validation(
            "TrainingJobEarlyStoppingType must be Off for strategy Hyperband, which has its own early stopping."
        )
    found = hyperband.resources(_hyperband(config), static)
    if found is None:
        raise errors.validation(
            "Strategy Hyperband needs HyperbandStrategyConfig.MaxResource, or one of the static hyperparameters "
            f"{', '.join(hyperband.INFERRED_FROM)} with a number from which it can be inferred."
        )
    least, most = found
    if most > hyperband.MOST_RESOURCE:
        raise errors.validation(f"MaxResource must be at most {hyperband.MOST_RESOURCE}, and is {most}.")
    if least > most:
        raise errors.validation(f"MinResource {least} must not be greater than MaxResource {most}.")


def _check_grid(config: Document) -> None:
    kinds = {kind for _name, kind, _range in tuning_ranges.each(config["ParameterRanges"])}
    if kinds != {"CategoricalParameterRanges"}:
        raise errors.validation("Strategy Grid takes categorical hyperparameter ranges only.")
    there = space.from_ranges(config["ParameterRanges"]).size()
    wanted = config["ResourceLimits"].get("MaxNumberOfTrainingJobs", there)
    if wanted != there:
        raise errors.validation(
            f"MaxNumberOfTrainingJobs is {wanted}; for strategy Grid it must be the number of combinations, {there}, "
            "or be left out."
        )


def _check_number_of_jobs(config: Document) -> None:
    wanted = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    if wanted is None:
        raise errors.validation(
            f"ResourceLimits.MaxNumberOfTrainingJobs is required for strategy {config['Strategy']}."
        )
    there = space.from_ranges(config["ParameterRanges"]).size()
    if there is not None and there < wanted:
        raise errors.validation(NOT_ENOUGH_COMBINATIONS.format(there=float(there), wanted=wanted))


def _hyperband(config: Document) -> Document:
    found: Document = (config.get("StrategyConfig") or {}).get("HyperbandStrategyConfig") or {}
    return found


def _require(document: Document, member: str, path: str = "") -> None:
    if not document.get(member):
        raise errors.validation(_MISSING.format(path=f"{path}{member[0].lower()}{member[1:]}"))
