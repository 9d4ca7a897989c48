"""`rules_service: sagemaker` of pipeline.yaml: rules and probe in the words of the managed SageMaker Debugger.

Its names and limits: developer guide, "List of Debugger built-in rules", "Configure tensor collections using the
CollectionConfig API" and "Supported frameworks and algorithms"; API reference, DebugHookConfig, DebugRuleConfiguration.
What Debugger can't be told is refused here, when the file is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ratchet.spec.errors import refusal
from ratchet.spec.probe import Collection, Probe
from ratchet.spec.rules import Rule, is_ratchets_own

_OPEN = "write rules_service: open"
_COMMA = "SageMaker Debugger takes a comma for the end of an expression"

# RuleParameters, CollectionParameters: the longest value. CollectionConfigurations: how many.
VALUE_LENGTH = 256
COLLECTIONS = 20

# What its rules are called, where that isn't what the open rules are.
RULE_NAMES = {"StalledTraining": "StalledTrainingRule"}
_OUR_PARAMETERS = {"LossNotDecreasing": ("smoothing", "learned_percent")}
# By the pages of the rules.
_NOT_FOR_XGBOOST = (
    "DeadRelu", "ExplodingTensor", "PoorWeightInitialization", "SaturatedActivation", "VanishingGradient",
    "WeightUpdateRatio",
)  # fmt: skip
_FOR_XGBOOST_ALONE = ("FeatureImportanceOverweight", "TreeDepth")
_XGBOOST_VERSIONS = ("1.0-1", "1.2-1", "1.3-1")

# Collections that it has under another name, and those that it has not.
_COLLECTION_NAMES = {"optimizer_state": "optimizer_variables", "importances": "feature_importance"}
_NOT_ITS_OWN = ("buffers", "inputs", "outputs", "output_gradients", "scalars", "tensors", "images")
_KNOWN = ("weights", "biases", "gradients", "losses", "metrics", "labels", "predictions", "trees", *_COLLECTION_NAMES)
# The numbers of a tensor that it can save in the tensor's place.
_REDUCTIONS = {"norm": "l2_norm", "l1": "l1_norm"}
_NOT_REDUCTIONS = ("zeros", "nonfinite")

# The collections that its rules need (its SDK's rule configurations), each every 500 steps.
_NEEDED: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "VanishingGradient": {"gradients": {}},
    "LossNotDecreasing": {"losses": {}},
    "Overfit": {"losses": {}},
    "Overtraining": {"losses": {}},
    "StalledTraining": {"losses": {}},
    "WeightUpdateRatio": {"weights": {}},
    "PoorWeightInitialization": {"gradients": {}, "losses": {}, "relu_input": {"include_regex": ".*relu_input"}},
    "DeadRelu": {"relu_output": {"include_regex": ".*relu_output"}},
    "SaturatedActivation": {"bounded_input": {"include_regex": ".*tanh_input|.*sigmoid_input"}},
    "CheckInputImages": {"input_image": {"include_regex": ".*hybridsequential0_input_0"}},
    "NLPSequenceRatio": {"input_sequence": {"include_regex": ".*embedding0_input_0"}},
    "ClassImbalance": {"labels": {}, "predictions": {}},
    "Confusion": {"labels": {}, "predictions": {}},
    "FeatureImportanceOverweight": {"feature_importance": {}},
    "TreeDepth": {"trees": {}},
}
_INTERVAL = {"save_interval": "500"}


def check_managed(framework: str | None, version: str | None, rules: Sequence[Rule], probe: Probe) -> None:
    """Raises a refusal for the first thing that SageMaker Debugger wouldn't take, or would take otherwise.

    framework and version are None for an image of the user's own, whose script registers Debugger's hook.
    """
    if not rules:
        message = "is sagemaker, but there are no rules, which it would evaluate; add some, or leave it out"
        raise refusal(message, "rules_service")
    _check_framework(framework, version)
    for index, rule in enumerate(rules):
        _check_rule(rule, framework, ("rules", index))
    for name, collection in probe.collections.items():
        _check_collection(name, collection, ("probe", "collections", name))
    wanted = collections(rules, probe)
    if len(wanted) > COLLECTIONS:
        raise refusal(f"come to {len(wanted)} with those of the rules; it takes {COLLECTIONS}", "probe", "collections")


def rule_parameters(rule: Rule) -> dict[str, str]:
    """RuleParameters: all text."""
    given = {name: _text(value) for name, value in rule.parameters.items() if value is not None}
    return {"rule_to_invoke": RULE_NAMES.get(rule.rule, rule.rule), **given}


def collections(rules: Iterable[Rule], probe: Probe) -> dict[str, dict[str, str]]:
    """CollectionName → CollectionParameters: what the rules need, unless the spec says more exactly."""
    needed = {name: {**_INTERVAL, **how} for rule in rules for name, how in _NEEDED.get(rule.rule, {}).items()}
    said = {_COLLECTION_NAMES.get(name, name): _parameters(how) for name, how in probe.collections.items()}
    return {**needed, **said}


def _parameters(collection: Collection) -> dict[str, str]:
    numbers = {"save_interval": collection.interval, "start_step": collection.start, "end_step": collection.end}
    found = {name: str(value) for name, value in numbers.items() if value is not None}
    if collection.include:
        found["include_regex"] = ",".join(collection.include)
    if collection.steps:
        found["save_steps"] = ",".join(map(str, collection.steps))
    reductions = [_REDUCTIONS.get(name, name) for name in collection.reductions if name != "histogram"]
    if reductions:
        found["reductions"] = ",".join(reductions)
        found["save_raw_tensor"] = str(collection.values and "values" in collection.model_fields_set)
    if "histogram" in collection.reductions:
        found["save_histogram"] = "True"
    return found


def _check_framework(framework: str | None, version: str | None) -> None:
    if framework == "sklearn":
        message = f"is sklearn, for which SageMaker Debugger saves no tensors; {_OPEN}"
        raise refusal(message, "framework", "name")
    if framework == "tensorflow":
        message = f"is tensorflow, whose images with Keras 3 have no hook of SageMaker Debugger's; {_OPEN}"
        raise refusal(message, "framework", "name")
    if framework == "xgboost" and version not in _XGBOOST_VERSIONS:
        known = ", ".join(_XGBOOST_VERSIONS)
        message = f"is {version}, whose image has no hook of SageMaker Debugger's; those of {known} have"
        raise refusal(message, "framework", "version")


def _check_rule(rule: Rule, framework: str | None, at: tuple[str | int, ...]) -> None:
    if rule.is_custom:
        message = f"is {rule.rule}, a class for the open rules, which SageMaker Debugger can't run; {_OPEN}"
        raise refusal(message, *at, "rule")
    if is_ratchets_own(rule.rule):
        message = f"is {rule.rule}, a rule of Ratchet's own, which SageMaker Debugger hasn't; {_OPEN}"
        raise refusal(message, *at, "rule")
    if framework == "xgboost" and rule.rule in _NOT_FOR_XGBOOST:
        raise refusal(f"is {rule.rule}, which SageMaker Debugger doesn't have for XGBoost", *at, "rule")
    if framework not in (None, "xgboost") and rule.rule in _FOR_XGBOOST_ALONE:
        raise refusal(f"is {rule.rule}, which SageMaker Debugger has for XGBoost alone", *at, "rule")
    for name, value in rule.parameters.items():
        if name in _OUR_PARAMETERS.get(rule.rule, ()):
            raise refusal(f"is a parameter of the open rule alone; leave {name} out", *at, "parameters", name)
        if isinstance(value, list) and any("," in _text(item) for item in value):
            raise refusal(f"holds a comma in one of {value!r}; {_COMMA}", *at, "parameters", name)
        if len(_text(value)) > VALUE_LENGTH:
            raise refusal(f"has {len(_text(value))} characters; at most {VALUE_LENGTH}", *at, "parameters", name)


def _check_collection(name: str, collection: Collection, at: tuple[str, ...]) -> None:
    if name in _NOT_ITS_OWN and not collection.include:
        message = f"is {name}, a collection that SageMaker Debugger hasn't; say with include which tensors it holds"
        raise refusal(message, *at)
    if name not in (*_KNOWN, *_NOT_ITS_OWN) and not collection.include:
        raise refusal(f"is {name}, a collection of your own; say with include which tensors it holds", *at)
    if collection.modes:
        raise refusal(f"can't be told to SageMaker Debugger; leave modes out, or {_OPEN}", *at, "modes")
    for regex in collection.include:
        if "," in regex:
            raise refusal(f"holds {regex!r}; {_COMMA}", *at, "include")
    for reduction in collection.reductions:
        if reduction in _NOT_REDUCTIONS:
            raise refusal(f"holds {reduction}, which SageMaker Debugger can't compute", *at, "reductions")
    for key, value in _parameters(collection).items():
        if len(value) > VALUE_LENGTH:
            raise refusal(f"comes to a {key} of {len(value)} characters; at most {VALUE_LENGTH}", *at)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return str(value)
