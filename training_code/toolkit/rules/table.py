"""Every built-in rule by its name, as classes and as a document.

`ratchet/spec/rules.json` is that document, for those who check a pipeline's spec without the toolkit, and docs/rules.md
its page; `python -m toolkit.rules --write-table CHECKOUT` writes both.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contract.suggestions import near
from toolkit.rules import activations, classification, gradients, inputs, losses, progress, tensors, trees
from toolkit.rules.parameters import Parameter, RuleError
from toolkit.rules.rule import Rule

RULES: Mapping[str, type[Rule]] = {
    rule.__name__: rule
    for rule in (
        gradients.VanishingGradient,
        tensors.ExplodingTensor,
        gradients.WeightUpdateRatio,
        tensors.AllZero,
        tensors.UnchangedTensor,
        tensors.TensorVariance,
        tensors.SimilarAcrossRuns,
        gradients.PoorWeightInitialization,
        activations.SaturatedActivation,
        activations.DeadRelu,
        losses.LossNotDecreasing,
        losses.Overfit,
        losses.Overtraining,
        progress.StalledTraining,
        classification.ClassImbalance,
        classification.Confusion,
        classification.AccuracyDrop,
        inputs.CheckInputImages,
        inputs.NLPSequenceRatio,
        trees.TreeDepth,
        trees.FeatureImportanceOverweight,
    )
}
# What Debugger calls it in RuleParameters' rule_to_invoke.
ALIASES = {"StalledTrainingRule": "StalledTraining"}


def built_in(name: str) -> type[Rule]:
    """The rule of that name. Raises RuleError with the nearest name."""
    name = ALIASES.get(name, name)
    if name in RULES:
        return RULES[name]
    meant = near(name, RULES)
    said = f"; did you mean {meant}?" if meant else f"; there are {', '.join(RULES)}"
    raise RuleError(f"there is no rule {name!r}{said} A rule of your own is written as my_rules.MyRule")


def document() -> dict[str, Any]:
    """Rule → what it says, its page, the collections it needs, its parameters; as ratchet/spec/rules.json."""
    return {name: _document(rule) for name, rule in sorted(RULES.items())}


def text() -> str:
    """The document as the file holds it."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def write(checkout: Path) -> None:
    """Writes ratchet/spec/rules.json and docs/rules.md."""
    from toolkit.rules.page import page

    (checkout / "ratchet" / "spec" / "rules.json").write_text(text(), encoding="utf-8")
    (checkout / "docs" / "rules.md").write_text(page(document()), encoding="utf-8")


def _document(rule: type[Rule]) -> dict[str, Any]:
    return {
        "says": " ".join(inspect.getdoc(rule).split()),  # type: ignore[union-attr]
        "source": rule.source,
        "collections": list(rule.default.collections),
        "tensors": list(rule.default.regexes),
        "modes": list(rule.modes),
        "saves": {name: dict(how) for name, how in rule.saves.items()},
        "one_of": list(rule.one_of),
        "not_taken": dict(rule.not_taken),
        "parameters": {parameter.name: _parameter(parameter) for parameter in rule.parameters},
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    default = parameter.default
    bounds = {"minimum": parameter.minimum, "maximum": parameter.maximum}
    return {
        "type": parameter.type,
        "default": list(default) if isinstance(default, tuple) else default,
        "required": parameter.required,
        **{name: bound for name, bound in bounds.items() if bound is not None},
        **({"choices": list(parameter.choices)} if parameter.choices else {}),
        "says": parameter.says,
    }
