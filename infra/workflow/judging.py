"""What the training job is told about the run, its probe and its rules: the environment of CreateTrainingJob, and
where SageMaker Debugger judges (`rules_service: sagemaker`) its hook and its rules.

A variable's value has at most 512 characters (API reference, TrainingEnvironmentValue), which a few rules exceed. So a
longer document goes on in `<NAME>_1`, `<NAME>_2`, …; the toolkit and the stopper put it together again.
"""

from __future__ import annotations

import json
from typing import Any

from infra.workflow.names import Names
from infra.workflow.states import expression
from ratchet.spec import PipelineSpec, managed_rules
from ratchet.spec.rules import brings

Document = dict[str, Any]

VALUE_LENGTH = 512
# Longest `{"output":"s3://<bucket of 63>/runs/<pipeline of 32>/<run id of 20>/train/tensors/round-99/"`, rounded up:
# only when the stack is deployed is the bucket's name known, so it can't be measured here.
OUTPUT_LENGTH = 182
TENSORS = "train/tensors/"
# Where SageMaker copies what Debugger's hook saves, below a folder of the job's name.
DEBUGGER = "train/debugger"
# What the probe saves unless it is told which collections, besides what it always saves; as Debugger's default.
USUAL = ("weights", "biases", "gradients")


def environment(spec: PipelineSpec, names: Names) -> Document:
    """RATCHET_ENVIRONMENT, RATCHET_PIPELINE and RATCHET_RUN_ID, whose the job is; RATCHET_PROBE, what it saves and
    where; RATCHET_RULES, what judges it, if anything does. Where SageMaker Debugger judges, its hook configuration is
    the probe's too, and RATCHET_MANAGED_RULES says the stopper what the rules' actions are."""
    whose = {
        "RATCHET_ENVIRONMENT": names.environment,
        "RATCHET_PIPELINE": names.pipeline,
        "RATCHET_RUN_ID": expression("$run.run_id"),
    }
    if spec.rules_service == "sagemaker":
        return {**whose, **_rules(spec, "RATCHET_MANAGED_RULES")}
    return {**whose, **_probe(spec, names), **_rules(spec, "RATCHET_RULES")}


def debugger(spec: PipelineSpec, names: Names, folder: str) -> Document:
    """SageMaker Debugger's part of CreateTrainingJob: which tensors its hook saves, and which rules it evaluates.

    A rule without an InstanceType is one of Debugger's own, evaluated on instances of its own (developer guide,
    "Configure built-in rules using the low-level API").
    """
    if spec.rules_service != "sagemaker":
        return {}
    collections = managed_rules.collections(spec.rules, spec.probe)
    return {
        "DebugHookConfig": {
            "S3OutputPath": folder,
            "CollectionConfigurations": [
                {"CollectionName": name, "CollectionParameters": how} for name, how in collections.items()
            ],
        },
        "DebugRuleConfigurations": [
            {
                "RuleConfigurationName": rule.configuration_name,
                "RuleEvaluatorImage": names.rules_image_uri,
                "RuleParameters": managed_rules.rule_parameters(rule),
            }
            for rule in spec.rules
        ],
    }


def _probe(spec: PipelineSpec, names: Names) -> Document:
    """`{"output": s3 URI, ...}`; only the URI is the run's own."""
    collections = saved(spec)
    rest = f',"collections":{_compact(collections)}}}' if collections else "}"
    here = VALUE_LENGTH - OUTPUT_LENGTH
    folder = f"s3://{names.artifact_bucket}/runs/{names.pipeline}/"
    # Each round's tensors are its own: a rule that read the last one's too would judge two trainings as one.
    tensors = f"'/{TENSORS}round-' & $string($round) & '/\"'" if spec.rounds else f"'/{TENSORS}\"'"
    beginning = f"""'{{"output":"{folder}' & $run.run_id & {tensors} & {json.dumps(rest[:here])}"""
    return {"RATCHET_PROBE": expression(beginning), **_further("RATCHET_PROBE", rest[here:])}


def saved(spec: PipelineSpec) -> Document:
    """The probe's collections: the spec's, and those that its rules bring; none means the probe's own defaults."""
    said: Document = spec.probe.model_dump(mode="json", exclude_unset=True).get("collections", {})
    brought: Document = {}
    for rule in spec.rules:
        for name, how in brings(rule).items():
            # Two rules may want one collection: in both modes if one of them does.
            both = name in brought and "modes" not in brought[name]
            brought[name] = {key: value for key, value in how.items() if not (both and key == "modes")}
    if not brought or said.keys() >= brought.keys():
        return said
    # The probe saves its defaults only where it is told nothing.
    usual: Document = {} if said else {name: {} for name in USUAL}
    return {**usual, **brought, **said}


def rules(spec: PipelineSpec) -> list[Document]:
    """The spec's rules, as the job, the stopper and the recorder know them."""
    return [
        {
            "rule": rule.rule,
            "name": rule.configuration_name,
            "parameters": dict(rule.parameters),
            "action": rule.action,
        }
        for rule in spec.rules
    ]


def _rules(spec: PipelineSpec, name: str) -> Document:
    if not spec.rules:
        return {}
    text = _compact(rules(spec))
    return {name: text[:VALUE_LENGTH], **_further(name, text[VALUE_LENGTH:])}


def _further(name: str, text: str) -> Document:
    parts = [text[start : start + VALUE_LENGTH] for start in range(0, len(text), VALUE_LENGTH)]
    return {f"{name}_{number}": part for number, part in enumerate(parts, start=1)}


def _compact(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"))
