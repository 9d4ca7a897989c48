"""What watches a training job, as its environment says it: what its probe saves, which rules judge it, and which views
are drawn (contract.environment)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contract import environment as variables
from ratchet.spec.pipeline import PipelineSpec
from ratchet.spec.rules import brings

Document = dict[str, Any]

# CreateTrainingJob and CreateHyperParameterTuningJob, API reference: how many Environment may hold.
VARIABLES, TRIAL_VARIABLES = 100, 48
# Those that the machine sets besides.
_OWN_VARIABLES = (variables.ENVIRONMENT, variables.PIPELINE, variables.RUN_ID, variables.VERDICTS)
# Longest `{"output":"s3://<bucket of 63>/runs/<pipeline of 32>/<run id of 20>/train/tensors/round-99/"`, rounded up:
# only when the stack is deployed is the bucket's name known, so it can't be measured here.
OUTPUT_LENGTH = 182
# What the probe saves unless it is told which collections, besides what it always saves; as Debugger's default.
USUAL = ("weights", "biases", "gradients")


def saved(spec: PipelineSpec, *, drawn: bool = True) -> Document:
    """The probe's collections: the spec's, and those that its rules and views bring; none means the probe's own
    defaults. drawn: whether the job draws the views."""
    said: Document = spec.probe.model_dump(mode="json", exclude_unset=True).get("collections", {})
    brought = {**_by_rules(spec), **(_by_views(spec) if drawn else {})}
    if not brought:
        return said
    # The probe saves its defaults only where it is told nothing.
    usual: Document = {} if said else {name: {} for name in USUAL}
    return {**usual, **brought, **said}


def _by_rules(spec: PipelineSpec) -> Document:
    brought: Document = {}
    for rule in spec.rules:
        for name, how in brings(rule).items():
            # Two rules may want one collection: in both modes if one of them does.
            both = name in brought and "modes" not in brought[name]
            brought[name] = {key: value for key, value in how.items() if not (both and key == "modes")}
    return brought


def _by_views(spec: PipelineSpec) -> Document:
    return {name: how for view in spec.views for name, how in view.brings(spec.folder).items()}


def probe(spec: PipelineSpec, *, drawn: bool = True) -> Mapping[str, str]:
    """The variables of the probe's settings, of which the first lacks its beginning: where the tensors go."""
    collections = saved(spec, drawn=drawn)
    rest = f',"collections":{variables.compact(collections)}}}' if collections else "}"
    return variables.pieces(variables.PROBE, rest, variables.VALUE_LENGTH - OUTPUT_LENGTH)


def rules(spec: PipelineSpec, name: str) -> Mapping[str, str]:
    """The rules as the job, the stopper and the recorder read them (contract.environment.rules), under this name."""
    told = [
        {
            "rule": rule.rule,
            "name": rule.configuration_name,
            "parameters": dict(rule.parameters),
            "action": rule.action,
        }
        for rule in spec.rules
    ]
    return variables.pieces(name, variables.compact(told)) if told else {}


def views(spec: PipelineSpec) -> Mapping[str, str]:
    """The views as the job reads them (contract.views)."""
    told = [view.document(spec.folder) for view in spec.views]
    return variables.pieces(variables.VIEWS, variables.compact(told)) if told else {}


def check_variables(spec: PipelineSpec) -> str | None:
    """The end of a sentence about a spec that says more than a job's variables hold; None where all has room."""
    if spec.is_own_container:
        return None
    judged = {"rules": rules(spec, variables.RULES)}
    drawn = {"probe": probe(spec), **judged, "views": views(spec)}
    found = _too_many(drawn, VARIABLES, "a training job")
    if spec.tune and not found:
        return _too_many({"probe": probe(spec, drawn=False), **judged}, TRIAL_VARIABLES, "a tuning job's trial")
    return found


def _too_many(parts: Mapping[str, Mapping[str, str]], most: int, what: str) -> str | None:
    together = len(_OWN_VARIABLES) + sum(map(len, parts.values()))
    if together <= most:
        return None
    each = ", ".join(f"{len(found)} for {name}" for name, found in parts.items() if found)
    return (
        f"take {together} variables of {what} ({each}), of {variables.VALUE_LENGTH} characters each; SageMaker takes "
        f"at most {most}: say shorter parameters, or fewer of them"
    )
