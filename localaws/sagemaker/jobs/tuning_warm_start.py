"""Warm start: which tuning jobs may be parents of another, each rule with its sentence. Pure.

"Run a Warm Start Hyperparameter Tuning Job" (developer guide) has the rules. NAMES_DIFFER and ONLY_THESE_MAY_CHANGE are
AWS's own sentences (aws/amazon-sagemaker-examples issue 861, aws/sagemaker-python-sdk issue 3693).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs import tuning_ranges
from localaws.sagemaker.jobs.job_documents import TERMINAL
from localaws.sagemaker.jobs.tuning_documents import is_maximized
from localaws.sagemaker.jobs.tuning_request import static_parameters

NAMES_DIFFER = (
    "The set of tunable plus static HyperParameter names is not the same across current and parent tuning jobs. Please "
    "ensure this set is constant when warm starting. Note that previously static HyperParameters can be tuned in warm "
    "start jobs and vice versa."
)
ONLY_THESE_MAY_CHANGE = (
    "Only the following fields in TrainingJobDefinition are allowed to change: [algorithmSpecification, "
    "inputDataConfig, outputDataConfig, staticHyperParameters, roleArn, resourceConfig, stoppingCondition, vpcConfig, "
    "enableManagedSpotTraining, checkpointConfig]."
)
MOST_CHANGES = 10
_CHANGED_VALUE = 2  # what a static hyperparameter's new value counts: the old one and the new one
_MAY_CHANGE = frozenset({
    "AlgorithmSpecification", "InputDataConfig", "OutputDataConfig", "StaticHyperParameters", "RoleArn",
    "ResourceConfig", "StoppingCondition", "VpcConfig", "EnableManagedSpotTraining", "CheckpointConfig",
})  # fmt: skip
_IDENTICAL = "IdenticalDataAndAlgorithm"


def parents(request: Document) -> list[str]:
    """The names of the parents that a request, or a tuning job's document, asks for."""
    config = request.get("WarmStartConfig") or {}
    found = config.get("ParentHyperParameterTuningJobs", ())
    return [parent.get("HyperParameterTuningJobName", "") for parent in found]


def is_identical(document: Document) -> bool:
    """Whether a tuning job goes on where its parents ended: the same data, the same algorithm."""
    return bool((document.get("WarmStartConfig") or {}).get("WarmStartType") == _IDENTICAL)


def check(request: Document, found: Mapping[str, Document | None], not_found: str) -> None:
    """Raise what is wrong with a request's parents; `found` has their documents by name."""
    names = parents(request)
    for name in names:
        parent = found[name]
        if names.count(name) > 1:
            raise errors.validation(f"WarmStartConfig names the parent {name} more than once.")
        if parent is None:
            raise errors.validation(not_found.format(name=name))
        _check_parent(request, name, parent)


def _check_parent(request: Document, name: str, parent: Document) -> None:
    status = parent["HyperParameterTuningJobStatus"]
    if status not in TERMINAL:
        raise errors.validation(
            f"The parent tuning job {name} is in status {status}; parents must be Completed, Stopped or Failed."
        )
    _check_objective(request, name, parent)
    ours, theirs = _kinds(request), _kinds(parent)
    if set(ours) != set(theirs):
        raise errors.validation(NAMES_DIFFER)
    for parameter, kind in ours.items():
        _check_kind(name, parameter, kind, theirs[parameter])
    changes = count_changes(request, parent)
    if changes > MOST_CHANGES:
        raise errors.validation(
            f"From the parent tuning job {name} to this one there are {changes} changes of tuned hyperparameters to "
            f"static ones and of static values; at most {MOST_CHANGES} are allowed. A changed static value counts "
            f"{_CHANGED_VALUE}, a categorical hyperparameter that becomes static as many as it had values."
        )
    _check_definition(request["TrainingJobDefinition"], parent["TrainingJobDefinition"])


def _check_objective(request: Document, name: str, parent: Document) -> None:
    configs = (each["HyperParameterTuningJobConfig"] for each in (request, parent))
    ours, theirs = (config["HyperParameterTuningJobObjective"] for config in configs)
    if (ours["MetricName"], ours["Type"]) != (theirs["MetricName"], theirs["Type"]):
        raise errors.validation(
            f"The objective metric must be the same as that of the parent tuning jobs: it is {ours['Type']} "
            f"{ours['MetricName']}, that of {name} is {theirs['Type']} {theirs['MetricName']}."
        )


def count_changes(request: Document, parent: Document) -> int:
    """How many changes from tuned to static and of static values there are, as AWS counts them."""
    ours = static_parameters(request)
    theirs = static_parameters(parent)
    became_static = [
        len(found["Values"]) if "Values" in found else 1
        for name, _kind, found in tuning_ranges.each(_ranges(parent))
        if name in ours
    ]
    changed = [name for name in ours if name in theirs and ours[name] != theirs[name]]
    return sum(became_static) + _CHANGED_VALUE * len(changed)


def _kinds(request: Document) -> dict[str, str | None]:
    """Every hyperparameter with its kind, None for a static one."""
    tuned: dict[str, str | None] = {name: kind for name, kind, _range in tuning_ranges.each(_ranges(request))}
    return {**dict.fromkeys(static_parameters(request)), **tuned}


def _check_kind(name: str, parameter: str, ours: str | None, theirs: str | None) -> None:
    if ours is not None and theirs is not None and ours != theirs:
        raise errors.validation(
            f"The type of hyperparameter {parameter} must not change from parents to this tuning job: it is in "
            f"{ours}, in the parent {name} it was in {theirs}."
        )


def _check_definition(ours: Document, theirs: Document) -> None:
    looked_at = sorted({*ours, *theirs} - _MAY_CHANGE)
    changed = [_camel(member) for member in looked_at if (ours.get(member) or None) != (theirs.get(member) or None)]
    if changed:
        raise errors.validation(f"{ONLY_THESE_MAY_CHANGE} Changed: [{', '.join(changed)}].")


def _ranges(request: Document) -> Document:
    found: Document = request["HyperParameterTuningJobConfig"]["ParameterRanges"]
    return found


def _camel(member: str) -> str:
    return member[0].lower() + member[1:]


def overall_best(document: Document, own: Document | None, found: Sequence[Document]) -> Document | None:
    """The best training job of a tuning job and its parents, with the name of the tuning job that started it."""
    members = [(document["HyperParameterTuningJobName"], own)]
    members += [(parent["HyperParameterTuningJobName"], parent.get("BestTrainingJob")) for parent in found]
    named = [{**summary, "TuningJobName": name} for name, summary in members if summary is not None]
    if not named:
        return None
    choose = max if is_maximized(document) else min
    return choose(named, key=lambda each: float(each["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]))
